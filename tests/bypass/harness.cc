// SPDX-License-Identifier: Apache-2.0
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <ostream>

#include "event/decode.h"
#include "policy/sites.h"

namespace gatehouse::bypass {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr bind::WorkloadId kWorkload = 1;
constexpr auto kEventDeadline = 30s;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "cannot prepare the tests: %s\n", what.c_str());
  std::exit(1);
}

template <typename T>
T Need(Result<T> result, const std::string& what) {
  if (!result) Die(what + ": " + result.error().Message());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

std::optional<kernel::Backend> BackendFromEnvironment() {
  const char* wanted = std::getenv("GATEHOUSE_BACKEND");
  if (wanted == nullptr) return std::nullopt;
  for (const auto backend :
       {kernel::Backend::kLsm, kernel::Backend::kFmodRet, kernel::Backend::kSignal}) {
    if (wanted == std::string_view(kernel::BackendName(backend))) return backend;
  }
  Die("GATEHOUSE_BACKEND is lsm, fmod_ret or signal, not " + std::string(wanted));
}

compile::ProgramPtr OneRule(const policy::Site& site, compile::Rule rule) {
  auto program = std::make_shared<compile::Program>();
  compile::HookProgram& hook = program->hooks.emplace_back();
  hook.site = std::make_shared<const policy::Site>(site);
  hook.inputs = {{.subject = GH_SUBJECT_ARGUMENT_0, .read = GH_READ_BINPRM}};
  hook.shows = 1U << GH_SUBJECT_ARGUMENT_0;
  hook.rules = {std::move(rule)};
  return program;
}

Denial ToDenial(const event::PolicyRecord& record) {
  const event::ValueRecord* value = record.Find(GH_SUBJECT_ARGUMENT_0);
  if (value == nullptr) Die("an event without the program");
  Seen object{std::string(value->text)};
  object.unreadable = value->unreadable;
  return Denial{std::move(object), record.hook, record.error, record.flags};
}

}  // namespace

std::vector<Policy> Policies() {
  return {{policy::kCredsForExec, List::kAllow},
          {policy::kCredsForExec, List::kDeny},
          {policy::kBprmCheck, List::kAllow},
          {policy::kBprmCheck, List::kDeny}};
}

std::string PolicyName(const Policy& policy) {
  return std::string(policy.site == policy::kBprmCheck ? "check" : "creds") +
         (policy.list == List::kAllow ? "_allow_list" : "_deny_list");
}

std::ostream& operator<<(std::ostream& out, const Policy& policy) {
  return out << PolicyName(policy);
}

std::string BuiltProgram(const std::string& name) {
  return fs::read_symlink("/proc/self/exe").replace_filename(name);
}

std::ostream& operator<<(std::ostream& out, const Seen& seen) {
  if (seen.unreadable != GH_READABLE) return out << "unreadable(" << seen.unreadable << ")";
  return out << ::testing::PrintToString(seen.path);
}

// ---- workspace
// -----------------------------------------------------------------------------------------

Workspace::Workspace() {
  char directory[] = "/tmp/gatehouse-bypass.XXXXXX";
  if (mkdtemp(directory) == nullptr) Die("mkdtemp");
  path_ = directory;
  NewMountNamespace();
  MountTmpfs(path_);
}

Workspace::~Workspace() {
  umount2(path_.c_str(), MNT_DETACH);
  rmdir(path_.c_str());
}

std::string Workspace::MakeDirectory() {
  const std::string directory = path_ + "/" + std::to_string(made_++);
  fs::create_directory(directory);
  fs::permissions(directory, fs::perms(0755));
  return directory;
}

// ---- gate
// ----------------------------------------------------------------------------------------------

Gate::Gate(kernel::Options options) {
  options.backend = BackendFromEnvironment();
  options.base_events = kernel::BaseEvents::kOff;
  kernel_ = Need(kernel::Load(options, strings_), "load");
}

compile::ProgramPtr Gate::Compile(const Policy& policy, const std::vector<std::string>& paths) {
  compile::Rule rule;
  rule.actions = GH_ACTION_POST | GH_ACTION_OVERRIDE;
  rule.error = -EPERM;
  const std::vector<std::string_view> values(paths.begin(), paths.end());
  rule.filters.push_back(
      {.negated = policy.list == List::kAllow, .set = sets_.Make(GH_MATCH_EXACT, values)});
  return OneRule(policy.site, std::move(rule));
}

void Gate::Enforce(const Policy& policy, const std::vector<std::string>& paths,
                   const std::string& workload) {
  compile::Rule post;
  post.actions = GH_ACTION_POST;
  bind::Delta delta;
  if (witness_ != 0) delta.removed = {witness_, policy_};
  witness_ = next_++;
  policy_ = next_++;
  if (workload_ == 0) {
    workload_ = kWorkload;
    Need(kernel_->Track(workload_, workload), "track");
  }
  delta.added = {{witness_, OneRule(policy.site, post)}, {policy_, Compile(policy, paths)}};
  delta.groups = {{workload_, {witness_, policy_}}};
  Need(kernel_->Apply(delta), "apply");
}

void Gate::Withdraw() {
  if (witness_ == 0) return;
  Need(kernel_->Apply({.added = {}, .removed = {witness_, policy_}, .groups = {{workload_, {}}}}),
       "withdraw");
  kernel_->Untrack(workload_);
  witness_ = policy_ = workload_ = 0;
}

Attempt Gate::Events(const std::string& fence_path, const std::function<void()>& fence) {
  Attempt attempt;
  bool complete = false;
  const auto take = [&](std::span<const std::byte> record) {
    const event::Record decoded = Need(event::Decode(record), "decode");
    const auto* event = std::get_if<event::PolicyRecord>(&decoded);
    if (event == nullptr) return;
    Denial denial = ToDenial(*event);
    if (denial.object.path == fence_path) {
      complete = complete || event->instance == witness_;
    } else if (event->instance == witness_) {
      attempt.seen.push_back(std::move(denial.object));
    } else if (event->instance == policy_) {
      attempt.denials.push_back(std::move(denial));
    }
  };
  fence();
  const auto deadline = std::chrono::steady_clock::now() + kEventDeadline;
  while (!complete && std::chrono::steady_clock::now() < deadline) {
    Need(kernel_->PollEvents(100ms, take), "poll");
  }
  if (!complete) Die("the events of " + fence_path + " did not come");
  return attempt;
}

// ---- way
// -----------------------------------------------------------------------------------------------

void Way::SetUpTestSuite() {
  workspace_ = std::make_unique<Workspace>();
  gate_ = std::make_unique<Gate>(kernel::Options{});
}

void Way::TearDownTestSuite() {
  gate_.reset();
  workspace_.reset();
}

void Way::SetUp() {
  directory_ = workspace_->MakeDirectory();
  cgroup_ = std::make_unique<Cgroup>("bypass");
  workload_ = cgroup_->MakeChild("workload");
  sibling_ = cgroup_->MakeChild("sibling");
  InstallGood(allowed());
  InstallEvil(denied());
  InstallEvil(other());
  InstallGood(Path("fence"));
  Enforce({allow_list() ? allowed() : denied()});
}

void Way::TearDown() {
  gate_->Withdraw();
  cgroup_.reset();
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

void Way::Enforce(const std::vector<std::string>& paths) {
  gate_->Enforce(GetParam(), paths, workload_);
}

void Way::Install(const std::string& program, const std::string& path) const {
  fs::create_directories(fs::path(path).parent_path());
  fs::copy_file(program, path, fs::copy_options::overwrite_existing);
}

Attempt Way::Try(Gate& gate, const std::function<int()>& execute) {
  const auto in_workload = [&](const std::function<int()>& what) {
    return cgroup_->Run([&] {
      Must(Write(workload_ + "/cgroup.procs", "0") ? 0 : -1, "enter the workload");
      return Guarded(what);
    });
  };
  const Outcome outcome = in_workload(execute);
  const std::string fence = Path("fence");
  Attempt attempt = gate.Events(fence, [&] { (void)in_workload([&] { return Exec(fence); }); });
  attempt.outcome = outcome;
  return attempt;
}

Attempt Way::Try(const std::string& program, std::vector<std::string> arguments) {
  return Try([&] { return Exec(program, arguments); });
}

std::vector<Seen> Way::Steps(std::vector<Seen> files) const {
  if (by_signal()) return {files.back()};
  if (once()) return {files.front()};
  return files;
}

void Way::ExpectDenial(const Attempt& attempt, const Seen& object) const {
  ASSERT_EQ(attempt.denials.size(), 1U);
  const Denial& denial = attempt.denials.front();
  EXPECT_EQ(denial.object, object);
  EXPECT_EQ(denial.hook, once() ? GH_HOOK_BPRM_CREDS_FOR_EXEC : GH_HOOK_BPRM_CHECK);
  EXPECT_EQ(denial.error, -EPERM);
  EXPECT_EQ(denial.flags, by_signal() ? GH_POLICY_BY_SIGNAL : 0);
}

void Way::ExpectStopped(const Attempt& attempt, const std::vector<Seen>& seen) const {
  EXPECT_EQ(attempt.outcome, by_signal() ? Killed(SIGKILL) : Denied(EPERM));
  EXPECT_EQ(attempt.seen, seen);
  ExpectDenial(attempt, seen.back());
}

void Way::ExpectRuns(const Attempt& attempt, int status, const std::vector<Seen>& seen) const {
  EXPECT_EQ(attempt.outcome, Allowed(status));
  EXPECT_EQ(attempt.seen, seen);
  EXPECT_TRUE(attempt.denials.empty());
}

void Way::ExpectListed(const Attempt& attempt, int status, const std::vector<Seen>& seen) const {
  if (allow_list()) {
    ExpectRuns(attempt, status, seen);
  } else {
    ExpectStopped(attempt, seen);
  }
}

void Way::ExpectUnlisted(const Attempt& attempt, int status, const std::vector<Seen>& seen) const {
  if (allow_list()) {
    ExpectStopped(attempt, seen);
  } else {
    ExpectRuns(attempt, status, seen);
  }
}

}  // namespace gatehouse::bypass
