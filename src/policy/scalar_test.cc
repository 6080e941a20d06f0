// SPDX-License-Identifier: Apache-2.0
#include "policy/scalar.h"

#include <gtest/gtest.h>

namespace gatehouse::policy {
namespace {

TEST(TypeOfPlain, KnowsWhatOtherReadersTakeForSomethingElse) {
  for (const char* text : {"", "~", "null", "Null", "NULL"}) {
    EXPECT_EQ(TypeOfPlain(text), ScalarType::kNull) << text;
  }
  for (const char* text : {"true", "True", "TRUE", "false", "yes", "No", "ON", "off"}) {
    EXPECT_EQ(TypeOfPlain(text), ScalarType::kBool) << text;
  }
  for (const char* text :
       {"0", "-1", "+12", "007", "0x1F", "0o17", "0b101", "99999999999999999999999999"}) {
    EXPECT_EQ(TypeOfPlain(text), ScalarType::kInteger) << text;
  }
  for (const char* text : {"1.5", ".5", "-1e9", "1e999", ".inf", "-.INF", ".nan", "1."}) {
    EXPECT_EQ(TypeOfPlain(text), ScalarType::kFloat) << text;
  }
  for (const char* text : {"nUll", "tRue", "/usr/bin/true", "truely", "-", "+", ".", "1.2.3", "0x",
                           "0xg", "1m", "-a", "inf", "nan", "e5", "a1", "..5", "1_000"}) {
    EXPECT_EQ(TypeOfPlain(text), ScalarType::kString) << text;
  }
}

TEST(ReadBool, TakesTheSpellingsOfYaml12) {
  EXPECT_EQ(ReadBool("true"), true);
  EXPECT_EQ(ReadBool("False"), false);
  EXPECT_EQ(ReadBool("yes"), std::nullopt);
  EXPECT_EQ(ReadBool("fAlse"), std::nullopt);
  EXPECT_EQ(ReadBool(""), std::nullopt);
}

TEST(ReadInteger, TakesWhatMeansTheSameEverywhere) {
  EXPECT_EQ(ReadInteger("0"), 0);
  EXPECT_EQ(ReadInteger("-4095"), -4095);
  EXPECT_EQ(ReadInteger("+7"), 7);
  EXPECT_EQ(ReadInteger("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(ReadInteger("0x10"), 16);
  EXPECT_EQ(ReadInteger("0xFf"), 255);
  EXPECT_EQ(ReadInteger("0x0010"), 16);
  EXPECT_EQ(ReadInteger("0x7fffffffffffffff"), INT64_MAX);
  for (const char* text :
       {"", "-", "+", "+-1", "--1", "010", "-01", "1.0", "1e3", "0x", "0xg", "-0x1", "0x-1", "0X10",
        "0x8000000000000000", " 1", "9223372036854775808", "one"}) {
    EXPECT_EQ(ReadInteger(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace gatehouse::policy
