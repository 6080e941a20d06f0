// SPDX-License-Identifier: Apache-2.0
#include "kernel/tracepoint_format.h"

#include <gmock/gmock.h>

namespace gatehouse::kernel {
namespace {

constexpr std::string_view kCommon =
    "name: event\n"
    "ID: 7\n"
    "format:\n"
    "\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n"
    "\tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n"
    "\tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n"
    "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n"
    "\n";

/// The one field, of number 4, that is declared so.
Parameter FieldOf(const std::string& declaration, uint32_t offset, uint32_t bytes) {
  const std::string text =
      std::string(kCommon) + "\tfield:" + declaration + ";\toffset:" + std::to_string(offset) +
      ";\tsize:" + std::to_string(bytes) + ";\tsigned:0;\n\nprint fmt: \"%d;\", REC->x\n";
  const std::vector<Parameter> fields = ParseTracepointFormat(text);
  EXPECT_EQ(fields.size(), 5U);
  return fields.size() == 5 ? fields[4] : Parameter{};
}

TEST(TracepointFormat, TheCommonFieldsComeFirst) {
  const std::vector<Parameter> fields = ParseTracepointFormat(kCommon);
  ASSERT_EQ(fields.size(), 4U);
  EXPECT_EQ(fields[0].place, GH_PLACE(GH_TAKE_NUMBER, 2, 0));
  EXPECT_EQ(fields[3].place, GH_PLACE(GH_TAKE_NUMBER, 4, 4));
  EXPECT_EQ(fields[3].bytes, 4U);
  EXPECT_TRUE(fields[3].is_signed);
  EXPECT_FALSE(fields[0].is_signed);
}

TEST(TracepointFormat, Numbers) {
  const Parameter pid = FieldOf("pid_t prev_pid", 24, 4);
  EXPECT_TRUE(pid.readable);
  EXPECT_FALSE(pid.pointer);
  EXPECT_EQ(pid.bytes, 4U);
  EXPECT_EQ(pid.place, GH_PLACE(GH_TAKE_NUMBER, 4, 24));
  EXPECT_FALSE(FieldOf("struct timespec64 tv", 8, 16).readable);
}

TEST(TracepointFormat, PointersAreNumbersThatPointToSomething) {
  const Parameter name = FieldOf("const char * filename", 24, 8);
  EXPECT_TRUE(name.pointer);
  EXPECT_EQ(name.pointee, "char");
  EXPECT_EQ(name.place, GH_PLACE(GH_TAKE_NUMBER, 8, 24));
  EXPECT_EQ(FieldOf("void * skbaddr", 8, 8).pointee, "void");
  EXPECT_EQ(FieldOf("const struct sock * sk", 8, 8).pointee, "sock");
  EXPECT_EQ(FieldOf("unsigned char * bytes", 8, 8).pointee, "void");
}

TEST(TracepointFormat, TextsStandInTheRecord) {
  const Parameter command = FieldOf("char comm[16]", 8, 16);
  EXPECT_EQ(command.pointee, "char");
  EXPECT_EQ(command.place, GH_PLACE(GH_TAKE_ADDRESS, 16, 8));
  // An expression as length, as of `char comm[TASK_COMM_LEN]` on some kernels.
  EXPECT_EQ(FieldOf("char comm[TASK_COMM_LEN]", 8, 16).place, GH_PLACE(GH_TAKE_ADDRESS, 16, 8));
  const Parameter path = FieldOf("__data_loc char[] filename", 8, 4);
  EXPECT_EQ(path.pointee, "char");
  EXPECT_EQ(path.place, GH_PLACE(GH_TAKE_DATA_LOC, 4, 8));
}

TEST(TracepointFormat, OfOtherArraysTheFirstElement) {
  const Parameter arguments = FieldOf("unsigned long args[6]", 16, 48);
  EXPECT_EQ(arguments.bytes, 8U);
  EXPECT_EQ(arguments.place, GH_PLACE(GH_TAKE_NUMBER, 8, 16));
}

TEST(TracepointFormat, WhatCannotBeTakenIsNotReadable) {
  EXPECT_FALSE(FieldOf("__data_loc unsigned long[] cpus", 8, 4).readable);
  EXPECT_FALSE(FieldOf("__rel_loc char[] name", 8, 4).readable);
  EXPECT_FALSE(FieldOf("unsigned long args[N]", 8, 48).readable);
  EXPECT_FALSE(FieldOf("int far", 70000, 4).readable);
}

TEST(TracepointFormat, LinesOfOtherFormsAreNoFields) {
  EXPECT_TRUE(ParseTracepointFormat("").empty());
  EXPECT_TRUE(ParseTracepointFormat("\tfield:int x").empty());
  EXPECT_TRUE(ParseTracepointFormat("\tfield:int x;\toffset:a;\tsize:4;").empty());
}

}  // namespace
}  // namespace gatehouse::kernel
