// SPDX-License-Identifier: Apache-2.0
#include "event/arguments.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include "event/fakes.h"

namespace gatehouse::event {
namespace {

using policy::ArgumentType;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using testing::WithValues;

policy::Argument Argument(uint32_t index, ArgumentType type, std::string label = "") {
  return {index, type, std::move(label), {}};
}

ValueRecord Number(uint64_t number) { return {.read = GH_READ_NUMBER, .number = number}; }

// What an event of a hook with `arguments` shows of the record, as text of a ProcessKprobe.
void ExpectShown(const PolicyRecord& record, const std::vector<policy::Argument>& arguments,
                 const std::string& text) {
  tetragon::ProcessKprobe expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &expected)) << text;
  tetragon::ProcessKprobe shown;
  FillArguments(record, arguments, shown.mutable_args());
  google::protobuf::util::MessageDifferencer differ;
  std::string differences;
  differ.ReportDifferencesToString(&differences);
  EXPECT_TRUE(differ.Compare(expected, shown)) << differences;
}

// The same of a single argument.
void ExpectShown(const ValueRecord& value, ArgumentType type, const std::string& text) {
  ExpectShown(WithValues({}, {value}), {Argument(0, type)}, "args { " + text + " }");
}

TEST(ArgumentsTest, Paths) {
  const auto path = [](gh_read read) {
    return ValueRecord{.read = read, .file_mode = 0100644, .text = "/etc/shadow"};
  };
  ExpectShown(path(GH_READ_BINPRM), ArgumentType::kLinuxBinprm,
              R"(linux_binprm_arg { path: "/etc/shadow" permission: "-rw-r--r--" })");
  ExpectShown(path(GH_READ_FILE), ArgumentType::kFile,
              R"(file_arg { path: "/etc/shadow" permission: "-rw-r--r--" })");
  ExpectShown(path(GH_READ_PATH), ArgumentType::kPath,
              R"(path_arg { path: "/etc/shadow" permission: "-rw-r--r--" })");
}

TEST(ArgumentsTest, PathsWhoseModeIsNotKnown) {
  ExpectShown(ValueRecord{.read = GH_READ_PATH, .text = "/x"}, ArgumentType::kPath,
              R"(path_arg { path: "/x" })");
}

TEST(ArgumentsTest, Strings) {
  ExpectShown(ValueRecord{.read = GH_READ_STRING, .text = "a b\xff"}, ArgumentType::kString,
              R"(string_arg: "a b\\xff")");
  ExpectShown(ValueRecord{.read = GH_READ_STRING}, ArgumentType::kString, R"(string_arg: "")");
}

TEST(ArgumentsTest, Numbers) {
  constexpr auto kMinusTwo = static_cast<uint64_t>(-2);
  for (const auto type : {ArgumentType::kInt8, ArgumentType::kInt16, ArgumentType::kInt32}) {
    ExpectShown(Number(kMinusTwo), type, "int_arg: -2");
    ExpectShown(Number(0), type, "int_arg: 0");
  }
  ExpectShown(Number(200), ArgumentType::kUint8, "uint_arg: 200");
  ExpectShown(Number(60'000), ArgumentType::kUint16, "uint_arg: 60000");
  ExpectShown(Number(0xffff'ffff), ArgumentType::kUint32, "uint_arg: 4294967295");
  ExpectShown(Number(kMinusTwo), ArgumentType::kInt64, "long_arg: -2");
  ExpectShown(Number(kMinusTwo), ArgumentType::kUint64, "size_arg: 18446744073709551614");
  ExpectShown(Number(kMinusTwo), ArgumentType::kSizeT, "size_arg: 18446744073709551614");
}

TEST(ArgumentsTest, Capabilities) {
  ExpectShown(Number(21), ArgumentType::kCapability,
              R"(capability_arg { value { value: 21 } name: "CAP_SYS_ADMIN" })");
  ExpectShown(Number(0), ArgumentType::kCapability,
              R"(capability_arg { value { value: 0 } name: "CAP_CHOWN" })");
  ExpectShown(Number(63), ArgumentType::kCapability, "capability_arg { value { value: 63 } }");
}

TEST(ArgumentsTest, UnreadableValues) {
  const auto unreadable = [](gh_read read) {
    return ValueRecord{.read = read, .unreadable = GH_UNREADABLE_FAULT};
  };
  ExpectShown(unreadable(GH_READ_BINPRM), ArgumentType::kLinuxBinprm,
              R"(linux_binprm_arg { flags: "unresolvedPathComponents" })");
  ExpectShown(unreadable(GH_READ_FILE), ArgumentType::kFile,
              R"(file_arg { flags: "unresolvedPathComponents" })");
  ExpectShown(unreadable(GH_READ_PATH), ArgumentType::kPath,
              R"(path_arg { flags: "unresolvedPathComponents" })");
  ExpectShown(unreadable(GH_READ_STRING), ArgumentType::kString, R"(string_arg: "")");
  ExpectShown(unreadable(GH_READ_NUMBER), ArgumentType::kInt32, "");
}

PolicyRecord Open() {
  return WithValues(
      {}, {{.subject = static_cast<gh_subject>(2), .read = GH_READ_STRING, .text = "name"},
           {.subject = GH_SUBJECT_BINARY, .read = GH_READ_BINARY, .text = "/bin/cat"},
           {.subject = static_cast<gh_subject>(1), .read = GH_READ_NUMBER, .number = 5},
           {.subject = GH_SUBJECT_ARGUMENT_0, .read = GH_READ_FILE, .text = "/etc/shadow"},
           {.subject = static_cast<gh_subject>(4), .read = GH_READ_PATH, .text = "/tmp"},
           {.subject = static_cast<gh_subject>(3), .read = GH_READ_BINPRM, .text = "/x"}});
}

TEST(ArgumentsTest, OrderAndLabelsAreThePolicys) {
  ExpectShown(Open(),
              {Argument(1, ArgumentType::kInt32, "mask"), Argument(0, ArgumentType::kFile, "what"),
               Argument(2, ArgumentType::kString)},
              R"(args { int_arg: 5 label: "mask" }
                 args { file_arg { path: "/etc/shadow" } label: "what" }
                 args { string_arg: "name" })");
  ExpectShown(Open(), {}, "");
}

TEST(ArgumentsTest, WhatTheRecordDoesNotTellKeepsItsPlace) {
  ExpectShown(WithValues({}, {{.read = GH_READ_FILE, .text = "/x"}}),
              {Argument(1, ArgumentType::kInt32, "mask"), Argument(0, ArgumentType::kFile)},
              R"(args { label: "mask" } args { file_arg { path: "/x" } })");
}

TEST(ArgumentsTest, EveryArgumentIsShownIfNoPolicySaysWhich) {
  ExpectShown(Open(), ArgumentsOf(Open()), R"(
      args { file_arg { path: "/etc/shadow" } }
      args { long_arg: 5 }
      args { string_arg: "name" }
      args { linux_binprm_arg { path: "/x" } }
      args { path_arg { path: "/tmp" } })");
}

TEST(ArgumentsTest, EveryReasonHasAWord) {
  const std::vector<std::pair<gh_unreadable, std::string>> reasons = {
      {GH_UNREADABLE_TOO_LONG, "too-long"},     {GH_UNREADABLE_UNREACHABLE, "unreachable"},
      {GH_UNREADABLE_FAULT, "fault"},           {GH_UNREADABLE_NO_BINARY, "no-binary"},
      {GH_UNREADABLE_NO_SCRATCH, "no-scratch"}, {GH_UNREADABLE_TOO_MANY, "too-many"}};
  const std::vector arguments = {Argument(0, ArgumentType::kFile)};
  for (const auto& [reason, word] : reasons) {
    const auto record = WithValues({}, {{.read = GH_READ_FILE, .unreadable = reason}});
    EXPECT_THAT(UnreadableWords(record, arguments), ElementsAre(word));
  }
}

TEST(ArgumentsTest, EachReasonIsNamedOnceAndOnlyForWhatIsShown) {
  const auto value = [](int subject, gh_unreadable reason) {
    return ValueRecord{.subject = static_cast<gh_subject>(subject),
                       .read = subject == GH_SUBJECT_BINARY ? GH_READ_BINARY : GH_READ_FILE,
                       .unreadable = reason};
  };
  const auto record = WithValues(
      {}, {value(0, GH_UNREADABLE_TOO_MANY), value(1, GH_READABLE), value(2, GH_UNREADABLE_FAULT),
           value(3, GH_UNREADABLE_TOO_MANY), value(4, GH_UNREADABLE_TOO_LONG),
           value(GH_SUBJECT_BINARY, GH_UNREADABLE_NO_BINARY)});
  std::vector<policy::Argument> arguments;
  for (uint32_t index = 0; index < 4; ++index) {
    arguments.push_back(Argument(index, ArgumentType::kFile));
  }
  EXPECT_THAT(UnreadableWords(record, arguments), ElementsAre("fault", "too-many"));
  EXPECT_THAT(UnreadableWords(record, {}), IsEmpty());
}

}  // namespace
}  // namespace gatehouse::event
