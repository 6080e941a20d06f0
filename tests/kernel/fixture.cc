// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <sys/mount.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <ostream>

#include "daemon/completion.h"
#include "daemon/event_pipeline.h"
#include "kernel/cgroup_tree.h"
#include "kernel/file_identity.h"
#include "policy/catalog.h"
#include "policy/parse.h"
#include "policy/sites.h"
#include "verified.h"

namespace gatehouse::test {
namespace {

constexpr const char* kTracefs = "/sys/kernel/tracing";

// Known to the kernel alone: no policy is about it.
constexpr bind::WorkloadId kMarkerWorkload = 0xffffffff;
int markers_made = 0;                                     // each Gatehouse has one of its own
constexpr auto kEventsTimeout = std::chrono::minutes(2);  // far beyond what any machine needs

std::string KeyOf(const bind::InstanceDirectory& instances, bind::InstanceId id) {
  const bind::InstanceInfoPtr info = instances.Find(id);
  return info ? info->key.ToString() : "unknown policy " + std::to_string(id);
}

kernel::Options WithBackend(kernel::Options options) {
  if (!options.backend) options.backend = BackendFromEnvironment();
  return options;
}

}  // namespace

int Errno(long result) {
  if (result < 0) return errno;
  _exit(0);
}

std::optional<kernel::Backend> BackendFromEnvironment() {
  const char* name = std::getenv("GATEHOUSE_BACKEND");
  if (name == nullptr || std::string_view(name).empty() || std::string_view(name) == "auto")
    return std::nullopt;
  for (const auto backend :
       {kernel::Backend::kLsm, kernel::Backend::kFmodRet, kernel::Backend::kSignal}) {
    if (std::string_view(name) == kernel::BackendName(backend)) return backend;
  }
  throw std::runtime_error(std::string("GATEHOUSE_BACKEND is lsm, fmod_ret or signal, not ") +
                           name);
}

std::vector<kernel::Backend> DenyingBackends() {
  std::vector<kernel::Backend> backends;
  if (const auto named = BackendFromEnvironment()) {
    backends = {*named};
  } else {
    for (const kernel::BackendProbe& probe : kernel::ProbeBackends()) {
      if (backends.empty() && probe.available) backends = {probe.backend};
    }
  }
  std::erase(backends, kernel::Backend::kSignal);
  return backends;
}

kernel::Options DefaultOptions() {
  kernel::Options options;
  options.base_events = kernel::BaseEvents::kWorkloads;
  return options;
}

const event::ProcessRecord& Event::process() const {
  return std::visit([](const auto& r) -> const event::ProcessRecord& { return r.process; }, record);
}

std::ostream& operator<<(std::ostream& out, const Posted& posted) {
  return out << "{pid " << posted.pid << ", policy " << posted.policy << ", object "
             << posted.object << ", hook " << posted.hook << ", selector " << posted.selector
             << ", actions " << posted.actions << ", error " << posted.error << ", signal "
             << posted.signal << ", flags " << posted.flags << ", unreadable " << posted.unreadable
             << ", workload " << posted.workload << "}";
}

Posted ToPosted(const Event& event) {
  const event::PolicyRecord& record = *event.AsPolicy();
  const event::ValueRecord* const found = record.Find(GH_SUBJECT_ARGUMENT_0);
  const event::ValueRecord object = found == nullptr ? event::ValueRecord{} : *found;
  return {.pid = static_cast<pid_t>(record.process.key.pid),
          .policy = event.policy,
          .object = std::string(object.text),
          .hook = record.hook,
          .selector = record.rule,
          .actions = record.actions,
          .error = record.error,
          .signal = record.signal,
          .flags = record.flags,
          .unreadable = object.unreadable,
          .workload = record.process.workload};
}

/// Both directories that events are enriched from.
class Gatehouse::Names {
 public:
  Names(const workload::Registry& registry, const bind::InstanceDirectory& instances)
      : workloads(registry), policies(instances) {}
  daemon::RegistryLookup workloads;
  daemon::DirectoryLookup policies;
};

Gatehouse::Gatehouse(kernel::Options options, bind::Resolver::Options resolver)
    : sets_(strings_, [](const std::string& path) { return kernel::FindFile(path); }),
      kernel_(Must(kernel::Load(WithBackend(std::move(options)), strings_))),
      resolver_(sets_, resolver),
      registry_(Must(kernel::FindCgroupRoot())),
      names_(std::make_shared<Names>(registry_, resolver_.instances())),
      cache_({.node_name = "node"}, clock_, proc_),
      enricher_({.node_name = "node", .stack_addresses = true}, cache_, clock_, names_->workloads,
                names_->policies, symbols_),
      marker_("marker" + std::to_string(markers_made++)) {
  (void)Must(kernel_->Track(kMarkerWorkload, marker_.path()));
}

bool Gatehouse::KnowsBinary() const {
  compile::HookProgram hook;
  hook.site = std::make_shared<const policy::Site>(policy::kCredsForExec);
  hook.inputs = {{.subject = GH_SUBJECT_BINARY, .read = GH_READ_BINARY}};
  return kernel_->Supports(hook).has_value();
}

Result<void> Gatehouse::Change(
    const std::function<Result<void>(bind::Resolver::Transaction&)>& change) {
  auto transaction = resolver_.Begin();
  GH_TRY(change(transaction));
  GH_ASSIGN(const bind::Delta delta, transaction.Stage());
  for (const auto& [id, program] : delta.added) {
    for (const compile::HookProgram& hook : program->hooks) GH_TRY(kernel_->Supports(hook));
  }
  GH_TRY(kernel_->Apply(delta));
  transaction.Commit();
  return {};
}

Result<void> Gatehouse::Apply(std::string_view text) {
  auto documents = policy::Parse(text, "test");
  if (!documents) return Fail(ErrorCode::kInvalid, "", documents.error().front().ToString());
  for (policy::Document& document : *documents) {
    GH_ASSIGN(const auto diagnostics, daemon::Complete(document, *kernel_));
    const auto error =
        std::ranges::find(diagnostics, policy::Severity::kError, &policy::Diagnostic::severity);
    if (error != diagnostics.end()) return Fail(ErrorCode::kInvalid, "", error->ToString());
  }
  return Change([&](bind::Resolver::Transaction& transaction) -> Result<void> {
    for (const policy::Document& document : *documents) {
      const bool known = resolver_.Status(document.key()).has_value();
      GH_TRY(known ? transaction.Replace(document) : transaction.Add(document));
    }
    return {};
  });
}

Result<void> Gatehouse::Remove(const std::string& name) {
  return Change(
      [&](bind::Resolver::Transaction& transaction) { return transaction.Remove({name, ""}); });
}

void Gatehouse::Reset() {
  std::vector<workload::WorkloadPtr> workloads = registry_.List();
  for (const workload::WorkloadPtr& workload : workloads) kernel_->Untrack(workload->id);
  Must(Change([&](bind::Resolver::Transaction& transaction) -> Result<void> {
    for (const bind::PolicyStatus& status : resolver_.List())
      GH_TRY(transaction.Remove(status.key));
    for (const workload::WorkloadPtr& workload : workloads)
      transaction.RemoveWorkload(workload->id);
    return {};
  }));
  for (const workload::WorkloadPtr& workload : workloads) Must(registry_.Remove(workload->id));
  (void)Must(kernel_->PollEvents(std::chrono::milliseconds(0), [](std::span<const std::byte>) {}));
}

Result<workload::WorkloadPtr> Gatehouse::AddWorkload(const std::string& cgroup,
                                                     workload::Workload identity) {
  identity.cgroup = cgroup;
  GH_ASSIGN(workload::WorkloadPtr workload, registry_.Add(std::move(identity)));
  GH_TRY(Change([&](bind::Resolver::Transaction& transaction) -> Result<void> {
    transaction.PutWorkload(workload);
    return {};
  }));
  if (auto tracked = kernel_->Track(workload->id, cgroup); !tracked) {
    GH_TRY(RemoveWorkload(workload->id));
    return tl::unexpected(std::move(tracked).error());
  }
  return workload;
}

Result<void> Gatehouse::RemoveWorkload(bind::WorkloadId id) {
  kernel_->Untrack(id);
  GH_TRY(Change([&](bind::Resolver::Transaction& transaction) -> Result<void> {
    transaction.RemoveWorkload(id);
    return {};
  }));
  GH_TRY(registry_.Remove(id));
  return {};
}

Result<void> Gatehouse::Relabel(bind::WorkloadId id, workload::Labels labels) {
  GH_ASSIGN(const workload::WorkloadPtr workload, registry_.ReplaceLabels(id, std::move(labels)));
  return Change([&](bind::Resolver::Transaction& transaction) -> Result<void> {
    transaction.PutWorkload(workload);
    return {};
  });
}

void Gatehouse::Tell(const event::Whole& whole) {
  Event event{.bytes = read_, .record = whole, .policy = {}, .enriched = enricher_.Enrich(whole)};
  if (auto* const policy = std::get_if<event::PolicyRecord>(&event.record)) {
    event.policy = KeyOf(resolver_.instances(), policy->instance);
    if ((policy->flags & (GH_POLICY_PARTS | GH_POLICY_HASH)) != 0) policy->n_values = 0;
  }
  told_.push_back(std::move(event));
}

std::vector<Event> Gatehouse::Read(std::span<const std::byte> bytes) {
  read_ = std::make_shared<const std::vector<std::byte>>(bytes.begin(), bytes.end());
  Must(assembler_.Take(*read_));
  return std::exchange(told_, {});
}

std::vector<Event> Gatehouse::TakeEvents() {
  const Attempt mark = marker_.Try(kernel::testing::ActorPath());
  std::vector<Event> events;
  bool marked = false;
  const auto deadline = std::chrono::steady_clock::now() + kEventsTimeout;
  while (!marked) {
    if (std::chrono::steady_clock::now() > deadline)
      throw std::runtime_error("the marker's event does not come");
    (void)Must(
        kernel_->PollEvents(std::chrono::milliseconds(100), [&](std::span<const std::byte> bytes) {
          for (Event& event : Read(bytes)) {
            if (event.process().workload != kMarkerWorkload) {
              events.push_back(std::move(event));
            } else if (event.AsExit() != nullptr &&
                       event.process().key.pid == static_cast<uint32_t>(mark.pid)) {
              marked = true;
            }
          }
        }));
  }
  return events;
}

std::vector<Posted> Gatehouse::TakePosted() {
  std::vector<Posted> posted;
  for (const Event& event : TakeEvents()) {
    if (event.AsPolicy() != nullptr) posted.push_back(ToPosted(event));
  }
  std::ranges::sort(posted);
  return posted;
}

uint64_t Gatehouse::Hits(const std::string& name) const {
  uint64_t hits = 0;
  for (const bind::InstanceId instance : Must(resolver_.Status({name, ""})).instances) {
    for (const kernel::RuleHits& rule : kernel_->Hits(instance)) hits += rule.hits;
  }
  return hits;
}

uint64_t Gatehouse::Counter(std::string_view name) const {
  for (const auto& [counter, value] : kernel_->status().counters) {
    if (counter == name) return value;
  }
  throw std::runtime_error("there is no counter " + std::string(name));
}

// ---- suites
// ----------------------------------------------------------------------------------------

std::unique_ptr<Gatehouse> KernelTest::gatehouse_;

/// Ends the kernel that the suites share, when all of them are over. Until then it has loaded all
/// programs that they asked for.
class KernelTest::Environment : public ::testing::Environment {
 public:
  void TearDown() override {
    if (gatehouse_) ExpectProgramsDoNotGrow();
    gatehouse_.reset();
  }

 private:
  static void ExpectProgramsDoNotGrow() {
    utsname system{};
    uname(&system);
    for (const Verified& verified : VerifiedOf(gatehouse_->kernel().status().programs)) {
      std::cout << "verified: " << verified.program << ": " << verified.least << " to "
                << verified.most << " instructions, of " << verified.programs << "\n";
      const uint64_t recorded = RecordedOf(verified.program, system.release);
      if (recorded != 0) {
        EXPECT_LE(verified.most, recorded + recorded / 4) << verified.program;
      }
    }
  }
};

const ::testing::Environment* const KernelTest::environment_ =
    ::testing::AddGlobalTestEnvironment(new Environment);

void KernelTest::SetUpTestSuite() {
  if (!gatehouse_) gatehouse_ = std::make_unique<Gatehouse>();
}

void KernelTest::SetUp() {
  gatehouse().Reset();
  counters_ = gatehouse().kernel().status().counters;
}

bool TracefsTest::mounted_ = false;

void TracefsTest::SetUpTestSuite() {
  mounted_ = access((std::string(kTracefs) + "/events").c_str(), F_OK) != 0;
  if (mounted_) {
    ASSERT_EQ(mount("tracefs", kTracefs, "tracefs", 0, nullptr), 0);
  }
  KernelTest::SetUpTestSuite();
}

void TracefsTest::TearDownTestSuite() {
  if (mounted_) umount(kTracefs);
}

void KernelTest::TearDown() {
  for (const auto& [name, before] : counters_) {
    const bool expected = std::ranges::find(expected_counters_, name) != expected_counters_.end();
    if (!expected) {
      EXPECT_EQ(gatehouse().Counter(name), before) << name;
    } else {
      EXPECT_GT(gatehouse().Counter(name), before) << name;
    }
  }
}

std::vector<std::string> KernelTest::TakePolicies() {
  std::vector<std::string> policies;
  for (const Event& event : gatehouse().TakeEvents()) {
    if (event.AsPolicy() != nullptr) policies.push_back(event.policy);
  }
  return policies;
}

std::string KernelTest::Refusal(const std::string& text) {
  const auto applied = gatehouse().Apply(text);
  return applied ? "it was taken" : applied.error().Message();
}

bool KernelTest::IsAppliedOnPerfEvents(const std::string& text) {
  utsname system{};
  uname(&system);
  int major = 0, minor = 0;
  EXPECT_EQ(sscanf(system.release, "%d.%d", &major, &minor), 2);
  if (major > 6 || (major == 6 && minor >= 1)) {
    Must(gatehouse().Apply(text));
    return true;
  }
  const std::string refusal = Refusal(text);
  EXPECT_NE(refusal.find("use kernel 6.1 or later"), std::string::npos) << refusal;
  return false;
}

workload::WorkloadPtr KernelTest::Workload(const std::string& cgroup, workload::Labels labels) {
  workload::Workload identity;
  identity.labels = std::move(labels);
  return Must(gatehouse().AddWorkload(cgroup, std::move(identity)));
}

void DenyingTest::SetUp() {
  KernelTest::SetUp();
  ASSERT_STREQ(kernel::BackendName(gatehouse().kernel().backend()),
               kernel::BackendName(GetParam()));
}

std::string BackendOf(const ::testing::TestParamInfo<kernel::Backend>& test) {
  return kernel::BackendName(test.param);
}

}  // namespace gatehouse::test
