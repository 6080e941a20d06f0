// SPDX-License-Identifier: Apache-2.0
#include "event/assembler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "event/fakes.h"

namespace gatehouse::event {
namespace {

using testing::Bytes;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::kSecondNs;
using testing::ValueBytes;

constexpr uint32_t kPid = 7;

uint64_t Thread(uint32_t tid) { return uint64_t{kPid} << 32 | tid; }

struct Told {
  uint64_t time_ns = 0;
  std::string text;  // of argument 1
  uint32_t length = 0;
  std::optional<std::string> hash = {};
  bool operator==(const Told&) const = default;
};
void PrintTo(const Told& told, std::ostream* out) {
  *out << told.time_ns << " " << told.text << " of " << told.length << " "
       << told.hash.value_or("-");
}

class AssemblerTest : public ::testing::Test {
 protected:
  // An event about a buffer of `length` bytes that begins with `text`.
  void Event(uint32_t tid, uint64_t time_ns, uint8_t flags, std::string_view text = "ab",
             uint32_t length = 6) {
    gh_event_policy layout{};
    layout.header.time_ns = time_ns;
    layout.process.pid = kPid;
    layout.process.tid = tid;
    layout.flags = flags;
    layout.n_values = 1;
    Take(Bytes(layout, GH_EVENT_POLICY,
               {ValueBytes({.subject = 1, .read = GH_READ_USER_BUFFER, .length = length}, text)}));
  }
  void Part(uint32_t tid, uint32_t at, std::string_view bytes, gh_u8 subject = 1) {
    gh_event_part layout{};
    layout.thread = Thread(tid);
    layout.at = at;
    layout.subject = subject;
    Take(Bytes(layout, GH_EVENT_PART, {bytes}));
  }
  void End(uint32_t tid, uint64_t since_ns, uint8_t ends, int algorithm = 4) {
    gh_event_end layout{};
    layout.thread = Thread(tid);
    layout.since_ns = since_ns;
    layout.ends = ends;
    layout.algorithm = algorithm;
    std::ranges::fill(layout.hash, 'h');
    Take(Bytes(layout, GH_EVENT_END));
  }
  void Take(const std::vector<std::byte>& bytes) {
    const auto taken = assembler_.Take(bytes);
    EXPECT_TRUE(taken) << taken.error().Message();
  }

  std::vector<Told> told_;
  Assembler assembler_{[this](const Whole& whole) {
    const auto& record = std::get<PolicyRecord>(whole);
    const ValueRecord& value = *record.Find(1);
    Told told{record.time_ns, std::string(value.text), value.length, {}};
    if (record.hash) told.hash = std::string(record.hash->bytes);
    told_.push_back(told);
  }};
};

const std::string kSha256(32, 'h');

TEST_F(AssemblerTest, WhatAnnouncesNothingIsToldAtOnce) {
  Event(1, 10, 0);
  EXPECT_THAT(told_, ElementsAre(Told{10, "ab", 6, {}}));
}

TEST_F(AssemblerTest, PartsBecomeTheBufferOfAllEventsOfTheOperation) {
  Event(1, 10, GH_POLICY_PARTS);
  Event(1, 11, GH_POLICY_PARTS);
  Part(1, 0, "abcd");
  Part(1, 4, "ef");
  EXPECT_THAT(told_, IsEmpty());
  End(1, 10, GH_POLICY_PARTS);
  EXPECT_THAT(told_, ElementsAre(Told{10, "abcdef", 6, {}}, Told{11, "abcdef", 6, {}}));
}

TEST_F(AssemblerTest, LengthIsAtLeastWhatCame) {
  Event(1, 10, GH_POLICY_PARTS, "ab", 2);  // of an array of buffers, more is not known
  Part(1, 0, "abcd");
  End(1, 10, GH_POLICY_PARTS);
  EXPECT_THAT(told_, ElementsAre(Told{10, "abcd", 4, {}}));
}

TEST_F(AssemblerTest, ThreadsDoNotMix) {
  Event(1, 10, GH_POLICY_PARTS);
  Event(2, 11, GH_POLICY_PARTS);
  Part(2, 0, "abXY");
  Part(1, 0, "abcd");
  End(2, 11, GH_POLICY_PARTS);
  End(1, 10, GH_POLICY_PARTS);
  EXPECT_THAT(told_, ElementsAre(Told{11, "abXY", 6, {}}, Told{10, "abcd", 6, {}}));
}

TEST_F(AssemblerTest, HashComesBehindParts) {
  Event(1, 10, GH_POLICY_PARTS | GH_POLICY_HASH);
  Event(1, 11, GH_POLICY_HASH);
  Part(1, 0, "abcd");
  End(1, 10, GH_POLICY_PARTS);
  EXPECT_THAT(told_, IsEmpty());
  End(1, 10, GH_POLICY_HASH);
  EXPECT_THAT(told_, ElementsAre(Told{10, "abcd", 6, kSha256}, Told{11, "abcd", 6, kSha256}));
}

TEST_F(AssemblerTest, AnUnknownAlgorithmHasNoBytes) {
  for (const int algorithm : {-95, 8, 1'000'000}) {
    Event(1, 10, GH_POLICY_HASH);
    End(1, 10, GH_POLICY_HASH, algorithm);
  }
  EXPECT_THAT(told_, ::testing::Each(Told{10, "ab", 6, ""}));
  EXPECT_EQ(told_.size(), 3u);
}

TEST_F(AssemblerTest, APartThatWasLostEndsTheBuffer) {
  Event(1, 10, GH_POLICY_PARTS);
  Part(1, 0, "abc");
  Part(1, 4, "e");
  Part(1, 5, "f");
  End(1, 10, GH_POLICY_PARTS);
  EXPECT_THAT(told_, ElementsAre(Told{10, "abc", 6, {}}));
}

TEST_F(AssemblerTest, AnOperationWhoseEndWasLostIsNotMixedWithTheNext) {
  Event(1, 10, GH_POLICY_PARTS);
  Part(1, 0, "abcd");
  Event(1, 20, GH_POLICY_PARTS, "xy");
  EXPECT_THAT(told_, ElementsAre(Told{10, "abcd", 6, {}}));
  Part(1, 0, "xyz");
  End(1, 20, GH_POLICY_PARTS);
  EXPECT_THAT(told_, ElementsAre(Told{10, "abcd", 6, {}}, Told{20, "xyz", 6, {}}));
}

TEST_F(AssemblerTest, NeitherPartsNorHashOfAnotherOperationAreTold) {
  Event(1, 10, GH_POLICY_PARTS | GH_POLICY_HASH);  // nothing of it came
  Event(1, 20, GH_POLICY_PARTS, "xy");
  Part(1, 0, "xyz");
  End(1, 20, GH_POLICY_PARTS);
  EXPECT_THAT(told_, ElementsAre(Told{10, "ab", 6, {}}, Told{20, "xyz", 6, {}}));
  Event(1, 30, GH_POLICY_HASH);
  Event(1, 40, GH_POLICY_HASH);
  End(1, 40, GH_POLICY_HASH);
  EXPECT_EQ(told_.at(2), (Told{30, "ab", 6, {}}));
  EXPECT_EQ(told_.at(3), (Told{40, "ab", 6, kSha256}));
}

TEST_F(AssemblerTest, NobodyWaitsForEver) {
  Event(1, 1 * kSecondNs, GH_POLICY_HASH);
  Event(2, 2 * kSecondNs, GH_POLICY_PARTS);
  Part(2, 0, "abc");
  assembler_.Expire(2 * kSecondNs - 1);
  EXPECT_THAT(told_, IsEmpty());
  assembler_.Expire(2 * kSecondNs);
  EXPECT_THAT(told_, ElementsAre(Told{1 * kSecondNs, "ab", 6, {}}));
  assembler_.Flush();
  EXPECT_EQ(told_.at(1), (Told{2 * kSecondNs, "abc", 6, {}}));
  End(1, kSecondNs, GH_POLICY_HASH);
  Part(2, 3, "d");
  EXPECT_EQ(told_.size(), 2u);
}

TEST_F(AssemblerTest, WhatWaitsHasLimits) {
  const std::string part(GH_PART_BYTES, 'p');
  for (uint32_t tid = 0; tid < 2 * Assembler::kThreadsMax; ++tid) {
    Event(tid, 10, GH_POLICY_PARTS);
    for (uint32_t i = 0; i < GH_PARTS_MAX + 2; ++i) Part(tid, i * GH_PART_BYTES, part);
  }
  EXPECT_GE(told_.size(), Assembler::kThreadsMax);
  for (const Told& told : told_) EXPECT_LE(told.text.size(), part.size() * GH_PARTS_MAX);
  assembler_.Flush();
  EXPECT_EQ(told_.size(), 2 * Assembler::kThreadsMax);
  size_t bytes = 0;
  for (size_t i = 0; i < Assembler::kThreadsMax; ++i) bytes += told_[i].text.size();
  EXPECT_GT(bytes, size_t{Assembler::kBytesMax});  // and yet no more than that at once
}

}  // namespace
}  // namespace gatehouse::event
