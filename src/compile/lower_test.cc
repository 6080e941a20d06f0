// SPDX-License-Identifier: Apache-2.0
#include "compile/lower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <csignal>

#include "policy/sites.h"

namespace gatehouse::compile {
namespace {

using policy::ActionKind;
using policy::Operator;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

policy::Filter MakeFilter(Operator op, std::vector<std::string> literals) {
  policy::Filter filter;
  filter.op = op;
  filter.values.literals = std::move(literals);
  return filter;
}

policy::Filter MakeVariableFilter(Operator op, std::string variable) {
  policy::Filter filter;
  filter.op = op;
  filter.values.variable = std::move(variable);
  return filter;
}

policy::Action MakeAction(ActionKind kind, int32_t error = 0, int32_t signal = 0) {
  policy::Action action;
  action.kind = kind;
  action.error = error;
  action.signal = signal;
  return action;
}

policy::Hook MakeHook(std::vector<policy::Selector> selectors,
                      std::string call = "security_bprm_creds_for_exec") {
  policy::Hook hook;
  hook.call = std::move(call);
  hook.arguments.resize(1);
  hook.selectors = std::move(selectors);
  return hook;
}

policy::Spec MakeSpec(policy::Hook hook) {
  policy::Spec spec;
  spec.hooks.push_back(std::move(hook));
  return spec;
}

policy::Selector MakeSelector(std::vector<policy::Filter> filters,
                              std::vector<policy::Action> actions) {
  policy::Selector selector;
  selector.filters = std::move(filters);
  selector.actions = std::move(actions);
  return selector;
}

class LowerTest : public testing::Test {
 protected:
  [[nodiscard]] Result<LoweredSpecPtr> TryLower(const policy::Spec& spec,
                                                std::vector<policy::Variable> variables = {}) {
    return Lower(spec, variables, sets_);
  }
  /// The only rule of a policy with one selector.
  [[nodiscard]] Rule OnlyRule(policy::Selector selector) {
    const auto lowered = TryLower(MakeSpec(MakeHook({std::move(selector)})));
    EXPECT_TRUE(lowered.has_value()) << lowered.error().Message();
    const auto program = Instantiate(*lowered, {}, policy::Mode::kEnforce, sets_);
    EXPECT_TRUE(program.has_value()) << program.error().Message();
    return (*program)->hooks.at(0).rules.at(0);
  }

  StringPool pool_;
  ValueSets sets_{pool_};
};

TEST_F(LowerTest, AHookWithoutSelectorsPostsAlways) {
  policy::Hook written = MakeHook({}, "bprm_check_security");
  written.kind = policy::HookKind::kLsm;
  const auto lowered = TryLower(MakeSpec(written));
  ASSERT_TRUE(lowered);
  const auto program = Instantiate(*lowered, {}, policy::Mode::kEnforce, sets_);
  ASSERT_TRUE(program);
  const HookProgram& hook = (*program)->hooks.at(0);
  EXPECT_EQ(*hook.site, policy::kBprmCheck);
  ASSERT_EQ(hook.rules.size(), 1u);
  EXPECT_TRUE(hook.rules[0].filters.empty());
  EXPECT_EQ(hook.rules[0].actions, GH_ACTION_POST);
}

TEST_F(LowerTest, ASelectorPostsUnlessItSaysNoPost) {
  const auto actions = [&](std::vector<policy::Action> list) {
    return OnlyRule(MakeSelector({}, std::move(list))).actions;
  };
  EXPECT_EQ(actions({}), GH_ACTION_POST);
  EXPECT_EQ(actions({MakeAction(ActionKind::kPost)}), GH_ACTION_POST);
  EXPECT_EQ(actions({MakeAction(ActionKind::kNoPost)}), 0);
  EXPECT_EQ(actions({MakeAction(ActionKind::kSigkill)}), GH_ACTION_POST | GH_ACTION_SIGNAL);
  EXPECT_EQ(actions({MakeAction(ActionKind::kNoPost), MakeAction(ActionKind::kOverride, -EPERM)}),
            GH_ACTION_OVERRIDE);
}

TEST_F(LowerTest, ActionsKeepTheirErrorAndSignal) {
  const Rule rule = OnlyRule(MakeSelector(
      {}, {MakeAction(ActionKind::kOverride, -EACCES), MakeAction(ActionKind::kSignal, 0, 10)}));
  EXPECT_EQ(rule.error, -EACCES);
  EXPECT_EQ(rule.signal, 10);
  EXPECT_EQ(OnlyRule(MakeSelector({}, {MakeAction(ActionKind::kSigkill)})).signal, SIGKILL);
}

TEST_F(LowerTest, SetNamesTheArgumentByItsPositionInTheProbe) {
  policy::Hook hook =
      MakeHook({MakeSelector({}, {{.kind = ActionKind::kSet, .argument = 1, .value = 0xffffffff}})},
               "app:probe");
  hook.kind = policy::HookKind::kUsdt;
  hook.arguments = {{.index = 2, .type = policy::ArgumentType::kInt32},
                    {.index = 7, .type = policy::ArgumentType::kNop}};
  const auto lowered = TryLower(MakeSpec(hook));
  ASSERT_TRUE(lowered) << lowered.error().Message();
  EXPECT_TRUE((*lowered)->Enforces({}));
  const Rule& rule = (*lowered)->hooks.at(0).rules.at(0);
  EXPECT_EQ(rule.actions, GH_ACTION_POST | GH_ACTION_SET);
  EXPECT_EQ(rule.set_subject, 7);
  EXPECT_EQ(rule.set_to, 0xffffffffU);
  EXPECT_TRUE((*lowered)->hooks.at(0).site->writes);
  hook.selectors[0].actions[0].argument = 2;
  EXPECT_FALSE(TryLower(MakeSpec(hook)));
}

TEST_F(LowerTest, AnEnforcerIsAskedForWhatAnyOfItsPolicyNotifiesOf) {
  policy::Hook enforcer = MakeHook({}, "dup");
  enforcer.kind = policy::HookKind::kEnforcer;
  enforcer.system_call = true;
  const auto lower = [&](int error, int signal) {
    policy::Spec spec = MakeSpec(
        MakeHook({MakeSelector({}, {MakeAction(ActionKind::kNotifyEnforcer, error, signal)}),
                  MakeSelector({}, {MakeAction(ActionKind::kCleanupEnforcerNotification)})}));
    spec.hooks.push_back(enforcer);
    return *TryLower(spec);
  };
  const LoweredSpecPtr both = lower(-EPERM, 9);
  ASSERT_EQ(both->hooks.size(), 2U);
  const Rule& notifies = both->hooks[0].rules.at(0);
  EXPECT_EQ(notifies.actions, GH_ACTION_POST | GH_ACTION_NOTIFY);
  EXPECT_EQ(notifies.error, -EPERM);
  EXPECT_EQ(notifies.signal, 9);
  EXPECT_EQ(both->hooks[0].rules.at(1).actions, GH_ACTION_POST | GH_ACTION_CLEANUP);
  EXPECT_FALSE(both->hooks[0].Overrides());
  const HookProgram& enforces = both->hooks[1];
  EXPECT_EQ(*enforces.site, (policy::Site{policy::Site::Kind::kSystemCall, "dup"}));
  EXPECT_EQ(enforces.hook_index, 1U);
  EXPECT_TRUE(enforces.Overrides());
  ASSERT_EQ(enforces.rules.size(), 1U);
  EXPECT_TRUE(enforces.rules[0].enforcer);
  EXPECT_EQ(enforces.rules[0].actions, GH_ACTION_OVERRIDE | GH_ACTION_SIGNAL);
  EXPECT_FALSE(lower(0, 9)->hooks[1].Overrides());
  EXPECT_TRUE(both->Enforces({}));
}

TEST_F(LowerTest, RefusesTwoErrorsOrSignalsInOneSelector) {
  const auto errors = TryLower(MakeSpec(MakeHook({MakeSelector(
      {}, {MakeAction(ActionKind::kOverride, -1), MakeAction(ActionKind::kOverride, -2)})})));
  ASSERT_FALSE(errors);
  EXPECT_THAT(errors.error().Message(), HasSubstr("two errors"));
  const auto signals = TryLower(MakeSpec(MakeHook({MakeSelector(
      {}, {MakeAction(ActionKind::kSigkill), MakeAction(ActionKind::kSignal, 0, 10)})})));
  ASSERT_FALSE(signals);
  EXPECT_THAT(signals.error().Message(), HasSubstr("two signals"));
}

TEST_F(LowerTest, EachOperatorIsAMatchAndANegation) {
  const struct {
    Operator op;
    gh_match match;
    bool negated;
  } cases[] = {
      {Operator::kEqual, GH_MATCH_EXACT, false},
      {Operator::kNotEqual, GH_MATCH_EXACT, true},
      {Operator::kIn, GH_MATCH_EXACT, false},
      {Operator::kNotIn, GH_MATCH_EXACT, true},
      {Operator::kPrefix, GH_MATCH_PREFIX, false},
      {Operator::kNotPrefix, GH_MATCH_PREFIX, true},
      {Operator::kPostfix, GH_MATCH_POSTFIX, false},
      {Operator::kNotPostfix, GH_MATCH_POSTFIX, true},
  };
  for (const auto& expected : cases) {
    const Rule rule = OnlyRule(MakeSelector({MakeFilter(expected.op, {"/bin/ls"})}, {}));
    const Filter& filter = rule.filters.at(0);
    EXPECT_EQ(filter.subject, GH_SUBJECT_ARGUMENT_0);
    EXPECT_EQ(filter.match, expected.match);
    EXPECT_EQ(filter.negated, expected.negated);
    EXPECT_EQ(filter.set->match(), expected.match);
    EXPECT_EQ(sets_.Texts(*filter.set), std::vector<std::string>{"/bin/ls"});
  }
}

TEST_F(LowerTest, OperatorsOfPatternsAreOneMatch) {
  const struct {
    Operator op;
    bool negated;
    std::vector<std::string> patterns;
  } cases[] = {
      {Operator::kGlob, false, {"/a*"}},
      {Operator::kNotGlob, true, {"/a*"}},
      {Operator::kInDirectory, false, {"/a\\*", "/a\\*/**"}},
      {Operator::kNotInDirectory, true, {"/a\\*", "/a\\*/**"}},
      {Operator::kSubString, false, {"**\\/a\\***"}},
      {Operator::kSubStringIgnoringCase, false, {"**\\/[aA]\\***"}},
  };
  for (const auto& expected : cases) {
    const Rule rule = OnlyRule(MakeSelector({MakeFilter(expected.op, {"/a*"})}, {}));
    const Filter& filter = rule.filters.at(0);
    EXPECT_EQ(filter.match, GH_MATCH_PATTERN);
    EXPECT_EQ(filter.negated, expected.negated);
    EXPECT_THAT(sets_.Texts(*filter.set), ::testing::UnorderedElementsAreArray(expected.patterns));
    EXPECT_FALSE(filter.set->automaton().empty());
  }
}

TEST_F(LowerTest, PatternsThatMultiplyAreRefusedByName) {
  const auto lowered = TryLower(MakeSpec(MakeHook(
      {MakeSelector({MakeFilter(Operator::kGlob, {"*a???????????????????????????????"})}, {})})));
  ASSERT_FALSE(lowered);
  EXPECT_THAT(lowered.error().Message(), HasSubstr("would need a table of more than 4 MB"));
}

TEST_F(LowerTest, MatchBinariesLooksAtTheBinary) {
  policy::Filter filter = MakeFilter(Operator::kIn, {"/bin/sh"});
  filter.subject = policy::Subject::kBinary;
  EXPECT_EQ(OnlyRule(MakeSelector({filter}, {})).filters.at(0).subject, GH_SUBJECT_BINARY);
}

TEST_F(LowerTest, KeepsHooksAndSelectorsInOrderWithWhatEventsSay) {
  policy::Spec spec;
  spec.mode = policy::Mode::kMonitor;
  spec.hooks.push_back(MakeHook({MakeSelector({}, {}), MakeSelector({}, {})}));
  spec.hooks.push_back(MakeHook({}, "security_bprm_check"));
  spec.hooks[1].message = "checked";
  spec.hooks[1].tags = {"a", "b"};
  const auto lowered = TryLower(spec);
  ASSERT_TRUE(lowered);
  const auto program = Instantiate(*lowered, {}, (*lowered)->mode(), sets_);
  ASSERT_TRUE(program);
  EXPECT_TRUE((*program)->monitor);
  ASSERT_EQ((*program)->hooks.size(), 2u);
  EXPECT_EQ((*program)->hooks[1].hook_index, 1);
  EXPECT_EQ((*program)->hooks[0].rules.at(1).index, 1);
  EXPECT_EQ((*lowered)->infos->at(1).call, "security_bprm_check");
  EXPECT_EQ((*lowered)->infos->at(1).message, "checked");
  EXPECT_THAT((*lowered)->infos->at(1).tags, testing::ElementsAre("a", "b"));
}

TEST_F(LowerTest, SharesInfosThatSayTheSame) {
  policy::Spec spec = MakeSpec(MakeHook({}));
  spec.hooks[0].arguments[0].position = {3, 5};
  const auto first = Lower(spec, {}, sets_);
  ASSERT_TRUE(first) << first.error().Message();

  spec.hooks[0].arguments[0].position = {4, 5};
  spec.hooks[0].selectors = {MakeSelector({MakeFilter(Operator::kIn, {"/a"})}, {})};
  EXPECT_EQ((*Lower(spec, {}, sets_, (*first)->infos))->infos, (*first)->infos);

  spec.hooks[0].arguments[0].label = "program";
  const auto other = Lower(spec, {}, sets_, (*first)->infos);
  EXPECT_NE((*other)->infos, (*first)->infos);
  EXPECT_EQ((*other)->infos->at(0).arguments.at(0).label, "program");
}

TEST_F(LowerTest, RulesThatAreLeftOutAreGoneAndHooksWithThem) {
  policy::Spec spec =
      MakeSpec(MakeHook({MakeSelector({}, {}), MakeSelector({}, {}), MakeSelector({}, {})}));
  spec.hooks.push_back(MakeHook({MakeSelector({}, {})}, "security_bprm_check"));
  const auto workloads = std::make_shared<const policy::WorkloadSelector>();
  spec.hooks[0].selectors[0].workloads = workloads;
  spec.hooks[0].selectors[2].workloads = workloads;
  spec.hooks[1].selectors[0].workloads = workloads;
  const auto lowered = TryLower(spec);
  ASSERT_TRUE(lowered);
  ASSERT_EQ((*lowered)->restrictions.size(), 3u);
  const auto rules = [&](const LeftOut& left_out) {
    const auto program = Instantiate(*lowered, {}, policy::Mode::kEnforce, sets_, left_out);
    std::vector<std::vector<uint16_t>> hooks;
    for (const HookProgram& hook : (*program)->hooks) {
      for (hooks.emplace_back(); const Rule& rule : hook.rules) hooks.back().push_back(rule.index);
    }
    return hooks;
  };
  using Hooks = std::vector<std::vector<uint16_t>>;
  EXPECT_EQ(rules({}), (Hooks{{0, 1, 2}, {0}}));
  EXPECT_EQ(rules({0, 1}), (Hooks{{1}, {0}}));
  EXPECT_EQ(rules({1, 2}), (Hooks{{0, 1}}));
}

TEST_F(LowerTest, TheModeOfAnInstanceIsTheCallersChoice) {
  const auto lowered = TryLower(MakeSpec(MakeHook({})));
  ASSERT_TRUE(lowered);
  EXPECT_FALSE((*Instantiate(*lowered, {}, policy::Mode::kEnforce, sets_))->monitor);
  EXPECT_TRUE((*Instantiate(*lowered, {}, policy::Mode::kMonitor, sets_))->monitor);
  EXPECT_EQ(*Instantiate(*lowered, {}, policy::Mode::kEnforce, sets_), *lowered) << "shared";
}

TEST_F(LowerTest, AVariableIsSearchedInTheWayOfEachFilter) {
  policy::Variable allowed;
  allowed.name = "allowed";
  policy::Variable unused;
  unused.name = "unused";
  const auto lowered =
      TryLower(MakeSpec(MakeHook({MakeSelector({MakeVariableFilter(Operator::kNotIn, "allowed"),
                                                MakeVariableFilter(Operator::kPrefix, "allowed")},
                                               {})})),
               {unused, allowed});
  ASSERT_TRUE(lowered);
  const std::vector<std::string_view> texts = {"/usr", "/usr/bin/ls"};
  const std::vector<ValueSetPtr> values = {sets_.Make(GH_MATCH_EXACT, {}),
                                           sets_.Make(GH_MATCH_EXACT, texts)};
  const auto program = Instantiate(*lowered, values, policy::Mode::kEnforce, sets_);
  ASSERT_TRUE(program);
  const Rule& rule = (*program)->hooks.at(0).rules.at(0);
  EXPECT_EQ(rule.filters.at(0).set, values[1]);
  EXPECT_TRUE(rule.filters.at(0).negated);
  EXPECT_EQ(rule.filters.at(1).match, GH_MATCH_PREFIX);
  EXPECT_THAT(sets_.Texts(*rule.filters.at(1).set), UnorderedElementsAre("/usr"));
}

TEST_F(LowerTest, OnlyBuffersAreComparedWithValuesThatHaveANul) {
  policy::Variable variable;
  variable.name = "v";
  const auto instantiate = [&](policy::ArgumentType type) {
    policy::Hook hook = MakeHook({MakeSelector({MakeVariableFilter(Operator::kIn, "v")}, {})});
    hook.arguments[0].type = type;
    const auto lowered = TryLower(MakeSpec(std::move(hook)), {variable}).value();
    const std::vector<std::string_view> texts{std::string_view("/a\0b", 4)};
    const std::vector<ValueSetPtr> values{sets_.Make(GH_MATCH_EXACT, texts)};
    return Instantiate(lowered, values, policy::Mode::kEnforce, sets_);
  };
  EXPECT_TRUE(instantiate(policy::ArgumentType::kBuffer));
  for (const auto type : {policy::ArgumentType::kFile, policy::ArgumentType::kString}) {
    const auto refused = instantiate(type);
    ASSERT_FALSE(refused);
    EXPECT_EQ(
        refused.error().Message(),
        "variable v: a text contains a NUL byte; remove it: no path and no name contains one");
  }
}

TEST_F(LowerTest, RefusesValuesThatDoNotFitTheVariables) {
  policy::Variable variable;
  variable.name = "v";
  const auto lowered = TryLower(
      MakeSpec(MakeHook({MakeSelector({MakeVariableFilter(Operator::kIn, "v")}, {})})), {variable});
  ASSERT_TRUE(lowered);
  EXPECT_FALSE(Instantiate(*lowered, {}, policy::Mode::kEnforce, sets_));
  const std::vector<ValueSetPtr> missing = {nullptr};
  EXPECT_FALSE(Instantiate(*lowered, missing, policy::Mode::kEnforce, sets_));
}

policy::Argument MakeArgument(uint32_t index, policy::ArgumentType type) {
  policy::Argument argument;
  argument.index = index;
  argument.type = type;
  return argument;
}

TEST_F(LowerTest, ABufferHasItsLengthInAnotherArgument) {
  policy::Hook hook = MakeHook({}, "tty_write");
  hook.arguments = {MakeArgument(1, policy::ArgumentType::kBuffer)};
  hook.arguments[0].length = policy::Length{.subject = 2, .narrow = false};
  const auto of_function = TryLower(MakeSpec(hook));
  ASSERT_TRUE(of_function);
  EXPECT_THAT((*of_function)->hooks.at(0).inputs,
              testing::ElementsAre(Input{1, GH_READ_BUFFER, 2, false}));
  hook.call = "read";
  hook.system_call = true;
  hook.arguments[0].length = policy::Length{.subject = GH_SUBJECT_RETURN, .narrow = true};
  const auto of_call = TryLower(MakeSpec(hook));
  ASSERT_TRUE(of_call);
  EXPECT_THAT((*of_call)->hooks.at(0).inputs,
              testing::ElementsAre(Input{1, GH_READ_USER_BUFFER, GH_SUBJECT_RETURN, true}));
}

TEST_F(LowerTest, InputsAreTheArgumentsAndTheBinaryIfAFilterIsOnIt) {
  policy::Filter on_binary = MakeFilter(Operator::kIn, {"/bin/sh"});
  on_binary.subject = policy::Subject::kBinary;
  policy::Hook hook = MakeHook({MakeSelector({on_binary}, {})}, "security_file_permission");
  hook.arguments = {MakeArgument(1, policy::ArgumentType::kInt32),
                    MakeArgument(0, policy::ArgumentType::kFile)};
  const auto lowered = TryLower(MakeSpec(hook));
  ASSERT_TRUE(lowered);
  const HookProgram& program = (*lowered)->hooks.at(0);
  EXPECT_EQ(*program.site,
            (policy::Site{policy::Site::Kind::kFunction, "security_file_permission"}));
  EXPECT_THAT(program.inputs,
              testing::ElementsAre(Input{0, GH_READ_FILE}, Input{1, GH_READ_NUMBER, 4, true},
                                   Input{GH_SUBJECT_BINARY, GH_READ_BINARY}));
  EXPECT_EQ(program.shows, 0b11);
}

policy::Argument MakeResolved(std::string path, policy::ArgumentType type, uint8_t number) {
  policy::Argument argument = MakeArgument(0, type);
  argument.resolved =
      policy::Resolution{.subject = static_cast<uint8_t>(GH_SUBJECT_RESOLVED_0 + number),
                         .text = path,
                         .chain = policy::Chain{{static_cast<uint32_t>(path.size())}, 4}};
  return argument;
}

TEST_F(LowerTest, ValuesOfPathsHaveNumbersOfTheirOwnOnAHook) {
  const auto lower = [&](const std::string& path, const std::string& call = "security_file_open") {
    policy::Filter filter = MakeFilter(Operator::kEqual, {"1"});
    policy::Hook hook = MakeHook({MakeSelector({filter}, {})}, call);
    hook.arguments = {MakeResolved(path, policy::ArgumentType::kInt32, 0)};
    const auto lowered = TryLower(MakeSpec(hook));
    EXPECT_TRUE(lowered) << lowered.error().Message();
    return *lowered;
  };
  const auto number = [](const LoweredSpecPtr& spec) {
    const HookProgram& hook = spec->hooks.at(0);
    EXPECT_EQ(hook.inputs.size(), 1U);
    const Input& input = hook.inputs.at(0);
    EXPECT_EQ(input.subject, input.resolved->subject);
    EXPECT_EQ(hook.shows, 1U << input.subject);
    EXPECT_EQ(hook.rules.at(0).filters.at(0).subject, input.subject);
    EXPECT_EQ(spec->infos->at(0).arguments.at(0).subject(), input.subject);
    return input.subject - GH_SUBJECT_RESOLVED_0;
  };
  auto first = lower("a");
  const auto second = lower("bb");
  EXPECT_EQ(number(first), 0);
  EXPECT_EQ(number(second), 1);
  EXPECT_EQ(lower("a")->hooks[0].inputs[0].resolved, first->hooks[0].inputs[0].resolved);
  EXPECT_EQ(number(lower("ccc", "security_file_ioctl")), 0) << "of another hook";
  EXPECT_EQ(second->hooks[0].inputs[0].resolved->chain, (policy::Chain{{2}, 4}));
  first.reset();
  EXPECT_EQ(number(lower("ccc")), 0) << "nobody has it any more";
  EXPECT_EQ(number(second), 1);
}

TEST_F(LowerTest, MoreValuesOfPathsThanAHookHasNumbersForAreRefused) {
  std::vector<LoweredSpecPtr> kept;
  for (uint8_t i = 0; i <= GH_RESOLVED_MAX; ++i) {
    policy::Hook hook = MakeHook({}, "security_file_open");
    hook.arguments = {MakeResolved(std::string(i + 1, 'x'), policy::ArgumentType::kInt32, 0)};
    const auto lowered = Lower(MakeSpec(hook), {}, sets_);
    if (i < GH_RESOLVED_MAX) {
      ASSERT_TRUE(lowered);
      kept.push_back(*lowered);
      continue;
    }
    ASSERT_FALSE(lowered);
    EXPECT_EQ(lowered.error().code, ErrorCode::kRefused);
    EXPECT_EQ(lowered.error().cause,
              "all policies together ask for more than 12 different values by resolve");
  }
}

TEST_F(LowerTest, DataAreValuesOfTheTask) {
  policy::Filter filter = MakeFilter(Operator::kEqual, {"1"});
  filter.subject = policy::Subject::kData;
  policy::Hook hook = MakeHook({MakeSelector({filter}, {})}, "openat");
  hook.system_call = true;
  hook.data = {MakeResolved("comm", policy::ArgumentType::kString, 0)};
  hook.data[0].resolved->from = policy::Resolution::From::kTask;
  const auto lowered = TryLower(MakeSpec(hook));
  ASSERT_TRUE(lowered);
  const HookProgram& program = (*lowered)->hooks.at(0);
  const auto& input = program.inputs.back();
  EXPECT_EQ(input.read, GH_READ_STRING) << "memory of the kernel";
  EXPECT_EQ(input.resolved->from, GH_FROM_TASK);
  EXPECT_EQ(program.rules.at(0).filters.at(0).subject, input.subject);
  EXPECT_EQ((*lowered)->infos->at(0).data.at(0).subject(), input.subject);
}

TEST_F(LowerTest, NumbersAreRangesAndMasks) {
  policy::Hook hook = MakeHook({}, "security_capable");
  hook.arguments = {MakeArgument(2, policy::ArgumentType::kInt32)};
  const auto ranges_of = [&](Operator op, std::vector<std::string> values) {
    hook.selectors = {MakeSelector({MakeFilter(op, std::move(values))}, {})};
    const auto lowered = TryLower(MakeSpec(hook));
    EXPECT_TRUE(lowered) << lowered.error().Message();
    const Filter& filter = (*lowered)->hooks.at(0).rules.at(0).filters.at(0);
    EXPECT_EQ(filter.subject, 2);
    std::vector<std::pair<uint64_t, uint64_t>> pairs;
    for (const gh_range& range : filter.set->ranges()) pairs.emplace_back(range.first, range.last);
    return std::tuple(filter.match, filter.negated, pairs);
  };
  using Pairs = std::vector<std::pair<uint64_t, uint64_t>>;
  EXPECT_EQ(ranges_of(Operator::kEqual, {"21", "22", "7"}),
            std::tuple(GH_MATCH_RANGE, false, Pairs({{7, 7}, {21, 22}})));
  EXPECT_EQ(ranges_of(Operator::kNotInRange, {"-1:1"}),
            std::tuple(GH_MATCH_RANGE, true, Pairs({{0, 1}, {UINT64_MAX, UINT64_MAX}})));
  EXPECT_EQ(ranges_of(Operator::kMask, {"1", "0x40"}),
            std::tuple(GH_MATCH_MASK, false, Pairs({{0x41, 0x41}})));
}

TEST_F(LowerTest, AFilterOnASocketIsOnAField) {
  policy::Hook hook = MakeHook(
      {MakeSelector({MakeFilter(Operator::kNotDestinationAddress, {"10.0.0.0/8", "fd00::/8"}),
                     MakeFilter(Operator::kFamily, {"AF_INET"})},
                    {})},
      "tcp_connect");
  hook.arguments = {MakeArgument(0, policy::ArgumentType::kSock)};
  const auto lowered = TryLower(MakeSpec(hook));
  ASSERT_TRUE(lowered) << lowered.error().Message();
  const HookProgram& program = (*lowered)->hooks.at(0);
  EXPECT_THAT(program.inputs, testing::ElementsAre(Input{0, GH_READ_SOCK}));
  const Filter& address = program.rules.at(0).filters.at(0);
  EXPECT_EQ(address.subject, 0);
  EXPECT_EQ(address.field, GH_FIELD_DESTINATION);
  EXPECT_EQ(address.match, GH_MATCH_ADDRESS);
  EXPECT_TRUE(address.negated);
  EXPECT_EQ(address.set->addresses().size(), 2U);
  const Filter& family = program.rules.at(0).filters.at(1);
  EXPECT_EQ(family.field, GH_FIELD_FAMILY);
  EXPECT_EQ(family.match, GH_MATCH_RANGE);
  EXPECT_EQ(family.set->ranges()[0].first, 2U);
}

TEST_F(LowerTest, AnAddressOfASystemCallIsTheProcesss) {
  policy::Hook hook = MakeHook({}, "connect");
  hook.system_call = true;
  hook.arguments = {MakeArgument(1, policy::ArgumentType::kSockaddr),
                    MakeArgument(2, policy::ArgumentType::kSockaddrUn)};
  const auto lowered = TryLower(MakeSpec(hook));
  ASSERT_TRUE(lowered) << lowered.error().Message();
  EXPECT_THAT(
      (*lowered)->hooks.at(0).inputs,
      testing::ElementsAre(Input{1, GH_READ_USER_SOCKADDR}, Input{2, GH_READ_USER_SOCKADDR_UN}));
}

TEST_F(LowerTest, ARateIsOneOfEvents) {
  policy::Action post;
  post.interval_s = 300;
  const auto rule_of = [&](policy::RateScope scope, uint32_t interval_s) {
    post.scope = scope;
    post.interval_s = interval_s;
    const auto lowered = TryLower(MakeSpec(MakeHook({MakeSelector({}, {post})})));
    EXPECT_TRUE(lowered) << lowered.error().Message();
    const Rule& rule = (*lowered)->hooks.at(0).rules.at(0);
    return std::pair<uint32_t, int>(rule.interval_s, rule.scope);
  };
  EXPECT_EQ(rule_of(policy::RateScope::kThread, 300), std::pair(300U, int{GH_RULE_PER_THREAD}));
  EXPECT_EQ(rule_of(policy::RateScope::kProcess, 5), std::pair(5U, int{GH_RULE_PER_PROCESS}));
  EXPECT_EQ(rule_of(policy::RateScope::kGlobal, 5), std::pair(5U, 0));
  EXPECT_EQ(rule_of(policy::RateScope::kThread, 0), std::pair(0U, 0));
}

TEST_F(LowerTest, StacksAreOfEvents) {
  policy::Action post;
  EXPECT_EQ(OnlyRule(MakeSelector({}, {post})).stacks, 0);
  post.kernel_stack = true;
  EXPECT_EQ(OnlyRule(MakeSelector({}, {post})).stacks, GH_RULE_KERNEL_STACK);
  post.user_stack = true;
  EXPECT_EQ(OnlyRule(MakeSelector({}, {post})).stacks, GH_RULE_STACKS);
}

TEST_F(LowerTest, ANumbersVariableTakesNumbersAlone) {
  policy::Hook hook = MakeHook({MakeSelector({MakeVariableFilter(Operator::kGreater, "n")}, {})},
                               "security_capable");
  hook.arguments = {MakeArgument(2, policy::ArgumentType::kUint8)};
  policy::Variable variable;
  variable.name = "n";
  const auto lowered = TryLower(MakeSpec(hook), {variable});
  ASSERT_TRUE(lowered);
  const auto make = [&](std::vector<std::string> literals) {
    policy::Values values;
    values.literals = std::move(literals);
    return Instantiate(*lowered, std::vector{LowerValues(values, sets_)}, policy::Mode::kEnforce,
                       sets_);
  };
  const auto good = make({"250"});
  ASSERT_TRUE(good) << good.error().Message();
  const auto ranges = (*good)->hooks.at(0).rules.at(0).filters.at(0).set->ranges();
  ASSERT_EQ(ranges.size(), 1U);
  EXPECT_EQ(ranges[0].first, 251U);
  EXPECT_EQ(ranges[0].last, 255U);
  const auto bad = make({"250", "300"});
  ASSERT_FALSE(bad);
  EXPECT_THAT(bad.error().Message(), HasSubstr("\"300\""));
}

TEST_F(LowerTest, RefusesByNameWhatItCannotHold) {
  policy::Filter on_absent = MakeFilter(Operator::kIn, {"/bin/ls"});
  on_absent.which = 1;
  const auto argument = TryLower(MakeSpec(MakeHook({MakeSelector({on_absent}, {})})));
  ASSERT_FALSE(argument);
  EXPECT_THAT(argument.error().Message(), HasSubstr("argument"));

  const auto variable =
      TryLower(MakeSpec(MakeHook({MakeSelector({MakeVariableFilter(Operator::kIn, "v")}, {})})));
  ASSERT_FALSE(variable);
  EXPECT_THAT(variable.error().Message(), HasSubstr("\"v\""));

  const auto rules =
      TryLower(MakeSpec(MakeHook(std::vector<policy::Selector>(GH_RULES_PER_POLICY_MAX + 1))));
  ASSERT_FALSE(rules);
  EXPECT_THAT(rules.error().Message(), HasSubstr("65 selectors"));

  const auto filters = TryLower(MakeSpec(
      MakeHook({MakeSelector(std::vector<policy::Filter>(GH_FILTERS_PER_RULE_MAX + 1), {})})));
  ASSERT_FALSE(filters);
  EXPECT_THAT(filters.error().Message(), HasSubstr("33 filters"));
}

TEST_F(LowerTest, KnowsWhetherASpecDoesMoreThanPost) {
  EXPECT_FALSE((*TryLower(MakeSpec(MakeHook({}))))->Enforces({}));
  EXPECT_FALSE(
      (*TryLower(MakeSpec(MakeHook({MakeSelector({}, {MakeAction(ActionKind::kNoPost)})}))))
          ->Enforces({}));
  EXPECT_TRUE(
      (*TryLower(MakeSpec(MakeHook(
           {MakeSelector({}, {}), MakeSelector({}, {MakeAction(ActionKind::kOverride, -EPERM)})}))))
          ->Enforces({}));
}

/// A hook with `return: true`.
policy::Hook ReturnHook(std::vector<policy::Selector> selectors) {
  policy::Hook hook = MakeHook(std::move(selectors), "openat");
  hook.system_call = true;
  hook.arguments = {MakeArgument(1, policy::ArgumentType::kString)};
  hook.returned = MakeArgument(GH_SUBJECT_RETURN, policy::ArgumentType::kInt32);
  return hook;
}

policy::Filter OnReturn(std::vector<std::string> literals) {
  policy::Filter filter = MakeFilter(Operator::kEqual, std::move(literals));
  filter.subject = policy::Subject::kReturn;
  return filter;
}

TEST_F(LowerTest, AHookWithReturnIsJudgedThere) {
  const auto lowered = TryLower(MakeSpec(ReturnHook({MakeSelector({OnReturn({"0"})}, {})})));
  ASSERT_TRUE(lowered) << lowered.error().Message();
  ASSERT_EQ((*lowered)->hooks.size(), 1U);
  const HookProgram& program = (*lowered)->hooks[0];
  EXPECT_EQ(*program.site, (policy::Site{policy::Site::Kind::kSystemCall, "openat", true}));
  EXPECT_THAT(program.inputs,
              testing::ElementsAre(Input{1, GH_READ_USER_STRING},
                                   Input{GH_SUBJECT_RETURN, GH_READ_NUMBER, 4, true}));
  EXPECT_EQ(program.shows, 1U << 1 | 1U << GH_SUBJECT_RETURN);
  EXPECT_EQ(program.rules.at(0).filters.at(0).subject, GH_SUBJECT_RETURN);
  EXPECT_EQ((*lowered)->infos->at(0).call, "__x64_sys_openat");
}

TEST_F(LowerTest, SelectorsThatActDoSoBeforeTheFunction) {
  const auto lowered = TryLower(
      MakeSpec(ReturnHook({MakeSelector({MakeFilter(Operator::kIn, {"/a"})}, {}),
                           MakeSelector({}, {MakeAction(ActionKind::kSigkill, 0, SIGKILL)}),
                           MakeSelector({OnReturn({"0"})}, {})})));
  ASSERT_TRUE(lowered) << lowered.error().Message();
  ASSERT_EQ((*lowered)->hooks.size(), 2U);
  const HookProgram &before = (*lowered)->hooks[0], &after = (*lowered)->hooks[1];
  EXPECT_FALSE(before.site->at_return);
  EXPECT_EQ(before.hook_index, after.hook_index);
  EXPECT_EQ(before.shows, 1U << 1);
  ASSERT_EQ(before.rules.size(), 2U) << "what is returned is not known yet";
  EXPECT_EQ(before.rules[0].actions, 0);
  EXPECT_FALSE(before.rules[0].counted);
  EXPECT_EQ(before.rules[1].actions, GH_ACTION_POST | GH_ACTION_SIGNAL);
  EXPECT_TRUE(before.rules[1].counted);
  EXPECT_EQ(before.rules[1].index, 1U);
  EXPECT_TRUE(after.site->at_return);
  ASSERT_EQ(after.rules.size(), 3U);
  EXPECT_EQ(after.rules[0].actions, GH_ACTION_POST);
  EXPECT_EQ(after.rules[1].actions, 0) << "it is done";
  EXPECT_FALSE(after.rules[1].counted);
  EXPECT_EQ(after.rules[2].actions, GH_ACTION_POST);
}

TEST_F(LowerTest, WhatFiltersSayOfTheProcessIsAnInput) {
  policy::Filter of_namespace = MakeFilter(Operator::kIn, {"host_ns"});
  of_namespace.subject = policy::Subject::kNamespace;
  of_namespace.which = GH_NAMESPACE_NET;
  policy::Filter capabilities = MakeFilter(Operator::kNotIn, {"CAP_CHOWN", "CAP_KILL"});
  capabilities.subject = policy::Subject::kCapabilities;
  capabilities.which = GH_CAPABILITIES_PERMITTED;
  policy::Hook hook = MakeHook({MakeSelector({of_namespace, capabilities}, {})}, "file_open");
  hook.arguments = {MakeArgument(0, policy::ArgumentType::kNop)};
  const auto lowered = TryLower(MakeSpec(hook));
  ASSERT_TRUE(lowered) << lowered.error().Message();
  const HookProgram& program = (*lowered)->hooks.at(0);
  constexpr uint8_t kNet = int{GH_SUBJECT_NAMESPACE_0} + int{GH_NAMESPACE_NET};
  constexpr uint8_t kPermitted = int{GH_SUBJECT_CAPABILITIES_0} + int{GH_CAPABILITIES_PERMITTED};
  EXPECT_THAT(program.inputs, testing::ElementsAre(Input{kNet, GH_READ_PROCESS, 4},
                                                   Input{kPermitted, GH_READ_PROCESS, 8}));
  EXPECT_EQ(program.shows, 0);
  const Filter& mask = program.rules.at(0).filters.at(1);
  EXPECT_EQ(mask.match, GH_MATCH_MASK);
  EXPECT_TRUE(mask.negated);
  EXPECT_EQ(mask.set->ranges()[0].first, 1U | 1U << 5);
}

}  // namespace
}  // namespace gatehouse::compile
