// SPDX-License-Identifier: Apache-2.0
// Updates under fire: policies change while programs run. Every verdict is of the image before or
// of the image after, and nothing is counted twice or not at all.
#include <gmock/gmock.h>

#include <atomic>
#include <deque>
#include <thread>

#include "fixture.h"
#include "settings.h"
#include "workers.h"

namespace gatehouse::test {
namespace {

constexpr size_t kProcesses = 4;

/// Reads all events in a thread of its own, and counts those of policies by name.
class EventCounter {
 public:
  explicit EventCounter(Gatehouse& gatehouse)
      : gatehouse_(gatehouse), thread_([this] { Read(); }) {}
  ~EventCounter() { Finish(); }
  EventCounter(const EventCounter&) = delete;
  EventCounter& operator=(const EventCounter&) = delete;

  /// Events of one policy, after everything has been read.
  uint64_t Finish(const std::string& policy = {}) {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    return counts_[policy];
  }

 private:
  void Read() {
    while (true) {
      const bool last = stopping_;
      size_t records = 0;
      const auto polled = gatehouse_.kernel().PollEvents(
          std::chrono::milliseconds(200), [&](std::span<const std::byte> bytes) {
            ++records;
            const auto record = event::Decode(bytes);
            const auto* policy = record ? std::get_if<event::PolicyRecord>(&*record) : nullptr;
            const auto info = policy == nullptr
                                  ? nullptr
                                  : gatehouse_.resolver().instances().Find(policy->instance);
            ++counts_[info == nullptr ? "unknown" : info->key.name];
          });
      if (last && (!polled || records == 0)) return;
    }
  }

  Gatehouse& gatehouse_;
  std::atomic<bool> stopping_ = false;
  std::map<std::string, uint64_t> counts_;
  std::thread thread_;
};

class Fire : public ::testing::Test {
 protected:
  static kernel::Options Options() {
    kernel::Options options;
    options.base_events = kernel::BaseEvents::kOff;
    return options;
  }

  /// The two policies in one of the two states; in a mixture `c` would be refused by both or by
  /// none.
  std::string State(bool second) const {
    PolicyText p = OneRule("p", {Object("In", {"/none"})}, {Override(EIO)}), q = p;
    q.name = "q";
    PolicyText& active = second ? q : p;
    active.hooks[0].selectors = {{{Object("In", {c_})}, {Override(second ? EBUSY : EACCES)}},
                                 {{Object("In", {second ? a_ : b_})}, {Override(EPERM)}}};
    return Text(p) + Text(q);
  }
  /// New strings, and a set of them.
  static PolicyText Bulk(int number, int values) {
    std::vector<std::string> paths;
    for (int i = 0; i < values; ++i)
      paths.push_back("/opt/" + std::to_string(number) + "/program-" + std::to_string(i));
    return OneRule("bulk", {Object("In", paths)}, {NoPost()});
  }
  static const Tally& TallyOf(const Workers& workers, char program) {
    return workers.tally(0, static_cast<size_t>(program - 'a'));
  }

  Gatehouse gatehouse_{Options()};
  ProgramTree programs_;
  const Cgroup cgroup_{"app"};
  const std::string a_ = programs_.Add("a"), b_ = programs_.Add("b"), c_ = programs_.Add("c");
};

TEST_F(Fire, EveryVerdictIsOfOneImage) {
  const uint64_t flips_min = Setting("GATEHOUSE_FLIPS", 300),
                 runs_min = Setting("GATEHOUSE_RUNS", 4000);
  (void)Must(gatehouse_.AddWorkload(cgroup_.path(), {}));
  Must(gatehouse_.Apply(OneRule("everything", {}, {NoPost()})));
  Must(gatehouse_.Apply(State(false)));
  const uint64_t arena_before = gatehouse_.kernel().status().image.arena_bytes;

  Workers workers({{.cgroup = cgroup_.path(), .programs = {a_, b_, c_}, .processes = kProcesses}},
                  std::nullopt, 0);
  EventCounter events(gatehouse_);
  std::deque<std::pair<Cgroup, bind::WorkloadId>> others;
  uint64_t flips = 0;
  for (; flips < flips_min || workers.Runs() < runs_min; ++flips) {
    Must(gatehouse_.Apply(State(flips % 2 == 0)));
    if (flips % 3 == 0) {  // workloads come and go
      auto& [cgroup, id] = others.emplace_back(std::piecewise_construct,
                                               std::forward_as_tuple("w" + std::to_string(flips)),
                                               std::forward_as_tuple(0));
      id = Must(gatehouse_.AddWorkload(cgroup.path(), {}))->id;
      if (others.size() > 8) {
        Must(gatehouse_.RemoveWorkload(others.front().second));
        others.pop_front();
      }
    }
    if (flips % 16 == 1) {  // more strings and larger sets, up to some size, and again
      const int step = static_cast<int>(flips / 16 % 8);
      Must(gatehouse_.Apply(Bulk(static_cast<int>(flips), 1000 << step / 2)));
    }
  }
  workers.Stop();
  const uint64_t p = events.Finish("p"), q = events.Finish("q");
  const uint64_t lost = gatehouse_.Counter("events_lost_policy");
  std::cout << flips << " flips, " << workers.Runs() << " programs run, " << lost
            << " events lost, arena from " << arena_before << " to "
            << gatehouse_.kernel().status().image.arena_bytes << " bytes\n";

  const Tally &a = TallyOf(workers, 'a'), &b = TallyOf(workers, 'b'), &c = TallyOf(workers, 'c');
  EXPECT_EQ(c.allowed, 0) << "a mixture that refuses nothing";
  if (gatehouse_.denies()) {
    EXPECT_EQ(c.denied[EACCES] + c.denied[EBUSY], c.Runs());
    EXPECT_EQ(a.allowed + a.denied[EPERM], a.Runs());
    EXPECT_EQ(b.allowed + b.denied[EPERM], b.Runs());
    EXPECT_GT(c.denied[EACCES], 0);
    EXPECT_GT(c.denied[EBUSY], 0);
  } else {
    EXPECT_EQ(c.killed[SIGKILL], c.Runs());
    EXPECT_EQ(a.allowed + a.killed[SIGKILL], a.Runs());
    EXPECT_EQ(b.allowed + b.killed[SIGKILL], b.Runs());
  }
  EXPECT_GT(a.allowed, 0);
  EXPECT_GT(a.Refused(), 0);
  EXPECT_GT(b.allowed, 0);
  EXPECT_GT(b.Refused(), 0);
  // Each refusal was by one policy, and told once: more would be a mixture that refuses twice.
  EXPECT_EQ(p + q + lost, a.Refused() + b.Refused() + c.Refused());
  EXPECT_EQ(events.Finish("unknown"), 0);
  EXPECT_EQ(gatehouse_.Hits("everything"), workers.Runs())
      << "while the arena was replaced under it";
  EXPECT_GT(gatehouse_.kernel().status().image.arena_bytes, arena_before)
      << "the arena grew meanwhile";
  EXPECT_EQ(gatehouse_.Counter("scratch_exhausted"), 0);
}

TEST_F(Fire, WorkloadThatIsReplacedIsNeverWithoutPolicy) {
  // The policies of a workload change with its labels; one of two lists holds at every moment.
  const uint64_t flips_min = Setting("GATEHOUSE_FLIPS", 300),
                 runs_min = Setting("GATEHOUSE_RUNS", 4000);
  PolicyText even = OneRule("even", {Object("NotIn", {a_})}, {Override(EACCES)}),
             odd = OneRule("odd", {Object("NotIn", {b_})}, {Override(EBUSY)});
  even.pods = {{"side", "even"}};
  odd.pods = {{"side", "odd"}};
  Must(gatehouse_.Apply(Text(even) + Text(odd)));
  workload::Workload identity;
  identity.labels = {{"side", "even"}};
  const auto workload = Must(gatehouse_.AddWorkload(cgroup_.path(), identity));

  Workers workers({{.cgroup = cgroup_.path(), .programs = {a_, b_, c_}, .processes = kProcesses}},
                  std::nullopt, 0);
  EventCounter events(gatehouse_);
  for (uint64_t flips = 0; flips < flips_min || workers.Runs() < runs_min; ++flips) {
    Must(gatehouse_.Relabel(workload->id, {{"side", flips % 2 == 0 ? "odd" : "even"}}));
  }
  workers.Stop();
  const uint64_t told = events.Finish("even") + events.Finish("odd");
  const Tally &a = TallyOf(workers, 'a'), &b = TallyOf(workers, 'b'), &c = TallyOf(workers, 'c');
  EXPECT_EQ(c.allowed, 0);
  if (gatehouse_.denies()) {
    EXPECT_EQ(c.denied[EACCES] + c.denied[EBUSY], c.Runs());
    EXPECT_EQ(a.allowed + a.denied[EBUSY], a.Runs());
    EXPECT_EQ(b.allowed + b.denied[EACCES], b.Runs());
  }
  EXPECT_EQ(told + gatehouse_.Counter("events_lost_policy"),
            a.Refused() + b.Refused() + c.Refused());
}

}  // namespace
}  // namespace gatehouse::test
