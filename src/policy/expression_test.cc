// SPDX-License-Identifier: Apache-2.0
#include "policy/expression.h"

#include <gmock/gmock.h>

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "policy/intervals.h"
#include "policy/numbers.h"

namespace gatehouse::policy {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

Hook HookOf(const std::vector<ArgumentType>& types) {
  Hook hook;
  for (const ArgumentType type : types) {
    Argument argument;
    argument.index = static_cast<uint32_t>(hook.arguments.size());
    argument.type = type;
    hook.arguments.push_back(argument);
  }
  return hook;
}

/// Whether filters on numbers hold, as the kernel compares them: in 64 bits.
bool Holds(const Alternative& filters, const Hook& hook, const std::vector<uint64_t>& numbers) {
  return std::ranges::all_of(filters, [&](const Filter& filter) {
    bool found = false;
    for (const std::string& value : filter.values.literals) {
      const auto ranges = RangesOf(hook.arguments[filter.which].type, filter.op, value);
      EXPECT_TRUE(ranges) << value;
      for (const gh_range& range : *ranges) {
        const uint64_t number = numbers.at(filter.which);
        const bool bits = filter.op == Operator::kMask || filter.op == Operator::kNotMask;
        found |= bits ? (number & range.first) != 0 : range.first <= number && number <= range.last;
      }
    }
    return found != (filter.op == Operator::kNotMask);
  });
}

bool Holds(const std::string& text, const Hook& hook, const std::vector<uint64_t>& numbers) {
  const auto alternatives = CompileExpression(text, hook, {});
  EXPECT_TRUE(alternatives) << text << ": " << alternatives.error().Message();
  return alternatives && std::ranges::any_of(*alternatives, [&](const Alternative& filters) {
           return Holds(filters, hook, numbers);
         });
}

std::string ErrorOf(const std::string& text,
                    const std::vector<ArgumentType>& types = {
                        ArgumentType::kInt32, ArgumentType::kUint64, ArgumentType::kString}) {
  const auto alternatives = CompileExpression(text, HookOf(types), {});
  return alternatives ? "" : alternatives.error().Message();
}

TEST(Expression, HoldsOfEachByteForWhichItIsTrue) {
  struct Case {
    const char* text;
    std::function<bool(int8_t, uint8_t)> is_true;
  };
  const std::vector<Case> cases{
      {"arg0 == 5", [](int8_t a, uint8_t) { return a == 5; }},
      {"arg0 != -5", [](int8_t a, uint8_t) { return a != -5; }},
      {"arg0 < -1", [](int8_t a, uint8_t) { return a < -1; }},
      {"arg0 <= 127", [](int8_t, uint8_t) { return true; }},
      {"arg0 > -128", [](int8_t a, uint8_t) { return a > -128; }},
      {"arg0 >= 0", [](int8_t a, uint8_t) { return a >= 0; }},
      {"3 > arg0", [](int8_t a, uint8_t) { return 3 > a; }},
      {"-arg0 < 3", [](int8_t a, uint8_t) { return static_cast<int8_t>(-a) < 3; }},
      {"arg0 + 100 < 0", [](int8_t a, uint8_t) { return static_cast<int8_t>(a + 100) < 0; }},
      {"10 - arg0 >= 20", [](int8_t a, uint8_t) { return static_cast<int8_t>(10 - a) >= 20; }},
      {"not(arg0) == 7", [](int8_t a, uint8_t) { return static_cast<int8_t>(~a) == 7; }},
      {"arg1 < 200u", [](int8_t, uint8_t b) { return b < 200; }},
      {"arg1 - 10u > 250u", [](int8_t, uint8_t b) { return static_cast<uint8_t>(b - 10) > 250; }},
      {"and(arg1, 0x0f) != 0u", [](int8_t, uint8_t b) { return (b & 0xf) != 0; }},
      {"and(arg1, 0x0f) == 0u", [](int8_t, uint8_t b) { return (b & 0xf) == 0; }},
      {"and(arg1, 8) == 8", [](int8_t, uint8_t b) { return (b & 8) == 8; }},
      {"and(8, arg1) != 8", [](int8_t, uint8_t b) { return (b & 8) != 8; }},
      {"!(arg0 == 5 || arg1 > 7u)", [](int8_t a, uint8_t b) { return !(a == 5 || b > 7); }},
      {"arg0 == 1 && arg1 == 2u || arg0 < 0 && !(and(arg1, 1) == 0)",
       [](int8_t a, uint8_t b) { return (a == 1 && b == 2) || (a < 0 && (b & 1) != 0); }},
      {"(arg0 < 0) == (arg1 < 10u)", [](int8_t a, uint8_t b) { return (a < 0) == (b < 10); }},
      {"(arg0 < 0) != (arg1 < 10u)", [](int8_t a, uint8_t b) { return (a < 0) != (b < 10); }},
      {"arg0 > 3 && arg0 < 9 && true", [](int8_t a, uint8_t) { return a > 3 && a < 9; }},
      {"arg0 == 0x10 - 0x20 + 3 || false", [](int8_t a, uint8_t) { return a == -13; }},
  };
  const Hook hook = HookOf({ArgumentType::kInt8, ArgumentType::kUint8});
  for (const Case& each : cases) {
    const auto alternatives = CompileExpression(each.text, hook, {});
    ASSERT_TRUE(alternatives) << each.text << ": " << alternatives.error().Message();
    for (int a = -128; a < 128; ++a) {
      for (int b = 0; b < 256; b += 3) {
        const std::vector<uint64_t> numbers{static_cast<uint64_t>(int64_t{a}),
                                            static_cast<uint64_t>(b)};
        const bool holds = std::ranges::any_of(*alternatives, [&](const Alternative& filters) {
          return Holds(filters, hook, numbers);
        });
        ASSERT_EQ(holds, each.is_true(static_cast<int8_t>(a), static_cast<uint8_t>(b)))
            << each.text << " of " << a << ", " << b;
      }
    }
  }
}

TEST(Expression, NumbersOf32And64Bits) {
  const Hook hook = HookOf({ArgumentType::kInt32, ArgumentType::kInt64, ArgumentType::kUint64});
  const auto minus_one = std::numeric_limits<uint64_t>::max();
  EXPECT_TRUE(Holds("arg0 == int32(-1) && arg1 >= 1024", hook, {minus_one, 1024, 0}));
  EXPECT_FALSE(Holds("arg0 == int32(-1) && arg1 >= 1024", hook, {1, 1024, 0}));
  EXPECT_TRUE(Holds("arg0 == int32(4294967295)", hook, {minus_one, 0, 0}));
  EXPECT_TRUE(Holds("uint32(arg0) == 4294967295u", hook, {minus_one, 0, 0}));
  EXPECT_TRUE(Holds("arg1 < 0", hook, {0, minus_one, 0}));
  EXPECT_FALSE(Holds("arg2 < 5u", hook, {0, 0, minus_one}));
  EXPECT_TRUE(Holds("arg2 + 6u == 5u", hook, {0, 0, minus_one}));
  EXPECT_TRUE(Holds("18446744073709551611u + 6u == 1u", hook, {0, 0, 0}));
  EXPECT_TRUE(Holds("5 - 10 == -5", hook, {0, 0, 0}));
  EXPECT_TRUE(Holds("arg1 == -9223372036854775808", hook, {0, uint64_t{1} << 63, 0}));
}

TEST(Expression, ComparisonsOfOneArgumentAreOneFilter) {
  const Hook hook = HookOf({ArgumentType::kInt32, ArgumentType::kUint8});
  const auto one = CompileExpression("arg0 > 3 && arg0 < 9 && arg0 != 5 && arg1 == 1", hook, {});
  ASSERT_TRUE(one);
  ASSERT_EQ(one->size(), 1u);
  ASSERT_EQ(one->front().size(), 2u);
  EXPECT_THAT(one->front()[0].values.literals, ElementsAre("4:4", "6:8"));
  EXPECT_THAT(one->front()[1].values.literals, ElementsAre("1:1"));
  const auto either = CompileExpression("arg0 == -1 || arg1 == 1", hook, {});
  ASSERT_TRUE(either);
  EXPECT_EQ(either->size(), 2u);
  const auto always = CompileExpression("1 < 2", hook, {});
  ASSERT_TRUE(always);
  EXPECT_THAT(*always, ElementsAre(IsEmpty()));
}

TEST(Expression, WhatCannotBeFiltersIsRefusedWithItsPart) {
  EXPECT_THAT(
      ErrorOf("arg0 == 1 && arg0 == arg0"),
      HasSubstr("\"arg0 == arg0\" cannot be compiled to filters: it compares two arguments"));
  EXPECT_THAT(ErrorOf("arg1 + arg1 == 2u"), HasSubstr("\"arg1 + arg1\" cannot be"));
  EXPECT_THAT(ErrorOf("and(arg1, 6u) == 4u"), HasSubstr("bits are compared with something else"));
  EXPECT_THAT(ErrorOf("or(arg1, 6u) == 4u"), HasSubstr("\"or(arg1, 6u)\" cannot be"));
  EXPECT_THAT(ErrorOf("uint32(arg1) == 4u"), HasSubstr("\"uint32(arg1)\" cannot be"));
  EXPECT_THAT(ErrorOf("arg2 == 1"), HasSubstr("\"arg2\" cannot be compiled to filters: it is a"));
  EXPECT_THAT(ErrorOf("arg0 == arg1"),
              HasSubstr("\"arg0 == arg1\": numbers of types int32 and uint64"));
  EXPECT_THAT(ErrorOf("arg0 == 4294967296"), HasSubstr("4294967296 is no int32"));
  EXPECT_THAT(ErrorOf("arg1 == -1"), HasSubstr("-1 is no uint64"));
  EXPECT_THAT(ErrorOf("arg0 > 3 && arg0 < 2"), HasSubstr("never holds"));
  EXPECT_THAT(ErrorOf("arg3 == 1"), HasSubstr("arg3: args of this hook has 3 entries"));
}

TEST(Expression, WhatIsNoneIsRefused) {
  for (const char* bad : {"",
                          " ",
                          "arg0",
                          "arg0 ==",
                          "arg0 == 1 &&",
                          "(arg0 == 1",
                          "arg0 == 1)",
                          "arg0 = 1",
                          "arg0 == 1 arg0",
                          "!arg0",
                          "-(arg0 == 1)",
                          "f(arg0) == 1",
                          "and(arg0) == 1",
                          "x == 1",
                          "arg == 1",
                          "arg0 == 18446744073709551616",
                          "arg0 == 0x",
                          "arg0 == 1 + true",
                          "arg0 < (arg0 == 1)",
                          "true < false",
                          "1 && 2",
                          "argu0 == 1",
                          "arg0 == 'a'"}) {
    EXPECT_NE(ErrorOf(bad), "") << bad;
  }
  std::string deep;
  for (int i = 0; i < 1000; ++i) deep += "!(";
  EXPECT_THAT(ErrorOf(deep), HasSubstr("nested too deeply"));
  std::string many = "arg0 == 0";
  for (int i = 1; i < 70; ++i) many += " && (arg0 == 1 || arg1 == 1u)";
  EXPECT_NE(ErrorOf(many), "");
}

TEST(Intervals, AreSetsOfNumbers) {
  const Intervals some = Intervals::Between(8, 250, 3);
  EXPECT_THAT(some.list(), ElementsAre(Interval{0, 3}, Interval{250, 255}));
  EXPECT_THAT(some.Not().list(), ElementsAre(Interval{4, 249}));
  EXPECT_TRUE(some.Or(some.Not()).all());
  EXPECT_TRUE(some.And(some.Not()).empty());
  EXPECT_EQ(some.Before(250).list(), Intervals::Between(8, 0, 9).list());
  EXPECT_EQ(some.Negated(), Intervals::Between(8, 253, 6));
  EXPECT_TRUE(Intervals::All(64).Not().empty());
  EXPECT_TRUE(Intervals::All(64).Before(7).all());
}

}  // namespace
}  // namespace gatehouse::policy
