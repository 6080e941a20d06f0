// SPDX-License-Identifier: Apache-2.0
// `resolve`, `source` and `data`, as they are read. What is refused is in
// tests/corpus/policies/bad/resolve.yaml.
#include "policy/resolve.h"

#include <gtest/gtest.h>

#include "policy/catalog.h"
#include "policy/parse.h"

namespace gatehouse::policy {
namespace {

TEST(Path, IsFieldsAndElements) {
  const auto steps = [](std::string_view text) { return ParsePath(text).value(); };
  EXPECT_EQ(steps("comm"), (std::vector<PathStep>{{.field = "comm"}}));
  EXPECT_EQ(steps("mm.owner"), (std::vector<PathStep>{{.field = "mm"}, {.field = "owner"}}));
  EXPECT_EQ(steps("a[12].b"),
            (std::vector<PathStep>{{.field = "a"}, {.element = 12}, {.field = "b"}}));
  EXPECT_EQ(steps("[0][1]"), (std::vector<PathStep>{{.element = 0}, {.element = 1}}));
  EXPECT_EQ(steps("a.b.c.d.e.f.g.h.i.j").size(), 10U);
}

TEST(Path, IsNothingElse) {
  for (const std::string_view text :
       {"", ".", ".a", "a.", "a..b", "a.[0]", "a[", "a[]", "a[x]", "a[-1]", "a[4294967296]",
        "a[0]b", "a b", "a->b", "a[0", "]"}) {
    EXPECT_FALSE(ParsePath(text)) << text;
  }
  EXPECT_EQ(ParsePath("a.b.c.d.e.f.g.h.i.j.k").error().cause,
            "the path has 11 steps, more than 10");
}

TEST(Resolve, ValuesAreNumberedOverArgumentsAndData) {
  const auto documents = Parse(R"(
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: p}
spec:
  kprobes:
  - call: security_file_open
    syscall: false
    args:
    - {index: 0, type: file}
    - {index: 0, type: uint16, resolve: f_inode.i_mode}
    - {index: 0, type: auto, resolve: private_data, btfType: file, btfTypeModule: m}
    data:
    - {index: 7, type: string, source: current_task, resolve: comm}
    selectors:
    - matchArgs: [{index: 0, operator: Equal, values: [/a]}, {args: [1], operator: Mask, values: ["1"]}]
      matchData: [{index: 0, operator: Prefix, values: [x]}]
)",
                               "p.yaml");
  ASSERT_TRUE(documents) << documents.error().front().ToString();
  const Hook& hook = std::get<TracingPolicy>(documents->at(0).object).spec.hooks.at(0);
  ASSERT_EQ(hook.arguments.size(), 3U);
  EXPECT_EQ(hook.arguments[0].subject(), 0U);
  EXPECT_FALSE(hook.arguments[0].resolved);
  EXPECT_EQ(hook.arguments[1].subject(), uint32_t{GH_SUBJECT_RESOLVED_0});
  EXPECT_EQ(hook.arguments[1].resolved->text, "f_inode.i_mode");
  EXPECT_FALSE(hook.arguments[1].resolved->chain) << "no kernel was asked";
  EXPECT_EQ(hook.arguments[1].resolved->position.line, 11U);
  EXPECT_EQ(hook.arguments[2].subject(), GH_SUBJECT_RESOLVED_0 + 1U);
  EXPECT_EQ(hook.arguments[2].type, ArgumentType::kAuto);
  EXPECT_EQ(hook.arguments[2].resolved->type, "file");
  EXPECT_EQ(hook.arguments[2].resolved->module, "m");
  ASSERT_EQ(hook.data.size(), 1U);
  EXPECT_EQ(hook.data[0].resolved->from, Resolution::From::kTask);
  EXPECT_EQ(hook.data[0].subject(), GH_SUBJECT_RESOLVED_0 + 2U);
  const std::vector<Filter>& filters = hook.selectors.at(0).filters;
  ASSERT_EQ(filters.size(), 3U);
  EXPECT_EQ(TraitsOf(filters[0], hook).subject, 0) << "the first with that index";
  EXPECT_EQ(TraitsOf(filters[1], hook).subject, uint8_t{GH_SUBJECT_RESOLVED_0});
  EXPECT_EQ(filters[2].subject, Subject::kData);
  EXPECT_EQ(TraitsOf(filters[2], hook).subject, GH_SUBJECT_RESOLVED_0 + 2);
}

/// What is wrong with a policy on a hook, whose texts these are.
std::string Wrong(const std::string& hook, const std::string& data) {
  const auto documents = Parse(
      "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\n"
      "metadata: {name: p}\nspec:\n  podSelector: {}\n  " +
          hook + "\n    data: [" + data + "]\n",
      "p.yaml");
  return documents ? "" : documents.error().front().ToString();
}

constexpr const char* kUprobe = "uprobes:\n  - path: /bin/sh\n    symbols: [main]";

TEST(ResolveTest, Registers) {
  EXPECT_EQ(Wrong(kUprobe, "{index: 0, type: string, source: pt_regs, resolve: rdi}"), "");
  EXPECT_EQ(Wrong(kUprobe, "{index: 0, type: int, source: current_task, resolve: pid}"), "");
  using ::testing::HasSubstr;
  EXPECT_THAT(Wrong(kUprobe, "{index: 0, type: int, source: pt_regs, resolve: rdi.x}"),
              HasSubstr("\"rdi.x\" is no register"));
  EXPECT_THAT(Wrong(kUprobe, "{index: 0, type: file, source: pt_regs, resolve: rdi}"),
              HasSubstr("a register is no file"));
  EXPECT_THAT(Wrong(kUprobe, "{index: 0, type: int, source: pt_regs, resolve: rdi, btfType: file}"),
              HasSubstr("registers have no type"));
  EXPECT_THAT(Wrong("kprobes:\n  - call: tcp_connect\n    syscall: false",
                    "{index: 0, type: int, source: pt_regs, resolve: rdi}"),
              HasSubstr("are given no registers"));
  EXPECT_THAT(Wrong(kUprobe, "{index: 0, type: int, source: stack, resolve: rdi}"),
              HasSubstr("unknown source \"stack\""));
}

}  // namespace
}  // namespace gatehouse::policy
