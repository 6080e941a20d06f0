// SPDX-License-Identifier: Apache-2.0
#include "daemon/policy_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace gatehouse::daemon {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PackedTextTest, GivesBackWhatItGot) {
  std::mt19937 random(1);  // NOLINT(cert-msc51-cpp): the same texts in every run
  std::string noise;
  for (int i = 0; i < 5000; ++i) noise.push_back(static_cast<char>(random()));
  std::string policy;
  for (int i = 0; i < 5000; ++i) policy += "        - /usr/bin/program-" + std::to_string(i) + "\n";
  for (const std::string& text :
       {std::string(), std::string("a"), std::string(3, '\0'), noise, policy}) {
    EXPECT_EQ(PackedText(text).Unpack(), text);
    EXPECT_LE(PackedText(text).bytes(), text.size());
  }
  EXPECT_LT(PackedText(policy).bytes(), policy.size() / 3);
  EXPECT_EQ(PackedText().Unpack(), "");
}

TEST(PolicyStoreTest, KnowsWhichFileAPolicyIsFrom) {
  PolicyStore store;
  store.Put({"a", ""}, {PackedText("1"), "/f", {}});
  store.Put({"b", "ns"}, {PackedText("2"), "/f", {}});
  store.Put({"c", ""}, {PackedText("3"), "", {}});
  EXPECT_THAT(store.KeysOf("/f"), ElementsAre(policy::Key{"a", ""}, policy::Key{"b", "ns"}));
  EXPECT_THAT(store.KeysOf(""), IsEmpty());
  store.Put({"a", ""}, {PackedText("4"), "/g", {}});
  store.Put({"a", ""}, {PackedText("4"), store.Find({"a", ""})->origin, {}});
  store.Remove({"b", "ns"});
  store.Remove({"b", "ns"});
  EXPECT_THAT(store.KeysOf("/f"), IsEmpty());
  EXPECT_THAT(store.KeysOf("/g"), ElementsAre(policy::Key{"a", ""}));
  EXPECT_EQ(store.Find({"a", ""})->text.Unpack(), "4");
  EXPECT_EQ(store.Find({"b", "ns"}), nullptr);
}

}  // namespace
}  // namespace gatehouse::daemon
