// SPDX-License-Identifier: Apache-2.0
#include "kernel/operands.h"

#include <gmock/gmock.h>

namespace gatehouse::kernel {
namespace {

constexpr uint32_t kRax = 10;
constexpr uint32_t kRbp = 4;
constexpr uint32_t kRbx = 5;
constexpr uint32_t kRdi = 14;
constexpr uint32_t kRsp = 19;
constexpr uint32_t kNone = GH_NO_REGISTER;

Parameter One(std::string_view text) {
  const std::vector<Parameter> parameters = ParseOperands(text);
  return parameters.size() == 1 ? parameters.front() : Parameter{};
}

TEST(Operands, Registers) {
  EXPECT_EQ(One("8@%rdi"),
            (Parameter{.readable = true,
                       .pointer = true,
                       .bytes = 8,
                       .pointee = "void",
                       .place = GH_OPERAND(GH_OPERAND_REGISTER, 8, false, kRdi, kNone, 0),
                       .operand = "8@%rdi"}));
  EXPECT_EQ(One("-4@%eax").place, GH_OPERAND(GH_OPERAND_REGISTER, 4, true, kRax, kNone, 0));
  EXPECT_EQ(One("1@%al").place, GH_OPERAND(GH_OPERAND_REGISTER, 1, false, kRax, kNone, 0));
  EXPECT_EQ(One("-2@%bp").place, GH_OPERAND(GH_OPERAND_REGISTER, 2, true, kRbp, kNone, 0));
  EXPECT_EQ(One("4@%r15d").place, GH_OPERAND(GH_OPERAND_REGISTER, 4, false, 0, kNone, 0));
}

TEST(Operands, Numbers) {
  const Parameter five = One("-4@$5");
  EXPECT_TRUE(five.readable);
  EXPECT_FALSE(five.pointer);
  EXPECT_EQ(five.number, 5);
  EXPECT_EQ(five.place, GH_OPERAND(GH_OPERAND_NUMBER, 4, true, kNone, kNone, 0));
  EXPECT_EQ(One("-8@$-9").number, -9);
  EXPECT_EQ(One("4@$4294967295").number, -1);  // its 4 bytes are the same
  EXPECT_EQ(One("1@$0x10").number, 16);
  EXPECT_FALSE(One("8@$4294967296").readable);
}

TEST(Operands, Memory) {
  const Parameter local = One("-4@-4(%rbp)");
  EXPECT_EQ(local.number, -4);
  EXPECT_EQ(local.place, GH_OPERAND(GH_OPERAND_MEMORY, 4, true, kRbp, kNone, 0));
  EXPECT_EQ(One("8@(%rsp)").place, GH_OPERAND(GH_OPERAND_MEMORY, 8, false, kRsp, kNone, 0));
  EXPECT_EQ(One("8@(%rax,%rbx,4)").place, GH_OPERAND(GH_OPERAND_MEMORY, 8, false, kRax, kRbx, 2));
  EXPECT_EQ(One("-2@-96(%rbp,%rax,8)").number, -96);
  EXPECT_EQ(One("-2@-96(%rbp,%rax,8)").place,
            GH_OPERAND(GH_OPERAND_MEMORY, 2, true, kRbp, kRax, 3));
  EXPECT_EQ(One("1@(%rbp,%rax)").place, GH_OPERAND(GH_OPERAND_MEMORY, 1, false, kRbp, kRax, 0));
  EXPECT_EQ(One("8@16(,%rax,8)").place, GH_OPERAND(GH_OPERAND_MEMORY, 8, false, kNone, kRax, 3));
}

TEST(Operands, Several) {
  const std::vector<Parameter> parameters = ParseOperands(" -4@%edi  8@counter(%rip) 1@$5 ");
  ASSERT_EQ(parameters.size(), 3U);
  EXPECT_TRUE(parameters[0].readable);
  EXPECT_FALSE(parameters[1].readable);
  EXPECT_EQ(parameters[1].operand, "8@counter(%rip)");
  EXPECT_TRUE(parameters[2].readable);
  EXPECT_TRUE(ParseOperands("").empty());
  std::string many;
  for (int i = 0; i < 20; ++i) many += "8@%rdi ";
  EXPECT_EQ(ParseOperands(many).size(), size_t{GH_OPERANDS_MAX});
}

TEST(Operands, WhatNoProgramCanRead) {
  for (const char* text : {"%rdi",
                           "@%rdi",
                           "3@%rdi",
                           "16@%xmm0",
                           "8f@%xmm0",
                           "8@%xmm0",
                           "8@%rip",
                           "1@%ah",
                           "8@rdi",
                           "8@%",
                           "8@",
                           "8@$",
                           "8@$x",
                           "8@$5x",
                           "8@global",
                           "8@8(%rip)",
                           "8@%fs:8(%rax)",
                           "8@(%eax)",
                           "8@(%rax",
                           "8@()",
                           "8@(%rax,)",
                           "8@(%rax,%rbx,3)",
                           "8@(%rax,%rbx,4",
                           "8@(%rax)x",
                           "8@99999999999(%rax)",
                           "8@$99999999999999999999",
                           "-@%rdi"}) {
    const Parameter parameter = One(text);
    EXPECT_FALSE(parameter.readable) << text;
    EXPECT_EQ(parameter.place, 0U) << text;
    EXPECT_EQ(parameter.operand, text);
  }
}

TEST(Operands, RegistersByName) {
  const auto of = [](const char* name) {
    const auto found = FindRegister(name);
    return found ? std::pair(found->offset, found->bytes) : std::pair(~0U, 0U);
  };
  EXPECT_EQ(of("r15"), std::pair(0U, 8U));
  EXPECT_EQ(of("rax"), std::pair(80U, 8U));
  EXPECT_EQ(of("eax"), std::pair(80U, 4U));
  EXPECT_EQ(of("al"), std::pair(80U, 1U));
  EXPECT_EQ(of("rip"), std::pair(128U, 8U));
  EXPECT_EQ(of("eflags"), std::pair(144U, 4U));
  EXPECT_EQ(of("rsp"), std::pair(152U, 8U));
  for (const char* none : {"", "%rax", "RAX", "xmm0", "ah", "cs"}) EXPECT_FALSE(FindRegister(none));
}

}  // namespace
}  // namespace gatehouse::kernel
