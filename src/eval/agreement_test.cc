// SPDX-License-Identifier: Apache-2.0
// Random worlds of policies, templates, bindings and workloads, brought about in random ways: the
// resolver must always arrive at the same end, and its compiled programs must judge as the
// evaluator.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <set>

#include "bind/resolver.h"
#include "bind/test_documents.h"
#include "eval/evaluator.h"
#include "glob/automaton.h"
#include "policy/catalog.h"
#include "policy/sites.h"

namespace gatehouse::eval {
namespace {

using namespace gatehouse::test;
using policy::Mode;
using policy::Operator;

constexpr int kWorlds = 600;
constexpr int kWaysPerWorld = 3;
constexpr int kOperationsPerWorkload = 12;

constexpr char kTwoVariables[] = "u";  // name of the template with a second variable

const std::vector<std::string> kPaths = {"/bin/ls", "/bin/lsx", "/bin/sh",      "/usr/bin/ls",
                                         "/opt/a",  "/opt/ab",  "/opt/ab/c.sh", "/run/b.sh",
                                         "/b",      "/"};
const std::vector<std::string> kParts = {"/bin/", "/opt/a", "/opt/ab", ".sh",
                                         "ls",    "/",      "/usr",    "b"};
const std::vector<std::string> kPatterns = {"/bin/*", "/opt/a?", "**/[a-l]*", "/usr/**", "/*b*"};

/// Everything that is true in the end.
struct World {
  struct Object {
    policy::Document document;
    bool enabled = true;
    std::optional<Mode> mode;
  };
  std::vector<Object> objects;
  std::vector<workload::Workload> workloads;
};

class Generator {
 public:
  explicit Generator(uint64_t seed) : random_(seed) {}

  size_t Below(size_t n) { return std::uniform_int_distribution<size_t>(0, n - 1)(random_); }
  bool Chance(int percent) { return Below(100) < static_cast<size_t>(percent); }
  template <typename T>
  const T& Pick(const std::vector<T>& list) {
    return list[Below(list.size())];
  }
  template <typename T>
  std::vector<T> Some(const std::vector<T>& list, size_t at_most) {
    std::vector<T> some;
    for (size_t n = 1 + Below(at_most); n > 0; --n) some.push_back(Pick(list));
    std::sort(some.begin(), some.end());
    some.erase(std::unique(some.begin(), some.end()), some.end());
    return some;
  }

  World MakeWorld() {
    World world;
    merges_ = Pick<int>({10, 50, 95});
    for (const char* name : {"t", "u"}) {
      if (Chance(90)) world.objects.push_back(Object(MakeTemplate(name)));
    }
    std::set<policy::Key> keys;
    for (size_t n = Below(9); n > 0; --n) {
      policy::Document binding = MakeBinding(
          Pick<std::string>({"t-x", "t-y", "u-x", "b1", "b2", "b3"}), MakeNamespace(20));
      if (keys.insert(binding.key()).second) world.objects.push_back(Object(std::move(binding)));
    }
    for (size_t n = Below(6); n > 0; --n) {
      policy::Document policy =
          MakePolicy(Pick<std::string>({"a", "b", "c", "p1", "p2"}), MakeNamespace(25));
      if (keys.insert(policy.key()).second) world.objects.push_back(Object(std::move(policy)));
    }
    for (bind::WorkloadId id = 1; id <= 1 + Below(5); ++id) {
      world.workloads.push_back(MakeWorkload(id));
    }
    return world;
  }

  policy::Document MakeDocument(const policy::Key& key) {
    if (key.ns.empty() && Chance(20)) return MakeTemplate(key.name);
    return Chance(50) ? MakePolicy(key.name, key.ns) : MakeBinding(key.name, key.ns);
  }

  workload::Workload MakeWorkload(bind::WorkloadId id) {
    workload::Labels labels;
    for (const char* key : {"app", "tier"}) {
      if (Chance(60)) labels[key] = Pick<std::string>({"a", "b", ""});
    }
    if (Chance(30)) labels["tetragon-t"] = Pick<std::string>({"x", "y", "z", ""});
    if (Chance(20)) labels["tetragon-u"] = "x";
    if (Chance(25)) return Plain(id, std::move(labels));
    workload::Workload pod =
        Pod(id, Pick<std::string>({"web", "db"}), std::move(labels),
            Pick<std::string>({"shop", "bank"}), Pick<std::string>({"main", "side"}));
    pod.sandbox = Chance(5);
    return pod;
  }

  Operation MakeOperation() {
    Operation operation;
    operation.site = Chance(70) ? policy::kCredsForExec : policy::kBprmCheck;
    if (Chance(85)) operation.values[0] = Pick(kPaths);
    if (Chance(85)) operation.binary = Pick(kPaths);
    return operation;
  }

 private:
  World::Object Object(policy::Document document) {
    World::Object object{std::move(document), Chance(85), std::nullopt};
    if (Chance(20)) object.mode = Chance(50) ? Mode::kMonitor : Mode::kEnforce;
    return object;
  }
  std::string MakeNamespace(int percent) {
    return Chance(percent) ? Pick<std::string>({"shop", "bank"}) : std::string();
  }

  policy::LabelRequirement MakeRequirement(const std::vector<std::string>& keys,
                                           const std::vector<std::string>& values) {
    std::string key = Pick(keys);
    switch (Below(5)) {
      case 0:
        return NotIn(std::move(key), Some(values, 2));
      case 1:
        return Exists(std::move(key));
      case 2:
        return Absent(std::move(key));
      default:
        return In(std::move(key), Some(values, 2));
    }
  }
  policy::WorkloadSelector MakeSelector(bool may_be_host) {
    policy::WorkloadSelector selector;
    if (Chance(65)) {
      selector.pod.emplace();
      for (size_t n = Chance(40) ? 0 : Below(3); n > 0; --n) {
        selector.pod->requirements.push_back(
            Chance(20) ? MakeRequirement({std::string(workload::kNamespaceLabel)}, {"shop", "bank"})
                       : MakeRequirement({"app", "tier"}, {"a", "b", ""}));
      }
    }
    if (Chance(20)) {
      selector.container.emplace();
      selector.container->requirements.push_back(
          Chance(50) ? MakeRequirement({"name"}, {"main", "side"})
                     : MakeRequirement({"repo"}, {"docker.io/library/web"}));
    }
    selector.host = may_be_host && Chance(15);
    return selector;
  }

  std::shared_ptr<const policy::WorkloadSelector> MakeWorkloads() {
    policy::WorkloadSelector selector = MakeSelector(true);
    if (selector.Unconstrained()) return nullptr;
    return std::make_shared<const policy::WorkloadSelector>(std::move(selector));
  }

  policy::Values MakeValues(Operator op) {
    policy::Values values;
    const gh_match match = policy::TraitsOf(op, policy::ValueKind::kPath).match;
    values.literals = Some(match == GH_MATCH_EXACT     ? kPaths
                           : match == GH_MATCH_PATTERN ? kPatterns
                                                       : kParts,
                           4);
    return values;
  }
  policy::Filter MakeFilter(const std::vector<std::string>& variables) {
    const std::vector<Operator> operators = {
        Operator::kEqual,  Operator::kNotEqual,  Operator::kIn,      Operator::kNotIn,
        Operator::kPrefix, Operator::kNotPrefix, Operator::kPostfix, Operator::kNotPostfix,
        Operator::kGlob,   Operator::kNotGlob};
    policy::Filter filter;
    filter.op = Pick(operators);
    if (Chance(30)) filter.subject = policy::Subject::kBinary;
    if (!variables.empty() && Chance(60)) {
      filter.values.variable = Pick(variables);
    } else {
      filter.values = MakeValues(filter.op);
    }
    return filter;
  }
  policy::Spec MakeSpec(const std::vector<std::string>& variables) {
    policy::Spec spec;
    if (Chance(20)) spec.mode = Mode::kMonitor;
    for (size_t hooks = 1 + Below(2); hooks > 0; --hooks) {
      policy::Hook hook =
          ExecHook({}, Chance(75) ? "security_bprm_creds_for_exec" : "security_bprm_check");
      for (size_t selectors = Below(4); selectors > 0; --selectors) {
        policy::Selector selector;
        for (size_t n = Below(3); n > 0; --n) selector.filters.push_back(MakeFilter(variables));
        if (Chance(20)) selector.workloads = MakeWorkloads();
        if (Chance(25)) selector.actions.push_back(NoPost());
        if (Chance(40)) selector.actions.push_back(Deny(Chance(50) ? -EPERM : -EACCES));
        if (Chance(20)) selector.actions.push_back(Chance(50) ? Kill() : Signal(10));
        hook.selectors.push_back(std::move(selector));
      }
      spec.hooks.push_back(std::move(hook));
    }
    return spec;
  }
  policy::Document MakePolicy(std::string name, std::string ns) {
    const bool may_be_host = ns.empty();
    return PolicyDocument(std::move(name), MakeSelector(may_be_host), MakeSpec({}), std::move(ns));
  }
  policy::Document MakeTemplate(std::string name) {
    policy::Document document = AllowTemplate(std::move(name));
    auto& tmpl = std::get<policy::Template>(document.object);
    if (tmpl.key.name == kTwoVariables) tmpl.variables.push_back({"more", std::nullopt, {}});
    std::vector<std::string> names;
    names.reserve(tmpl.variables.size());
    for (const policy::Variable& variable : tmpl.variables) names.push_back(variable.name);
    tmpl.spec = MakeSpec(names);
    return document;
  }
  policy::Document MakeBinding(std::string name, std::string ns) {
    BindingOptions options;
    options.ns = std::move(ns);
    options.override_allowed = Chance(60);
    options.priority = static_cast<int64_t>(Below(3));
    if (Chance(merges_)) options.on_overlap = policy::OnOverlap::kMerge;
    if (Chance(8)) options.variable = "typo";
    policy::Document document =
        BindingDocument(std::move(name), Pick<std::string>({"t", "t", "u", "none"}),
                        MakeSelector(false), Some(kPaths, 4), options);
    auto& binding = std::get<policy::Binding>(document.object);
    const bool fits = Chance(92);
    if ((binding.template_name == kTwoVariables) == fits) {
      binding.values["more"].literals = Some(kParts, 3);
    }
    return document;
  }

  std::mt19937_64 random_;
  int merges_ = 50;  // per cent of bindings
};

/// What a kernel would hold: the deltas added up, each checked against the rules of bind::Delta.
class Image {
 public:
  void Apply(const bind::Delta& delta) {
    for (const auto& [id, program] : delta.added) {
      ASSERT_TRUE(programs_.emplace(id, program).second)
          << "instance " << id << " is there already";
      ASSERT_TRUE(ever_.insert(id).second) << "instance " << id << " is used again";
    }
    for (const auto& [workload, group] : delta.groups) {
      ASSERT_NE(group, groups_[workload]) << "no change of workload " << workload;
      groups_[workload] = group;
    }
    for (const bind::InstanceId id : delta.removed) ASSERT_EQ(programs_.erase(id), 1u);
    std::set<bind::InstanceId> used;
    for (const auto& [workload, group] : groups_) used.insert(group.begin(), group.end());
    std::set<bind::InstanceId> known;
    for (const auto& [id, program] : programs_) known.insert(id);
    ASSERT_EQ(used, known);
  }
  [[nodiscard]] const std::vector<bind::InstanceId>& Group(bind::WorkloadId workload) {
    return groups_[workload];
  }
  [[nodiscard]] const compile::Program& ProgramOf(bind::InstanceId id) const {
    return *programs_.at(id);
  }

 private:
  std::map<bind::InstanceId, compile::ProgramPtr> programs_;
  std::set<bind::InstanceId> ever_;
  std::map<bind::WorkloadId, std::vector<bind::InstanceId>> groups_;
};

using Step = std::function<void(bind::Resolver::Transaction&)>;

/// A resolver brought to a world, and the image that came of it.
class Node {
 public:
  Node(const World& world, Generator& generator) {
    std::vector<std::vector<Step>> queues;  // each in order; among each other in any
    queues.reserve(world.objects.size() + world.workloads.size() + 1);
    for (const World::Object& object : world.objects) queues.push_back(StepsTo(object, generator));
    for (const auto& workload : world.workloads) queues.push_back(StepsTo(workload, generator));
    queues.push_back(Visit(generator));
    std::vector<Step> batch;
    while (!queues.empty()) {
      const size_t i = generator.Below(queues.size());
      batch.push_back(std::move(queues[i].front()));
      queues[i].erase(queues[i].begin());
      if (queues[i].empty()) queues.erase(queues.begin() + static_cast<ptrdiff_t>(i));
      if (generator.Chance(60) || queues.empty()) Run(batch, generator);
    }
  }

  bind::Resolver& resolver() { return resolver_; }
  Image& image() { return image_; }
  const compile::ValueSets& sets() const { return sets_; }

 private:
  static Step Add(policy::Document document) {
    return [=](auto& transaction) { ASSERT_TRUE(transaction.Add(document)); };
  }
  static Step Replace(policy::Document document) {
    return [=](auto& transaction) { ASSERT_TRUE(transaction.Replace(document)); };
  }
  static Step Remove(policy::Key key) {
    return [=](auto& transaction) { ASSERT_TRUE(transaction.Remove(key)); };
  }
  static Step Configure(policy::Key key, std::optional<bool> enabled, std::optional<Mode> mode) {
    return [=](auto& transaction) { ASSERT_TRUE(transaction.Configure(key, enabled, mode)); };
  }
  static Step Put(const workload::Workload& workload) {
    return [=](auto& transaction) { transaction.PutWorkload(Share(workload)); };
  }
  static Step RemoveWorkload(bind::WorkloadId id) {
    return [=](auto& transaction) { transaction.RemoveWorkload(id); };
  }

  static std::vector<Step> StepsTo(const World::Object& object, Generator& generator) {
    const policy::Key& key = object.document.key();
    std::vector<Step> steps;
    if (generator.Chance(50)) {
      steps.push_back(Add(generator.MakeDocument(key)));
      if (generator.Chance(30)) steps.push_back(Configure(key, false, std::nullopt));
      if (generator.Chance(40)) {
        steps.push_back(Configure(key, true, std::nullopt));
        steps.push_back(Replace(object.document));
      } else {
        steps.push_back(Remove(key));
        steps.push_back(Add(object.document));
      }
    } else {
      steps.push_back(Add(object.document));
    }
    if (object.mode) {
      if (generator.Chance(30)) steps.push_back(Configure(key, {}, Mode::kMonitor));
      steps.push_back(Configure(key, {}, object.mode));
    }
    if (!object.enabled) steps.push_back(Configure(key, false, {}));
    return steps;
  }
  static std::vector<Step> StepsTo(const workload::Workload& workload, Generator& generator) {
    std::vector<Step> steps;
    if (generator.Chance(40)) steps.push_back(Put(generator.MakeWorkload(workload.id)));
    if (generator.Chance(20)) steps.push_back(Put(generator.MakeWorkload(workload.id)));
    if (!steps.empty() && generator.Chance(40)) steps.push_back(RemoveWorkload(workload.id));
    steps.push_back(Put(workload));
    return steps;
  }
  /// Things that come and go again.
  static std::vector<Step> Visit(Generator& generator) {
    constexpr bind::WorkloadId kVisitor = 1000;
    const policy::Document document = generator.MakeDocument({"t-z", ""});
    return {Put(generator.MakeWorkload(kVisitor)), Add(document), RemoveWorkload(kVisitor),
            Remove(document.key())};
  }

  /// Takes the steps in one transaction; now and then after one that is dropped.
  void Run(std::vector<Step>& batch, Generator& generator) {
    if (generator.Chance(25)) {
      bind::Resolver::Transaction dropped(resolver_);
      for (const Step& step : batch) step(dropped);
      if (generator.Chance(70)) {
        ASSERT_TRUE(dropped.Stage());
      }
    }
    bind::Resolver::Transaction transaction(resolver_);
    for (const Step& step : batch) step(transaction);
    const auto delta = transaction.Stage();
    ASSERT_TRUE(delta);
    image_.Apply(*delta);
    transaction.Commit();
    batch.clear();
  }

  compile::StringPool pool_;
  compile::ValueSets sets_{pool_};
  bind::Resolver resolver_{sets_, {.allow_host_enforcement = true}};
  Image image_;
};

/// The path of the program that is executed.
std::optional<std::string> ProgramOf(const Operation& operation) {
  const auto found = operation.values.find(0);
  if (found == operation.values.end()) return std::nullopt;
  return std::get<std::string>(found->second);
}

/// The verdict of compiled programs, as the kernel combines it.
Verdict Execute(Node& node, bind::WorkloadId workload, const Operation& operation) {
  const auto holds = [&](const compile::Filter& filter) {
    const auto path = filter.subject == GH_SUBJECT_BINARY ? operation.binary : ProgramOf(operation);
    bool in_set = false;
    for (const std::string& text : node.sets().Texts(*filter.set)) {
      if (!path) continue;
      in_set |= filter.match == GH_MATCH_EXACT     ? *path == text
                : filter.match == GH_MATCH_PATTERN ? glob::Takes(filter.set->automaton(), *path)
                : filter.match == GH_MATCH_PREFIX  ? path->starts_with(text)
                                                   : path->ends_with(text);
    }
    return in_set != filter.negated;
  };
  Verdict verdict;
  std::set<int32_t> signals;
  for (const bind::InstanceId id : node.image().Group(workload)) {
    const compile::Program& program = node.image().ProgramOf(id);
    for (const compile::HookProgram& hook : program.hooks) {
      if (*hook.site != operation.site) continue;
      const auto rule = std::ranges::find_if(hook.rules, [&](const auto& r) {
        return std::all_of(r.filters.begin(), r.filters.end(), holds);
      });
      if (rule == hook.rules.end()) continue;
      const bool overrides = (rule->actions & GH_ACTION_OVERRIDE) != 0;
      const bool sends = (rule->actions & GH_ACTION_SIGNAL) != 0;
      if ((rule->actions & GH_ACTION_POST) != 0) {
        Post post;
        post.members = node.resolver().instances().Find(id)->members;
        post.hook_index = hook.hook_index;
        post.selector = rule->index;
        post.monitor = program.monitor;
        post.error = overrides ? rule->error : 0;
        if (sends) post.signals = {rule->signal};
        verdict.posts.push_back(post);
      }
      if (program.monitor) continue;
      if (overrides && verdict.error == 0) verdict.error = rule->error;
      if (sends) signals.insert(rule->signal);
    }
  }
  verdict.signals.assign(signals.begin(), signals.end());
  return verdict;
}

void ExpectSameVerdict(const Verdict& actual, const Verdict& expected) {
  EXPECT_EQ(actual.error, expected.error);
  EXPECT_EQ(actual.signals, expected.signals);
  ASSERT_EQ(actual.posts.size(), expected.posts.size());
  for (size_t i = 0; i < actual.posts.size(); ++i) {
    EXPECT_EQ(actual.posts[i].members, expected.posts[i].members);
    EXPECT_EQ(actual.posts[i].hook_index, expected.posts[i].hook_index);
    EXPECT_EQ(actual.posts[i].selector, expected.posts[i].selector);
    EXPECT_EQ(actual.posts[i].monitor, expected.posts[i].monitor);
    EXPECT_EQ(actual.posts[i].error, expected.posts[i].error);
    EXPECT_EQ(actual.posts[i].signals, expected.posts[i].signals);
  }
}

/// How often a binding is what, over all workloads.
using Standings = std::map<policy::Key, std::map<Standing, uint32_t>>;

void ExpectSameGroup(Node& node, bind::WorkloadId workload, const Verdict& expected) {
  const std::vector<bind::InstanceId> group = node.resolver().Group(workload);
  EXPECT_EQ(group, node.image().Group(workload));
  std::vector<std::vector<policy::Key>> members;
  std::vector<Mode> modes;
  for (const bind::InstanceId id : group) {
    members.push_back(node.resolver().instances().Find(id)->members);
    modes.push_back(node.resolver().instances().Find(id)->mode);
  }
  std::vector<std::vector<policy::Key>> expected_members;
  std::vector<Mode> expected_modes;
  for (const PolicyVerdict& policy : expected.policies) {
    if (policy.standing != Standing::kApplies && policy.standing != Standing::kMerged) continue;
    expected_members.push_back(policy.members);
    expected_modes.push_back(policy.mode);
  }
  EXPECT_EQ(members, expected_members);
  EXPECT_EQ(modes, expected_modes);
}

void ExpectSameStatus(Node& node, Standings& standings) {
  for (const bind::PolicyStatus& status : node.resolver().List()) {
    if (status.kind == bind::Kind::kTemplate) continue;
    auto& expected = standings[status.key];
    EXPECT_EQ(status.workloads, expected[Standing::kApplies] + expected[Standing::kMerged]);
    EXPECT_EQ(status.conflicts, expected[Standing::kConflict]) << status.error;
    EXPECT_EQ(status.overridden, expected[Standing::kOverridden]);
    EXPECT_EQ(status.state == bind::State::kConflict, expected[Standing::kConflict] > 0);
    EXPECT_EQ(status.error.find("conflicts with") != std::string::npos,
              expected[Standing::kConflict] > 0);
    EXPECT_TRUE(expected[Standing::kNoTemplate] == 0 || status.state == bind::State::kPending);
    EXPECT_TRUE(expected[Standing::kBadValues] == 0 || status.state == bind::State::kRefused);
  }
}

TEST(Agreement, AnyWayToAWorldEndsAsTheEvaluatorSays) {
  const char* given = std::getenv("GATEHOUSE_TEST_SEED");
  const uint64_t first_seed =
      given != nullptr ? std::strtoull(given, nullptr, 10) : uint64_t{std::random_device()()};
  std::cout << "GATEHOUSE_TEST_SEED=" << first_seed << "\n";
  size_t denials = 0;
  size_t conflicts = 0;
  size_t merges = 0;
  for (uint64_t seed = first_seed; seed < first_seed + kWorlds; ++seed) {
    SCOPED_TRACE("GATEHOUSE_TEST_SEED=" + std::to_string(seed));
    Generator generator(seed);
    const World world = generator.MakeWorld();
    std::vector<Policy> policies;
    policies.reserve(world.objects.size());
    for (const World::Object& object : world.objects) {
      policies.push_back({&object.document, object.enabled, object.mode});
    }
    std::vector<const workload::Workload*> workloads = {nullptr};
    for (const workload::Workload& workload : world.workloads) workloads.push_back(&workload);

    for (int way = 0; way < kWaysPerWorld; ++way) {
      Node node(world, generator);
      ASSERT_FALSE(testing::Test::HasFailure());
      Standings standings;
      for (const workload::Workload* workload : workloads) {
        const bind::WorkloadId id = workload == nullptr ? bind::kHostWorkload : workload->id;
        SCOPED_TRACE("workload " + std::to_string(id));
        const Verdict about = Evaluate(policies, workload, {});
        for (const PolicyVerdict& policy : about.policies) {
          for (const policy::Key& member : policy.members) ++standings[member][policy.standing];
          conflicts += policy.standing == Standing::kConflict;
          merges += policy.standing == Standing::kMerged;
        }
        ExpectSameGroup(node, id, about);
        for (int i = 0; i < kOperationsPerWorkload; ++i) {
          const Operation operation = generator.MakeOperation();
          SCOPED_TRACE(ProgramOf(operation).value_or("unreadable") + " by " +
                       operation.binary.value_or("unreadable"));
          const Verdict expected = Evaluate(policies, workload, operation);
          denials += expected.error != 0;
          ExpectSameVerdict(Execute(node, id, operation), expected);
        }
      }
      ExpectSameStatus(node, standings);
      ASSERT_FALSE(testing::Test::HasFailure());
    }
  }
  std::cout << "denials " << denials << ", conflicts " << conflicts << ", merges " << merges
            << "\n";
  EXPECT_GT(denials, 0u) << "the worlds say nothing";
  EXPECT_GT(conflicts, 0u);
  EXPECT_GT(merges, 0u);
}

}  // namespace
}  // namespace gatehouse::eval
