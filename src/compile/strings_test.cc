// SPDX-License-Identifier: Apache-2.0
#include "compile/strings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

namespace gatehouse::compile {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;
using Views = std::vector<std::string_view>;

TEST(StringPool, GivesEqualTextsOneIdAndNeverZero) {
  StringPool pool;
  const StringId ls = pool.Intern("/bin/ls");
  const StringId cat = pool.Intern("/bin/cat");
  EXPECT_NE(ls, 0u);
  EXPECT_NE(ls, cat);
  EXPECT_EQ(pool.Intern("/bin/ls"), ls);
  EXPECT_EQ(pool.Text(ls), "/bin/ls");
  EXPECT_EQ(pool.size(), 2u);
  EXPECT_EQ(pool.id_limit(), 3u);
}

TEST(StringPool, KeepsAnIdUntilItIsErased) {
  StringPool pool;
  const StringId id = pool.Intern("a");
  pool.Release(id);
  EXPECT_EQ(pool.Text(id), "a");
  EXPECT_NE(pool.Intern("b"), id);
  EXPECT_TRUE(pool.Erase(id));
  EXPECT_EQ(pool.Intern("c"), id);
  EXPECT_EQ(pool.Text(id), "c");
}

TEST(StringPool, ErasesNothingThatIsReferredToAgain) {
  StringPool pool;
  const StringId id = pool.Intern("a");
  pool.Release(id);
  EXPECT_THAT(pool.TakeIdle(), ElementsAre(id));
  EXPECT_EQ(pool.Intern("a"), id);
  EXPECT_FALSE(pool.Erase(id));
  EXPECT_EQ(pool.Text(id), "a");
  pool.Release(id);
  EXPECT_THAT(pool.TakeIdle(), ElementsAre(id)) << "idle once more";
  EXPECT_TRUE(pool.Erase(id));
}

TEST(ValueSets, EqualPatternsAreOneSetWhateverTheirOrder) {
  StringPool pool;
  ValueSets sets(pool);
  const std::vector<std::string> patterns{"/a*", "/b*"}, reversed{"/b*", "/a*", "/b*"};
  const ValueSetPtr set = sets.MakePatterns(patterns).value();
  EXPECT_EQ(set, sets.MakePatterns(reversed).value());
  EXPECT_NE(set, sets.MakePatterns(std::vector<std::string>{"/a*"}).value());
  EXPECT_EQ(set->match(), GH_MATCH_PATTERN);
  EXPECT_EQ(set->size(), 2u);
  EXPECT_EQ(set->bytes(), 4 * (1 + set->automaton().size()));
  EXPECT_THAT(sets.Texts(*set), UnorderedElementsAre("/a*", "/b*"));
}

TEST(ValueSets, PatternsThatAreRefusedLeaveNoString) {
  StringPool pool;
  ValueSets sets(pool);
  EXPECT_FALSE(sets.MakePatterns(std::vector<std::string>{"/a", "/[b"}));
  EXPECT_FALSE(sets.MakePatterns(std::vector<std::string>{"*a???????????????????????????????"}));
  EXPECT_THAT(pool.TakeIdle(), ::testing::SizeIs(1)) << "of the one that could be read";

  const std::vector<std::string> many(600, "/" + std::string(4000, 'a'));
  const auto too_many = sets.MakePatterns(many);
  ASSERT_FALSE(too_many);
  EXPECT_EQ(too_many.error().cause,
            "the 600 patterns together have 2400600 bytes, and at most 2097152 are possible");
}

TEST(StringPool, ReportsWhatWasAddedOnce) {
  StringPool pool;
  const StringId kept = pool.Intern("kept");
  const StringId gone = pool.Intern("gone");
  pool.Release(gone);
  ASSERT_TRUE(pool.Erase(gone));
  EXPECT_THAT(pool.TakeAdded(), ElementsAre(kept));
  EXPECT_THAT(pool.TakeAdded(), IsEmpty());
  const StringId again = pool.Intern("gone");
  EXPECT_THAT(pool.TakeAdded(), ElementsAre(again));
}

TEST(StringPool, ReportsAReusedIdOnce) {
  StringPool pool;
  const StringId first = pool.Intern("first");
  pool.Release(first);
  ASSERT_TRUE(pool.Erase(first));
  const StringId second = pool.Intern("second");
  ASSERT_EQ(second, first);
  EXPECT_THAT(pool.TakeAdded(), ElementsAre(second));
  EXPECT_THAT(pool.TakeIdle(), IsEmpty());
}

TEST(StringPool, IsNotIdleWhatCameBack) {
  StringPool pool;
  const StringId id = pool.Intern("a");
  pool.Release(id);
  pool.Retain(id);
  EXPECT_THAT(pool.TakeIdle(), IsEmpty());
}

TEST(StringPool, TellsTextsWithZeroBytesApart) {
  StringPool pool;
  using namespace std::string_view_literals;
  EXPECT_NE(pool.Intern("a"sv), pool.Intern("a\0b"sv));
}

class ValueSetsTest : public testing::Test {
 protected:
  [[nodiscard]] std::vector<std::string> Make(gh_match match, const Views& values) {
    return sets_.Texts(*sets_.Make(match, values));
  }

  StringPool pool_;
  ValueSets sets_{pool_};
};

TEST_F(ValueSetsTest, EqualSetsAreOneObject) {
  const auto one = sets_.Make(GH_MATCH_EXACT, Views{"b", "a", "a"});
  const auto two = sets_.Make(GH_MATCH_EXACT, Views{"a", "b"});
  EXPECT_EQ(one, two);
  EXPECT_NE(one, sets_.Make(GH_MATCH_PREFIX, Views{"a", "b"}));
  EXPECT_NE(one, sets_.Make(GH_MATCH_EXACT, Views{"a"}));
}

TEST_F(ValueSetsTest, IdsAreAscendingAndDistinct) {
  [[maybe_unused]] const StringId earlier = pool_.Intern("z");
  const auto set = sets_.Make(GH_MATCH_EXACT, Views{"a", "z", "m", "a"});
  EXPECT_TRUE(std::is_sorted(set->ids().begin(), set->ids().end()));
  EXPECT_EQ(set->ids().size(), 3u);
}

TEST_F(ValueSetsTest, ASetHoldsItsStringsAndNothingElseDoes) {
  auto set = sets_.Make(GH_MATCH_EXACT, Views{"a", "a", "b"});
  const auto ids = std::vector<StringId>(set->ids().begin(), set->ids().end());
  auto same = sets_.Make(GH_MATCH_EXACT, Views{"b", "a"});
  EXPECT_THAT(pool_.TakeIdle(), IsEmpty());
  set.reset();
  EXPECT_THAT(pool_.TakeIdle(), IsEmpty());
  same.reset();
  EXPECT_THAT(pool_.TakeIdle(), testing::ElementsAreArray(ids));
}

TEST_F(ValueSetsTest, PrefixesKeepOnlyTheShortest) {
  EXPECT_THAT(
      Make(GH_MATCH_PREFIX, {"/usr/bin/", "/usr", "/opt/a", "/opt/b", "/usr/lib", "/opt/a"}),
      UnorderedElementsAre("/usr", "/opt/a", "/opt/b"));
  EXPECT_THAT(Make(GH_MATCH_PREFIX, {"/usr/bin", "/usr/bi", "/usr0", "/usr/bin/x"}),
              UnorderedElementsAre("/usr/bi", "/usr0"));
  EXPECT_THAT(Make(GH_MATCH_PREFIX, {"/a", "", "/b"}), ElementsAre(""));
  EXPECT_THAT(Make(GH_MATCH_PREFIX, {"\xff", "a", "\xff\xff"}), UnorderedElementsAre("a", "\xff"));
}

TEST_F(ValueSetsTest, PostfixesAreInternedReversed) {
  const auto set = sets_.Make(GH_MATCH_POSTFIX, Views{"/sh", "ash", "sh", ".py"});
  EXPECT_THAT(sets_.Texts(*set), UnorderedElementsAre("sh", ".py"));
  std::vector<std::string_view> interned;
  for (const StringId id : set->ids()) interned.push_back(pool_.Text(id));
  EXPECT_THAT(interned, UnorderedElementsAre("hs", "yp."));
}

TEST_F(ValueSetsTest, ExactSetsKeepPrefixesOfEachOther) {
  EXPECT_THAT(Make(GH_MATCH_EXACT, {"/usr", "/usr/bin"}), UnorderedElementsAre("/usr", "/usr/bin"));
}

TEST_F(ValueSetsTest, AnExactSetHasAllThatTheOthersAreMadeFrom) {
  const auto exact = sets_.Make(GH_MATCH_EXACT, Views{"/usr", "/usr/bin", "/opt"});
  const Views views = sets_.Views(*exact);
  EXPECT_THAT(views, UnorderedElementsAre("/usr", "/usr/bin", "/opt"));
  EXPECT_EQ(sets_.Make(GH_MATCH_EXACT, views), exact);
  EXPECT_THAT(sets_.Texts(*sets_.Make(GH_MATCH_PREFIX, views)),
              UnorderedElementsAre("/usr", "/opt"));
  EXPECT_THAT(sets_.Texts(*sets_.Make(GH_MATCH_POSTFIX, views)),
              UnorderedElementsAre("/usr", "/usr/bin", "/opt"));
}

std::vector<std::pair<uint64_t, uint64_t>> Pairs(const ValueSet& set) {
  std::vector<std::pair<uint64_t, uint64_t>> pairs;
  for (const gh_range& range : set.ranges()) pairs.emplace_back(range.first, range.last);
  return pairs;
}

TEST_F(ValueSetsTest, RangesThatOverlapOrTouchAreOne) {
  const auto set = sets_.MakeNumbers(
      GH_MATCH_RANGE, {{10, 20}, {0, 3}, {21, 30}, {15, 16}, {40, 40}, {2, 5}, {32, 32}});
  EXPECT_THAT(Pairs(*set), ElementsAre(Pair(0, 5), Pair(10, 30), Pair(32, 32), Pair(40, 40)));
  EXPECT_EQ(set->size(), 4U);
}

TEST_F(ValueSetsTest, RangesReachTheEndsOfNumbers) {
  const auto set = sets_.MakeNumbers(
      GH_MATCH_RANGE, {{UINT64_MAX, UINT64_MAX}, {0, 0}, {UINT64_MAX - 5, UINT64_MAX - 1}});
  EXPECT_THAT(Pairs(*set), ElementsAre(Pair(0, 0), Pair(UINT64_MAX - 5, UINT64_MAX)));
}

TEST_F(ValueSetsTest, AddressesAreJoinedOverTheirHalves) {
  constexpr uint64_t kAll = UINT64_MAX;
  const ValueSetPtr set =
      sets_.MakeAddresses({{5, 0, 5, 9}, {0, 7, 0, kAll}, {1, 0, 1, 3}, {5, 3, 5, 4}});
  ASSERT_EQ(set->addresses().size(), 2U);
  EXPECT_EQ(set->addresses()[0].first, 0U);
  EXPECT_EQ(set->addresses()[0].first_low, 7U);
  EXPECT_EQ(set->addresses()[0].last, 1U);
  EXPECT_EQ(set->addresses()[0].last_low, 3U);
  EXPECT_EQ(set->addresses()[1].first_low, 0U);
  EXPECT_EQ(set->addresses()[1].last_low, 9U);
  EXPECT_EQ(set->bytes(), 64U);
  EXPECT_EQ(sets_.MakeAddresses({{0, 7, 1, 3}, {5, 0, 5, 9}}), set);
  EXPECT_NE(sets_.MakeAddresses({{0, 7, 1, 3}}), set);
}

TEST_F(ValueSetsTest, MasksAreOne) {
  const auto set = sets_.MakeNumbers(GH_MATCH_MASK, {{1, 1}, {4, 4}, {0x10, 0x10}});
  EXPECT_THAT(Pairs(*set), ElementsAre(Pair(0x15, 0x15)));
}

TEST_F(ValueSetsTest, EqualNumbersAreOneSet) {
  const auto a = sets_.MakeNumbers(GH_MATCH_RANGE, {{1, 2}, {3, 4}});
  EXPECT_EQ(sets_.MakeNumbers(GH_MATCH_RANGE, {{1, 4}}), a);
  EXPECT_NE(sets_.MakeNumbers(GH_MATCH_RANGE, {{1, 5}}), a);
  EXPECT_NE(sets_.MakeNumbers(GH_MATCH_MASK, {{1, 4}}), a);
}

TEST_F(ValueSetsTest, UnionIsTheSetOfAllValues) {
  const auto a = sets_.Make(GH_MATCH_EXACT, Views{"a", "b"});
  const auto b = sets_.Make(GH_MATCH_EXACT, Views{"b", "c"});
  EXPECT_EQ(sets_.Union(std::vector{a, b}), sets_.Make(GH_MATCH_EXACT, Views{"a", "b", "c"}));
  EXPECT_EQ(sets_.Union(std::vector{a}), a);
  EXPECT_THAT(sets_.Texts(*sets_.Union({})), IsEmpty());
}

TEST_F(ValueSetsTest, ManyShortLivedSetsLeaveEqualOnesShared) {
  const auto kept = sets_.Make(GH_MATCH_EXACT, Views{"kept"});
  for (int i = 0; i < 1000; ++i) {
    const std::string value = std::to_string(i);
    EXPECT_EQ(Make(GH_MATCH_EXACT, {value}), std::vector{value});
  }
  EXPECT_EQ(sets_.Make(GH_MATCH_EXACT, Views{"kept"}), kept);
  EXPECT_EQ(pool_.TakeIdle().size(), 1000u);
}

}  // namespace
}  // namespace gatehouse::compile
