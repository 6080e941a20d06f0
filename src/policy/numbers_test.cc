// SPDX-License-Identifier: Apache-2.0
#include "policy/numbers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>

#include "policy/format.h"

namespace gatehouse::policy {
namespace {

using Ranges = std::vector<std::pair<uint64_t, uint64_t>>;

constexpr auto kInt8Min = static_cast<uint64_t>(INT8_MIN);
constexpr auto kInt32Min = static_cast<uint64_t>(INT32_MIN);
constexpr auto kInt64Min = static_cast<uint64_t>(INT64_MIN);

/// Nothing as nothing; else pairs that can be compared.
std::optional<Ranges> Read(ArgumentType type, Operator op, std::string_view value) {
  const auto ranges = RangesOf(type, op, value);
  if (!ranges) return std::nullopt;
  Ranges pairs;
  for (const gh_range& range : *ranges) pairs.emplace_back(range.first, range.last);
  return pairs;
}

std::optional<Ranges> One(uint64_t first, uint64_t last) { return Ranges{{first, last}}; }
std::optional<Ranges> One(uint64_t number) { return One(number, number); }

TEST(Numbers, OfSocketsHaveNames) {
  EXPECT_EQ(Read(ArgumentType::kProtocol, Operator::kProtocol, "IPPROTO_TCP"), One(6));
  EXPECT_EQ(Read(ArgumentType::kProtocol, Operator::kProtocol, "IPPROTO_MPTCP"), One(262));
  EXPECT_EQ(Read(ArgumentType::kProtocol, Operator::kProtocol, "6:17"), One(6, 17));
  EXPECT_EQ(Read(ArgumentType::kFamily, Operator::kFamily, "AF_INET6"), One(10));
  EXPECT_EQ(Read(ArgumentType::kState, Operator::kState, "TCP_LISTEN"), One(10));
  EXPECT_EQ(Read(ArgumentType::kState, Operator::kState, "AF_INET"), std::nullopt);
  EXPECT_EQ(Read(ArgumentType::kPort, Operator::kSourcePort, "80:443"), One(80, 443));
  EXPECT_EQ(Read(ArgumentType::kPort, Operator::kNotDestinationPort, "65536"), std::nullopt);
}

TEST(Numbers, HaveTheLimitsOfTheirTypes) {
  const struct {
    ArgumentType type;
    std::string least, most;  // the last that fit
    std::string below, above;
    uint64_t least_bits, most_bits;
  } cases[] = {
      {ArgumentType::kInt8, "-128", "127", "-129", "128", kInt8Min, INT8_MAX},
      {ArgumentType::kUint8, "0", "255", "-1", "256", 0, UINT8_MAX},
      {ArgumentType::kInt16, "-32768", "32767", "-32769", "32768", static_cast<uint64_t>(INT16_MIN),
       INT16_MAX},
      {ArgumentType::kUint16, "0", "65535", "-1", "65536", 0, UINT16_MAX},
      {ArgumentType::kInt32, "-2147483648", "2147483647", "-2147483649", "2147483648", kInt32Min,
       INT32_MAX},
      {ArgumentType::kUint32, "0", "4294967295", "-1", "4294967296", 0, UINT32_MAX},
      {ArgumentType::kInt64, "-9223372036854775808", "9223372036854775807", "-9223372036854775809",
       "9223372036854775808", kInt64Min, INT64_MAX},
      {ArgumentType::kUint64, "0", "18446744073709551615", "-1", "18446744073709551616", 0,
       UINT64_MAX},
      {ArgumentType::kSizeT, "0", "18446744073709551615", "-1", "18446744073709551616", 0,
       UINT64_MAX},
      {ArgumentType::kCapability, "-2147483648", "2147483647", "-2147483649", "2147483648",
       kInt32Min, INT32_MAX},
  };
  for (const auto& each : cases) {
    SCOPED_TRACE(NameOf(each.type));
    EXPECT_EQ(Read(each.type, Operator::kEqual, each.least), One(each.least_bits));
    EXPECT_EQ(Read(each.type, Operator::kEqual, each.most), One(each.most_bits));
    EXPECT_EQ(Read(each.type, Operator::kEqual, each.below), std::nullopt);
    EXPECT_EQ(Read(each.type, Operator::kEqual, each.above), std::nullopt);
    EXPECT_EQ(Read(each.type, Operator::kGreater, each.most), Ranges{});
    EXPECT_EQ(Read(each.type, Operator::kLess, each.least), Ranges{});
    const bool is_signed = each.least_bits != 0;
    const auto all = Read(each.type, Operator::kInRange, each.least + ":" + each.most);
    EXPECT_EQ(all, is_signed ? (Ranges{{0, each.most_bits}, {each.least_bits, UINT64_MAX}})
                             : (Ranges{{0, each.most_bits}}));
  }
}

TEST(Numbers, ReachTheEndOfTheTypeWithGreaterAndLess) {
  EXPECT_EQ(Read(ArgumentType::kUint8, Operator::kGreater, "9"), One(10, UINT8_MAX));
  EXPECT_EQ(Read(ArgumentType::kUint8, Operator::kLess, "9"), One(0, 8));
  EXPECT_EQ(Read(ArgumentType::kUint64, Operator::kGreater, "18446744073709551614"),
            One(UINT64_MAX));
  EXPECT_EQ(Read(ArgumentType::kInt8, Operator::kGreater, "9"), One(10, INT8_MAX));
  EXPECT_EQ(Read(ArgumentType::kInt8, Operator::kGreater, "-1"), One(0, INT8_MAX));
  EXPECT_EQ(Read(ArgumentType::kInt8, Operator::kGreater, "-2"),
            (Ranges{{0, INT8_MAX}, {UINT64_MAX, UINT64_MAX}}));
  EXPECT_EQ(Read(ArgumentType::kInt8, Operator::kLess, "0"), One(kInt8Min, UINT64_MAX));
  EXPECT_EQ(Read(ArgumentType::kInt8, Operator::kLess, "1"),
            (Ranges{{0, 0}, {kInt8Min, UINT64_MAX}}));
  EXPECT_EQ(Read(ArgumentType::kInt64, Operator::kLess, "0"), One(kInt64Min, UINT64_MAX));
  EXPECT_EQ(Read(ArgumentType::kInt64, Operator::kGreater, "-9223372036854775808"),
            (Ranges{{0, INT64_MAX}, {kInt64Min + 1, UINT64_MAX}}));
}

TEST(Numbers, SplitRangesAtZeroIfTheyAreSigned) {
  for (const Operator op :
       {Operator::kInRange, Operator::kNotInRange, Operator::kInMap, Operator::kNotInMap}) {
    SCOPED_TRACE(NameOf(op));
    EXPECT_EQ(Read(ArgumentType::kInt32, op, "-1:1"), (Ranges{{0, 1}, {UINT64_MAX, UINT64_MAX}}));
    EXPECT_EQ(Read(ArgumentType::kInt32, op, "-5:-1"), One(UINT64_MAX - 4, UINT64_MAX));
    EXPECT_EQ(Read(ArgumentType::kInt32, op, "0:5"), One(0, 5));
    EXPECT_EQ(Read(ArgumentType::kInt32, op, "7"), One(7));
    EXPECT_EQ(Read(ArgumentType::kUint32, op, "0x10:0x1f"), One(16, 31));
    EXPECT_EQ(Read(ArgumentType::kUint32, op, "3:3"), One(3));
    EXPECT_EQ(Read(ArgumentType::kUint32, op, "3:2"), std::nullopt);
    EXPECT_EQ(Read(ArgumentType::kInt32, op, "1:-1"), std::nullopt);
    EXPECT_EQ(Read(ArgumentType::kUint8, op, "1:256"), std::nullopt);
  }
}

TEST(Numbers, AreDecimalOrHexadecimal) {
  EXPECT_EQ(Read(ArgumentType::kUint32, Operator::kIn, "0x0"), One(0));
  EXPECT_EQ(Read(ArgumentType::kUint32, Operator::kIn, "0x00Ff"), One(0xff));
  EXPECT_EQ(Read(ArgumentType::kUint32, Operator::kIn, "0xffffffff"), One(UINT32_MAX));
  EXPECT_EQ(Read(ArgumentType::kUint32, Operator::kIn, "0x100000000"), std::nullopt);
  EXPECT_EQ(Read(ArgumentType::kInt32, Operator::kIn, "-0x10"), One(UINT64_MAX - 15));
  EXPECT_EQ(Read(ArgumentType::kInt32, Operator::kIn, "0x80000000"), std::nullopt);
  EXPECT_EQ(Read(ArgumentType::kUint64, Operator::kIn, "0xffffffffffffffff"), One(UINT64_MAX));
  EXPECT_EQ(Read(ArgumentType::kUint64, Operator::kIn, "0x10000000000000000"), std::nullopt);
  EXPECT_EQ(Read(ArgumentType::kInt64, Operator::kIn, "-0"), One(0));
}

TEST(Numbers, AreNothingElse) {
  for (const std::string_view text :
       {"",    "-",   "--1", "+1",    " 1",   "1 ",        "0x",  "0x-1", "0xg",
        "0X1", "-0x", "01",  "00",    "-01",  "1a",        "1.0", "1e3",  "a",
        ":",   "1:",  ":1",  "1:2:3", "1::2", "CAP_CHOWN", "٣"}) {
    SCOPED_TRACE(text);
    EXPECT_EQ(Read(ArgumentType::kInt64, Operator::kEqual, text), std::nullopt);
    EXPECT_EQ(Read(ArgumentType::kInt64, Operator::kInMap, text), std::nullopt);
  }
  EXPECT_EQ(Read(ArgumentType::kInt64, Operator::kEqual, "1:2"), std::nullopt);
  EXPECT_EQ(Read(ArgumentType::kInt64, Operator::kGreater, "1:2"), std::nullopt);
  EXPECT_EQ(Read(ArgumentType::kInt64, Operator::kMask, "1:2"), std::nullopt);
  EXPECT_EQ(Read(ArgumentType::kInt64, Operator::kEqual, std::string(4095, '9')), std::nullopt);
}

TEST(Numbers, AreMasksAsTheyStand) {
  EXPECT_EQ(Read(ArgumentType::kUint32, Operator::kMask, "0x3"), One(3));
  EXPECT_EQ(Read(ArgumentType::kUint32, Operator::kMask, "0"), One(0));
  EXPECT_EQ(Read(ArgumentType::kInt32, Operator::kMask, "-1"), One(UINT64_MAX));
}

TEST(Numbers, OfCapabilitiesHaveNames) {
  constexpr ArgumentType kType = ArgumentType::kCapability;
  EXPECT_EQ(Read(kType, Operator::kEqual, "CAP_CHOWN"), One(0));
  EXPECT_EQ(Read(kType, Operator::kEqual, "CAP_SYS_ADMIN"), One(21));
  EXPECT_EQ(Read(kType, Operator::kEqual, "CAP_CHECKPOINT_RESTORE"), One(40));
  EXPECT_EQ(Read(kType, Operator::kEqual, "21"), One(21));
  EXPECT_EQ(Read(kType, Operator::kInRange, "CAP_CHOWN:CAP_KILL"), One(0, 5));
  EXPECT_EQ(Read(kType, Operator::kGreater, "CAP_BPF"), One(40, INT32_MAX));
  EXPECT_EQ(Read(kType, Operator::kEqual, "cap_chown"), std::nullopt);
  EXPECT_EQ(Read(kType, Operator::kEqual, "SYS_ADMIN"), std::nullopt);
  EXPECT_EQ(Read(kType, Operator::kEqual, "-CAP_CHOWN"), std::nullopt);
}

std::string Complaint(ArgumentType type, Operator op, std::string_view value) {
  const auto ranges = ReadRanges(type, op, value);
  return ranges ? "" : ranges.error().Message();
}

TEST(Numbers, SayWhatIsWrong) {
  EXPECT_EQ(Complaint(ArgumentType::kUint8, Operator::kEqual, "255"), "");
  EXPECT_EQ(Complaint(ArgumentType::kUint8, Operator::kEqual, "256"),
            "\"256\" does not fit into uint8; write a number from 0 to 255");
  EXPECT_EQ(Complaint(ArgumentType::kInt64, Operator::kEqual, "9223372036854775808"),
            "\"9223372036854775808\" does not fit into int64; write a number from "
            "-9223372036854775808 to 9223372036854775807");
  EXPECT_EQ(Complaint(ArgumentType::kUint8, Operator::kEqual, "many"),
            "\"many\" is not a number; write it in decimal, or in hexadecimal with 0x");
  EXPECT_EQ(
      Complaint(ArgumentType::kUint8, Operator::kInRange, "1-2"),
      "\"1-2\" is not a number; write it in decimal, or in hexadecimal with 0x, or a range as "
      "first:last");
  EXPECT_EQ(Complaint(ArgumentType::kUint8, Operator::kInRange, "2:1"),
            "the range \"2:1\" ends before it begins; write the lesser number first");
  EXPECT_EQ(Complaint(ArgumentType::kCapability, Operator::kIn, "CAP_ROOT"),
            "\"CAP_ROOT\" is not a capability; write a name such as CAP_SYS_ADMIN, or its number");
}

TEST(Numbers, ASetOfCapabilitiesIsTheNamesOfAllOrItsBits) {
  constexpr ArgumentType kType = ArgumentType::kCapEffective;
  EXPECT_EQ(Read(kType, Operator::kEqual, "CAP_KILL"), One(0x20));
  EXPECT_EQ(Read(kType, Operator::kEqual, "CAP_KILL,CAP_CHOWN"), One(0x21));
  EXPECT_EQ(Read(kType, Operator::kMask, "CAP_CHOWN,CAP_CHECKPOINT_RESTORE"),
            One(uint64_t{1} << 40 | 1));
  EXPECT_EQ(Read(kType, Operator::kNotIn, "0x1ffffffffff"), One(0x1ff'ffff'ffff));
  EXPECT_EQ(Read(kType, Operator::kEqual, "0"), One(0));
  for (const std::string_view text : {"", ",", "CAP_KILL,", ",CAP_KILL", "CAP_KILL,,CAP_CHOWN",
                                      "CAP_KILL, CAP_CHOWN", "CAP_KILL,5", "kill", "-1"}) {
    EXPECT_EQ(Read(kType, Operator::kEqual, text), std::nullopt) << text;
  }
  EXPECT_EQ(Complaint(kType, Operator::kEqual, "CAP_KILL,CAP_ROOT"),
            "\"CAP_KILL,CAP_ROOT\" is not a set of capabilities; write names such as "
            "CAP_SYS_ADMIN,CAP_NET_RAW, or a number as /proc/PID/status shows it, with 0x");
}

TEST(Numbers, OfCommandsHaveNames) {
  constexpr ArgumentType kType = ArgumentType::kBpfCommand;
  EXPECT_EQ(Read(kType, Operator::kEqual, "BPF_MAP_CREATE"), One(0));
  EXPECT_EQ(Read(kType, Operator::kInRange, "BPF_PROG_LOAD:BPF_OBJ_GET"), One(5, 7));
  EXPECT_EQ(Read(kType, Operator::kIn, "BPF_PROG_RUN"), One(10));
  EXPECT_EQ(Read(kType, Operator::kIn, "36"), One(36));
  EXPECT_EQ(Complaint(kType, Operator::kIn, "bpf_prog_load"),
            "\"bpf_prog_load\" is not a command of bpf(2); write a name such as BPF_PROG_LOAD, or "
            "its number");
}

TEST(Numbers, ANamespaceIsItsNumberOrTheHosts) {
  constexpr auto kType = ArgumentType::kNamespace;
  const auto number = Read(kType, Operator::kIn, "4026531840");
  EXPECT_EQ(number, (Ranges{{4026531840, 4026531840},
                            {GH_HOST_NAMESPACE + 4026531840, GH_HOST_NAMESPACE + 4026531840}}));
  EXPECT_EQ(Read(kType, Operator::kNotIn, "host_ns"), One(GH_HOST_NAMESPACE, UINT64_MAX));
  EXPECT_EQ(Read(kType, Operator::kIn, "4294967296"), std::nullopt);
  EXPECT_EQ(Read(kType, Operator::kIn, "host"), std::nullopt);
}

TEST(Numbers, ACapabilityOfASetIsItsBit) {
  constexpr auto kType = ArgumentType::kCapabilities;
  EXPECT_EQ(Read(kType, Operator::kIn, "CAP_CHOWN"), One(1));
  EXPECT_EQ(Read(kType, Operator::kNotIn, "CAP_SYS_ADMIN"), One(1U << 21));
  EXPECT_EQ(Read(kType, Operator::kIn, "63"), One(uint64_t{1} << 63));
  EXPECT_EQ(Read(kType, Operator::kIn, "64"), std::nullopt);
  EXPECT_EQ(Read(kType, Operator::kIn, "-1"), std::nullopt);
}

}  // namespace
}  // namespace gatehouse::policy
