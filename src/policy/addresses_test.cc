// SPDX-License-Identifier: Apache-2.0
#include "policy/addresses.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::policy {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// Ranges as `first-last`, each of two halves.
std::vector<std::string> Read(std::string_view value) {
  const auto ranges = ReadAddresses(value);
  if (!ranges) return {ranges.error().cause};
  std::vector<std::string> texts;
  for (const gh_address_range& range : *ranges) {
    texts.push_back(fmt::format("{:x}:{:x}-{:x}:{:x}", range.first, range.first_low, range.last,
                                range.last_low));
  }
  return texts;
}

TEST(Addresses, OfIpv4AreMapped) {
  EXPECT_THAT(Read("10.1.2.3"), ElementsAre("0:ffff0a010203-0:ffff0a010203"));
  EXPECT_THAT(Read("10.1.2.3/8"), ElementsAre("0:ffff0a000000-0:ffff0affffff"));
  EXPECT_THAT(Read("0.0.0.0/0"), ElementsAre("0:ffff00000000-0:ffffffffffff"));
  EXPECT_THAT(Read("255.255.255.255/32"), ElementsAre("0:ffffffffffff-0:ffffffffffff"));
}

TEST(Addresses, OfIpv6AreTheirBits) {
  EXPECT_THAT(Read("fd00::1"), ElementsAre("fd00000000000000:1-fd00000000000000:1"));
  EXPECT_THAT(Read("fd00::1/8"),
              ElementsAre("fd00000000000000:0-fdffffffffffffff:ffffffffffffffff"));
  EXPECT_THAT(Read("2001:db8::/64"),
              ElementsAre("20010db800000000:0-20010db800000000:ffffffffffffffff"));
  EXPECT_THAT(Read("::1/127"), ElementsAre("0:0-0:1"));
}

TEST(Addresses, NoPrefixOfIpv6HoldsIpv4) {
  EXPECT_THAT(Read("::/0"), ElementsAre("0:0-0:fffeffffffff",
                                        "0:1000000000000-ffffffffffffffff:ffffffffffffffff"));
  EXPECT_THAT(Read("::/80"), ElementsAre("0:0-0:fffeffffffff"));  // the mapped ones are its end
  EXPECT_EQ(Read("::ffff:10.0.0.0/104"), Read("10.0.0.0/8"));
  EXPECT_EQ(Read("::ffff:0:0/96"), Read("0.0.0.0/0"));
}

TEST(Addresses, WhatIsNoneIsRefusedWithItsReason) {
  for (const char* value :
       {"", "10.0.0", "10.0.0.256", "example.org", "10.0.0.1:80", "/8", "::g"}) {
    EXPECT_THAT(Read(value).at(0), HasSubstr("is not an address")) << value;
  }
  for (const char* value : {"10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x"}) {
    EXPECT_THAT(Read(value).at(0), HasSubstr("no prefix length from 0 to 32")) << value;
  }
  EXPECT_THAT(Read("fd00::/129").at(0), HasSubstr("no prefix length from 0 to 128"));
}

}  // namespace
}  // namespace gatehouse::policy
