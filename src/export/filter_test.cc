// SPDX-License-Identifier: Apache-2.0
#include "export/filter.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

namespace gatehouse::exporting {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

tetragon::GetEventsRequest Request(const std::string& text) {
  tetragon::GetEventsRequest request;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &request));
  return request;
}

tetragon::GetEventsResponse Event(const std::string& text) {
  tetragon::GetEventsResponse event;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &event));
  return event;
}

EventFilter Compile(const std::string& text) {
  auto filter = EventFilter::Compile(Request(text));
  EXPECT_TRUE(filter) << filter.error().Message();
  return filter ? *std::move(filter) : EventFilter();
}

std::string Refusal(const std::string& text) {
  const auto filter = EventFilter::Compile(Request(text));
  return filter ? "compiled" : filter.error().Message();
}

const tetragon::GetEventsResponse& Kprobe() {
  static const auto kEvent = Event(R"(process_kprobe {
    process { pid { value: 7 } binary: "/usr/bin/bash" arguments: "-c ls" docker: "0123abc"
              in_init_tree { value: true } exec_id: "me"
              pod { namespace: "shop" name: "web-1" container { name: "app" } } }
    parent { binary: "/usr/bin/dockerd" arguments: "--debug" }
    policy_name: "gate" } node_name: "n")");
  return kEvent;
}

const tetragon::GetEventsResponse& HostExec() {
  static const auto kEvent =
      Event(R"(process_exec { process { pid { value: 8 } binary: "/bin/ls" } })");
  return kEvent;
}

TEST(FilterTest, NothingSetPassesEverything) {
  EXPECT_TRUE(EventFilter().Passes(Kprobe()));
  EXPECT_TRUE(Compile("").Passes(HostExec()));
  EXPECT_TRUE(Compile("allow_list {}").Passes(HostExec()));
  EXPECT_FALSE(Compile("deny_list {}").Passes(HostExec()));
}

// A filter that holds on Kprobe(), and one that does not.
using FieldCase = std::pair<std::string, std::string>;

class FilterFieldTest : public ::testing::TestWithParam<FieldCase> {};

TEST_P(FilterFieldTest, AllowsAndDenies) {
  const auto& [holds, fails] = GetParam();
  EXPECT_TRUE(Compile("allow_list {" + holds + "}").Passes(Kprobe())) << holds;
  EXPECT_FALSE(Compile("allow_list {" + fails + "}").Passes(Kprobe())) << fails;
  EXPECT_FALSE(Compile("deny_list {" + holds + "}").Passes(Kprobe())) << holds;
  EXPECT_TRUE(Compile("deny_list {" + fails + "}").Passes(Kprobe())) << fails;
  // One of the values is enough; but every field must hold.
  EXPECT_TRUE(Compile("allow_list {" + fails + holds + "}").Passes(Kprobe())) << holds;
  EXPECT_FALSE(Compile("allow_list { in_init_tree { value: false }" + holds + "}").Passes(Kprobe()))
      << holds;
  // An event that has none of this.
  EXPECT_FALSE(Compile("allow_list {" + fails + "}").Passes(Event("test {}"))) << fails;
}

INSTANTIATE_TEST_SUITE_P(
    Fields, FilterFieldTest,
    ::testing::Values(FieldCase{"binary_regex: '^/usr/bin/ba' ", "binary_regex: '^bash' "},
                      FieldCase{"arguments_regex: 'ls$' ", "arguments_regex: '^ls' "},
                      FieldCase{"parent_binary_regex: 'docker' ", "parent_binary_regex: 'podman' "},
                      FieldCase{"parent_arguments_regex: 'debug' ",
                                "parent_arguments_regex: '^$' "},
                      FieldCase{"container_id: '^0123' ", "container_id: '^123' "},
                      FieldCase{"pod_regex: '^web-[0-9]$' ", "pod_regex: '^web$' "},
                      FieldCase{"namespace_regex: '^sh' ", "namespace_regex: '^op' "},
                      FieldCase{"container_name_regex: 'app' ", "container_name_regex: '^pp' "},
                      FieldCase{"namespace: 'shop' ", "namespace: 'sho' "},
                      FieldCase{"event_set: PROCESS_KPROBE ", "event_set: PROCESS_LSM "},
                      FieldCase{"pid: 7 ", "pid: 8 "},
                      FieldCase{"policy_names: 'gate' ", "policy_names: 'gat' "}));

TEST(FilterTest, InInitTree) {
  EXPECT_TRUE(Compile("allow_list { in_init_tree { value: true } }").Passes(Kprobe()));
  EXPECT_FALSE(Compile("allow_list { in_init_tree { value: false } }").Passes(Kprobe()));
  EXPECT_TRUE(Compile("allow_list { in_init_tree { value: false } }").Passes(HostExec()));
}

TEST(FilterTest, EmptyNamespaceIsOutsideOfPods) {
  EXPECT_TRUE(Compile("allow_list { namespace: '' }").Passes(HostExec()));
  EXPECT_FALSE(Compile("allow_list { namespace: '' }").Passes(Kprobe()));
}

TEST(FilterTest, AbsentStringsMatchNoRegex) {
  for (const char* field : {"pod_regex", "namespace_regex", "container_name_regex",
                            "parent_binary_regex", "parent_arguments_regex"}) {
    EXPECT_FALSE(Compile(std::string("allow_list {") + field + ": '.*' }").Passes(HostExec()))
        << field;
  }
  EXPECT_FALSE(Compile("allow_list { policy_names: '' }").Passes(HostExec()));
}

TEST(FilterTest, MergedBindingsAreFoundByEachOfTheirNames) {
  tetragon::GetEventsResponse merged = Kprobe();
  merged.mutable_process_kprobe()->set_policy_name("one+two+three");
  for (const char* name : {"one", "two", "three", "one+two+three"}) {
    EXPECT_TRUE(Compile(std::string("allow_list { policy_names: '") + name + "' }").Passes(merged))
        << name;
  }
  for (const char* name : {"", "on", "one+two", "+", "four"}) {
    EXPECT_FALSE(Compile(std::string("allow_list { policy_names: '") + name + "' }").Passes(merged))
        << name;
  }
}

TEST(FilterTest, OneFilterIsEnoughAndDenyWins) {
  const EventFilter filter = Compile(R"(allow_list { pid: 8 } allow_list { pid: 7 }
                                        deny_list { policy_names: "gate" } deny_list { pid: 1 })");
  EXPECT_TRUE(filter.Passes(HostExec()));
  EXPECT_FALSE(filter.Passes(Kprobe()));
}

TEST(FilterTest, WhatIsNotSupportedIsRefusedByName) {
  EXPECT_THAT(Refusal("allow_list {} allow_list { health_check { value: true } }"),
              StartsWith("allow_list[1].health_check: "));
  EXPECT_THAT(Refusal("deny_list { pid_set: 1 }"), StartsWith("deny_list[0].pid_set: "));
  EXPECT_THAT(Refusal("allow_list { labels: 'a=b' }"), HasSubstr(".labels: "));
  EXPECT_THAT(Refusal("allow_list { capabilities {} }"), HasSubstr(".capabilities: "));
  EXPECT_THAT(Refusal("allow_list { cel_expression: 'true' }"), HasSubstr(".cel_expression: "));
  EXPECT_THAT(Refusal("allow_list { ancestor_binary_regex: 'a' }"),
              HasSubstr(".ancestor_binary_regex: "));
  EXPECT_THAT(Refusal("aggregation_options {}"), StartsWith("aggregation_options: "));

  tetragon::GetEventsRequest newer;
  tetragon::Filter* filter = newer.add_allow_list();
  filter->GetReflection()->MutableUnknownFields(filter)->AddVarint(99, 1);
  EXPECT_THAT(EventFilter::Compile(newer).error().Message(), HasSubstr("newer than this API"));
}

TEST(FilterTest, BadRegexIsRefusedWithItsPlace) {
  EXPECT_THAT(Refusal("allow_list { pod_regex: 'ok' pod_regex: 'a(' }"),
              AllOf(StartsWith("allow_list[0].pod_regex[1]: "), HasSubstr("a(")));
}

event::EventPtr Shape(const std::string& request, const tetragon::GetEventsResponse& event) {
  return Compile(request).Shape(std::make_shared<const tetragon::GetEventsResponse>(event));
}

TEST(FieldFilterTest, IncludeKeepsOnlyTheFields) {
  const auto shaped =
      Shape("field_filters { fields { paths: 'process.pid' paths: 'policy_name' } }", Kprobe());
  EXPECT_EQ(shaped->process_kprobe().ShortDebugString(),
            R"(process { pid { value: 7 } } policy_name: "gate")");
  EXPECT_EQ(shaped->node_name(), "n");
}

TEST(FieldFilterTest, ExcludeTakesTheFieldsOut) {
  const auto shaped = Shape(
      "field_filters { action: EXCLUDE fields { paths: 'parent' paths: 'process.pod.name' } }",
      Kprobe());
  EXPECT_FALSE(shaped->process_kprobe().has_parent());
  EXPECT_EQ(shaped->process_kprobe().process().pod().name(), "");
  EXPECT_EQ(shaped->process_kprobe().process().pod().namespace_(), "shop");
  EXPECT_EQ(shaped->process_kprobe().process().binary(), "/usr/bin/bash");
}

TEST(FieldFilterTest, EventSetChoosesAndInverts) {
  const std::string fields = "action: EXCLUDE fields { paths: 'process.binary' }";
  const auto binary_after = [&](const std::string& set, const tetragon::GetEventsResponse& event) {
    const auto shaped = Shape("field_filters {" + fields + set + "}", event);
    return shaped->has_process_exec() ? shaped->process_exec().process().binary()
                                      : shaped->process_kprobe().process().binary();
  };
  EXPECT_EQ(binary_after(" event_set: PROCESS_EXEC", HostExec()), "");
  EXPECT_EQ(binary_after(" event_set: PROCESS_EXEC", Kprobe()), "/usr/bin/bash");
  EXPECT_EQ(binary_after(" event_set: PROCESS_EXEC invert_event_set { value: true }", HostExec()),
            "/bin/ls");
  EXPECT_EQ(binary_after(" event_set: PROCESS_EXEC invert_event_set { value: true }", Kprobe()),
            "");
}

TEST(FieldFilterTest, TheSharedEventStaysWhole) {
  const auto event = std::make_shared<const tetragon::GetEventsResponse>(Kprobe());
  const EventFilter filter =
      Compile("field_filters { action: EXCLUDE fields { paths: 'process' } }");
  EXPECT_FALSE(filter.Shape(event)->process_kprobe().has_process());
  EXPECT_TRUE(event->process_kprobe().has_process());
  EXPECT_EQ(EventFilter().Shape(event), event);  // no copy without need
}

TEST(FieldFilterTest, FieldsThatNoEventHasAreRefused) {
  EXPECT_THAT(Refusal("field_filters { fields { paths: 'process.colour' } }"),
              HasSubstr("no event has a field \"process.colour\""));
  EXPECT_THAT(Refusal("field_filters {}"), HasSubstr("names no field"));
}

}  // namespace
}  // namespace gatehouse::exporting
