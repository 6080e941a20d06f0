// SPDX-License-Identifier: Apache-2.0
// The kernel against the semantics written as code (eval/): random policies, workloads and
// programs; verdicts and events must agree. GATEHOUSE_SEED repeats a run, GATEHOUSE_CASES says how
// many.
#include <gmock/gmock.h>

#include <algorithm>
#include <deque>
#include <filesystem>
#include <random>

#include "eval/evaluator.h"
#include "fixture.h"
#include "policy/catalog.h"
#include "policy/parse.h"
#include "policy/sites.h"
#include "settings.h"

namespace gatehouse::test {
namespace {

constexpr size_t kProgramsPerRound = 6;  // by each workload
constexpr size_t kMismatchesShown = 3;

/// Draws from what a small world has: values that hit often, labels that overlap.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  size_t Below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(engine_); }
  size_t Between(size_t least, size_t most) { return least + Below(most - least + 1); }
  bool Percent(size_t percent) { return Below(100) < percent; }
  template <typename T>
  const T& Of(const std::vector<T>& list) {
    return list[Below(list.size())];
  }
  template <typename T>
  void Shuffle(std::vector<T>& list) {
    std::shuffle(list.begin(), list.end(), engine_);
  }

 private:
  std::mt19937_64 engine_;
};

/// Makes policies about the programs of a tree.
class Author {
 public:
  Author(Random& random, std::vector<std::string> programs, std::string self, bool binaries)
      : random_(random),
        programs_(std::move(programs)),
        self_(std::move(self)),
        binaries_(binaries) {}

  /// A text of several documents.
  std::vector<std::string> Documents() {
    std::vector<std::string> texts;
    for (size_t i = random_.Between(1, 5); i > 0; --i)
      texts.push_back(
          Text(Policy(std::string("p") + char('a' + random_.Below(3)) + std::to_string(i))));
    if (random_.Percent(50)) AddTemplate(texts);
    random_.Shuffle(texts);
    return texts;
  }

 private:
  std::string ExactValue(const std::string& path) {
    switch (random_.Below(4)) {
      case 0:
        return path.substr(0, path.rfind('/'));
      case 1:
        return path + "a";
      default:
        return path;
    }
  }
  std::string HeadValue(const std::string& path) {
    const std::string head = path.substr(0, random_.Between(1, path.size()));
    return random_.Percent(15) ? head + "a" : head;
  }
  std::string TailValue(const std::string& path) {
    const std::string tail =
        path.substr(path.size() - random_.Between(1, std::min<size_t>(path.size(), 300)));
    return random_.Percent(15) ? "a" + tail : tail;
  }
  /// The path with some of its bytes, or of its end, as a pattern.
  std::string GlobValue(std::string path) {
    const size_t at = random_.Between(1, path.size() - 1);
    switch (random_.Below(5)) {
      case 0:
        return path.substr(0, at) + "**";
      case 1:
        return "**" + path.substr(at);
      case 2:
        return path.substr(0, path.rfind('/')) + "/*";
      case 3:
        return path.substr(0, at) + "*" + path.substr(std::min(path.size(), at + 3));
      default:
        path[at] = '?';
        return path;
    }
  }
  std::string Value(const std::string& op, const std::string& path) {
    std::string value = op.ends_with("Prefix")    ? HeadValue(path)
                        : op.ends_with("Postfix") ? TailValue(path)
                        : op.ends_with("Glob")    ? GlobValue(path)
                        : op == "SubString"       ? TailValue(HeadValue(path))
                                                  : ExactValue(path);
    return value.size() < GH_PATH_MAX ? value : path;
  }
  FilterText Filter(bool binary) {
    static const std::vector<std::string> kOperators{
        "Equal",      "NotEqual", "In",      "NotIn", "Prefix",   "NotPrefix", "Postfix",
        "NotPostfix", "Glob",     "NotGlob", "InDir", "NotInDir", "SubString"};
    FilterText filter{.op = random_.Of(kOperators), .binary = binary};
    for (size_t i = random_.Between(1, 4); i > 0; --i) {
      filter.values.push_back(
          Value(filter.op, binary && random_.Percent(20) ? self_ : random_.Of(programs_)));
    }
    return filter;
  }
  std::vector<ActionText> Actions() {
    static const std::vector<int> kErrnos{EPERM, EACCES, ENOENT, EBUSY, EIO};
    std::vector<ActionText> actions;
    const size_t kind = random_.Below(100);
    if (kind < 50) actions.push_back(Override(random_.Of(kErrnos)));
    if (kind >= 45 && kind < 50) actions.push_back(Sigkill());
    if (kind >= 50 && kind < 56) actions.push_back(Sigkill());
    if (kind >= 56 && kind < 60) actions.push_back(Signal(SIGUSR1));
    if (kind >= 60 && kind < 65) actions.push_back(Signal(SIGCONT));
    if (random_.Percent(20)) actions.push_back(NoPost());
    random_.Shuffle(actions);
    return actions;
  }
  HookText Hook(bool lsm) {
    HookText hook;
    const bool check = random_.Percent(35);
    hook.lsm = lsm;
    hook.call = lsm ? (check ? "bprm_check_security" : "bprm_creds_for_exec")
                    : std::string(check ? kCheck : kCredsForExec);
    for (size_t i = random_.Below(4); i > 0; --i) {
      SelectorText selector;
      for (size_t n = random_.Below(3); n > 0; --n) selector.filters.push_back(Filter(false));
      if (binaries_ && random_.Percent(35)) selector.filters.push_back(Filter(true));
      selector.actions = Actions();
      hook.selectors.push_back(std::move(selector));
    }
    return hook;
  }
  LabelText Pods() {
    LabelText pods;
    if (random_.Percent(50)) pods["app"] = random_.Percent(50) ? "x" : "y";
    if (random_.Percent(20)) pods["tier"] = "front";
    return pods;
  }
  PolicyText Policy(std::string name) {
    PolicyText policy{.name = std::move(name), .pods = Pods()};
    if (random_.Percent(25)) policy.ns = random_.Percent(50) ? "n1" : "n2";
    const bool lsm = random_.Percent(50);
    for (size_t i = random_.Between(1, 2); i > 0; --i) policy.hooks.push_back(Hook(lsm));
    policy.monitor = random_.Percent(20);
    return policy;
  }
  void AddTemplate(std::vector<std::string>& texts) {
    FilterText filter = Filter(false);
    // The variable's values are exact ones, however the template compares with them.
    filter.values.clear();
    filter.variable = "values";
    PolicyText tmpl{.name = "template", .variables = {"values"}};
    HookText hook;
    hook.selectors.push_back({{filter}, Actions()});
    tmpl.hooks.push_back(std::move(hook));
    tmpl.monitor = random_.Percent(10);
    texts.push_back(Text(tmpl));
    for (size_t i = random_.Between(1, 3); i > 0; --i) {
      BindingText binding{
          .name = "b" + std::to_string(i), .template_name = "template", .pods = Pods()};
      for (size_t n = random_.Between(1, 4); n > 0; --n)
        binding.values["values"].push_back(random_.Of(programs_));
      binding.merge = random_.Percent(40);
      binding.override_allowed = random_.Percent(60);
      binding.override_priority = static_cast<int>(random_.Below(2));
      texts.push_back(Text(binding));
    }
  }

  Random& random_;
  const std::vector<std::string> programs_;
  const std::string self_;
  const bool binaries_;
};

/// What must come of one attempt.
struct Expectation {
  std::vector<Outcome> outcomes;  ///< one of these
  std::vector<Posted> posted;     ///< all of these
  std::vector<Posted> perhaps;    ///< and all or none of these: what a dying process still reaches
};

std::string NameOf(const eval::Post& post) {
  if (post.members.size() < 2) return post.key.ToString();
  std::string name;
  for (const policy::Key& member : post.members) name += (name.empty() ? "" : "+") + member.name;
  return name;
}

class Differential : public KernelTest {
 protected:
  std::vector<Posted> PostsOf(const eval::Verdict& verdict, uint16_t hook,
                              const std::string& object, bind::WorkloadId workload) const {
    std::vector<Posted> posted;
    for (const eval::Post& post : verdict.posts) {
      Posted one{.policy = NameOf(post),
                 .object = object,
                 .hook = hook,
                 .selector = post.selector,
                 .error = post.error,
                 .workload = workload};
      if (post.error != 0) one.actions |= GH_ACTION_OVERRIDE;
      if (!post.signals.empty()) {
        one.actions |= GH_ACTION_SIGNAL;
        one.signal = post.signals.front();
      }
      one.flags = post.monitor      ? GH_POLICY_MONITOR
                  : post.error != 0 ? gatehouse().DenialFlags()
                                    : 0;
      posted.push_back(one);
    }
    return posted;
  }
  static void AddKills(const eval::Verdict& verdict, std::vector<Outcome>& outcomes) {
    for (const int signal : verdict.signals) {
      if (signal != SIGCONT) outcomes.push_back(Killed(signal));  // the first of them that is sent
    }
  }

  /// Both hooks for one program of the chain; true if the program may run.
  bool Judge(const workload::Workload& workload, const std::string& object,
             const std::string& binary, Expectation& expected) const {
    const auto judge = [&](const policy::Site& site) {
      return eval::Evaluate(policies_, &workload,
                            {.site = site, .values = {{0, object}}, .binary = binary});
    };
    const eval::Verdict creds = judge(policy::kCredsForExec), check = judge(policy::kBprmCheck);
    const auto creds_posts = PostsOf(creds, GH_HOOK_BPRM_CREDS_FOR_EXEC, object, workload.id),
               check_posts = PostsOf(check, GH_HOOK_BPRM_CHECK, object, workload.id);
    expected.posted.insert(expected.posted.end(), creds_posts.begin(), creds_posts.end());
    AddKills(creds, expected.outcomes);
    if (!gatehouse().denies()) {  // one place for both
      expected.posted.insert(expected.posted.end(), check_posts.begin(), check_posts.end());
      AddKills(check, expected.outcomes);
      if (creds.error != 0 || check.error != 0) expected.outcomes.push_back(Killed(SIGKILL));
      return expected.outcomes.empty();
    }
    const bool dying = !expected.outcomes.empty();
    if (creds.error != 0) {
      if (!dying) expected.outcomes.push_back(Denied(-creds.error));
      return false;
    }
    if (dying) {
      expected.perhaps = check_posts;
      AddKills(check, expected.outcomes);
      return false;
    }
    expected.posted.insert(expected.posted.end(), check_posts.begin(), check_posts.end());
    AddKills(check, expected.outcomes);
    if (expected.outcomes.empty() && check.error != 0)
      expected.outcomes.push_back(Denied(-check.error));
    return expected.outcomes.empty();
  }

  Expectation Expect(const workload::Workload& workload,
                     const std::vector<std::string>& chain) const {
    Expectation expected;
    std::string binary = self_;
    for (const std::string& program : chain) {
      if (!Judge(workload, program, binary, expected)) return expected;
      binary = program;
    }
    expected.outcomes.push_back(Allowed());
    return expected;
  }

  /// Puts exactly these documents in force: all at once, or one after the other.
  void Install(const std::vector<std::string>& texts, bool at_once) {
    std::string all;
    for (const std::string& text : texts) all += text;
    auto parsed = policy::Parse(all, "random");
    if (!parsed) throw std::runtime_error(parsed.error().front().ToString() + "\n" + all);
    const auto clear = [&](bind::Resolver::Transaction& transaction) -> Result<void> {
      for (const bind::PolicyStatus& status : gatehouse().resolver().List())
        GH_TRY(transaction.Remove(status.key));
      return {};
    };
    documents_ = std::move(*parsed);
    policies_.clear();
    for (const policy::Document& document : documents_)
      policies_.push_back({.document = &document, .enabled = true, .mode = {}});
    if (at_once) {
      Must(gatehouse().Change([&](bind::Resolver::Transaction& transaction) -> Result<void> {
        GH_TRY(clear(transaction));
        for (const policy::Document& document : documents_) GH_TRY(transaction.Add(document));
        return {};
      }));
      return;
    }
    Must(gatehouse().Change(clear));
    for (const policy::Document& document : documents_) {
      Must(gatehouse().Change(
          [&](bind::Resolver::Transaction& transaction) { return transaction.Add(document); }));
    }
  }

  const std::string self_ = std::filesystem::read_symlink("/proc/self/exe").string();
  std::vector<policy::Document> documents_;
  std::vector<eval::Policy> policies_;
};

struct Case {
  Expectation expected;
  Attempt attempt;
  std::string what;
};

/// Whether the events of an attempt are as expected; both sorted.
bool Agrees(const Case& one, std::vector<Posted> posted) {
  std::vector<Posted> least = one.expected.posted, most = one.expected.posted;
  most.insert(most.end(), one.expected.perhaps.begin(), one.expected.perhaps.end());
  std::ranges::sort(least);
  std::ranges::sort(most);
  std::ranges::sort(posted);
  return std::ranges::find(one.expected.outcomes, one.attempt.outcome) !=
             one.expected.outcomes.end() &&
         (posted == least || posted == most);
}

TEST_F(Differential, KernelAgreesWithTheEvaluator) {
  const uint64_t seed = Setting("GATEHOUSE_SEED", std::random_device{}()),
                 cases_wanted = Setting("GATEHOUSE_CASES", 2000);
  std::cout << "seed " << seed << " (GATEHOUSE_SEED=" << seed << " repeats this run)\n"
            << std::flush;
  Random random(seed);

  std::vector<std::string> programs;
  for (const char* directory : {"", "a/", "b/", "ab/", "a/b/", "a/b/ab/", "ba/a/"}) {
    for (const char* name : {"a", "b", "ab"}) {
      // "a" and "b" are directories as well, so a program of that name ends in a dot.
      programs.push_back(programs_.Add(std::string(directory) + name + "."));
    }
  }
  programs.push_back(programs_.Add("a/" + std::string(GH_NAME_MAX, 'a')));
  programs.push_back(
      programs_.Add(std::string(GH_NAME_MAX, 'b') + "/" + std::string(GH_NAME_MAX, 'a')));
  programs.push_back(programs_.AddOfLength(1000));
  programs.push_back(programs_.AddOfLength(GH_PATH_MAX - 1));
  Author author(random, programs, self_, gatehouse().KnowsBinary());

  std::deque<Cgroup> cgroups;
  std::vector<workload::WorkloadPtr> workloads;
  const auto add = [&](std::string ns, workload::Labels labels) {
    workload::Workload identity;
    identity.ns = std::move(ns);
    identity.labels = std::move(labels);
    const std::string name = "w" + std::to_string(cgroups.size());
    workloads.push_back(
        Must(gatehouse().AddWorkload(cgroups.emplace_back(name).path(), std::move(identity))));
  };
  add("", {{"app", "x"}});
  add("n1", {{"app", "x"}, {"tier", "front"}});
  add("n2", {{"app", "y"}, {"tier", "front"}});
  add("n1", {});

  uint64_t cases = 0, mismatches = 0, allowed = 0, denied = 0, killed = 0, events = 0;
  while (cases < cases_wanted && mismatches < kMismatchesShown) {
    const std::vector<std::string> texts = author.Documents();
    Install(texts, random.Percent(50));
    std::map<pid_t, Case> run;
    for (size_t w = 0; w < workloads.size(); ++w) {
      for (size_t i = 0; i < kProgramsPerRound; ++i) {
        std::vector<std::string> chain{random.Of(programs)};
        if (random.Percent(60)) chain.push_back(random.Of(programs));
        Case one{.expected = Expect(*workloads[w], chain),
                 .attempt = cgroups[w].TryChain(chain),
                 .what = workloads[w]->Name()};
        for (const std::string& program : chain) one.what += " -> " + program;
        (one.attempt.outcome.kind == Outcome::Kind::kAllowed  ? allowed
         : one.attempt.outcome.kind == Outcome::Kind::kDenied ? denied
                                                              : killed)++;
        run.emplace(one.attempt.pid, std::move(one));
        ++cases;
      }
    }
    std::map<pid_t, std::vector<Posted>> posted;
    for (Posted& one : gatehouse().TakePosted()) {
      const pid_t pid = std::exchange(one.pid, 0);  // the expectation does not know it
      posted[pid].push_back(std::move(one));
      ++events;
    }
    for (const auto& [pid, one] : run) {
      if (Agrees(one, posted[pid])) continue;
      ++mismatches;
      std::string text;
      for (const std::string& document : texts) text += document;
      ADD_FAILURE() << "seed " << seed << ", " << one.what << "\nexpected "
                    << ::testing::PrintToString(one.expected.outcomes) << " with events "
                    << ::testing::PrintToString(one.expected.posted) << " and perhaps "
                    << ::testing::PrintToString(one.expected.perhaps) << "\ngot "
                    << one.attempt.outcome << " with events "
                    << ::testing::PrintToString(posted[pid]) << "\npolicies:\n"
                    << text;
      if (mismatches >= kMismatchesShown) break;
    }
  }
  std::cout << cases << " cases: " << allowed << " allowed, " << denied << " denied, " << killed
            << " killed; " << events << " events\n";
}

}  // namespace
}  // namespace gatehouse::test
