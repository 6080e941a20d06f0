// SPDX-License-Identifier: Apache-2.0
#include "daemon/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

namespace gatehouse::daemon {
namespace {

using ::testing::HasSubstr;

tl::expected<Options, EarlyExit> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "gatehoused");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

TEST(OptionsTest, DefaultsAreSafe) {
  unsetenv("NODE_NAME");
  const auto options = Parse({});
  ASSERT_TRUE(options);
  EXPECT_EQ(options->control_socket, "/run/gatehouse/gatehouse.sock");
  EXPECT_FALSE(options->kernel.backend);
  EXPECT_FALSE(options->deny_by_signal);
  EXPECT_FALSE(options->allow_host_enforcement);
  EXPECT_FALSE(options->expose_stack_addresses);
  EXPECT_EQ(options->kernel.base_events, kernel::BaseEvents::kAll);
  EXPECT_FALSE(options->node_name.empty());
}

TEST(OptionsTest, ReadsEveryOption) {
  const std::string directory = std::filesystem::temp_directory_path();
  const auto options = Parse({"--policy-dir",
                              directory.c_str(),
                              "--workloads",
                              "/w.yaml",
                              "--control-socket",
                              "/s",
                              "--event-log",
                              "/e",
                              "--event-log-max-bytes",
                              "64MB",
                              "--event-log-backups",
                              "3",
                              "--backend",
                              "signal",
                              "--deny-by-signal",
                              "--allow-host-enforcement",
                              "--allow-network-actions",
                              "--expose-stack-addresses",
                              "--base-events",
                              "workloads",
                              "--ring-buffer-bytes",
                              "1MB",
                              "--max-cgroups",
                              "100",
                              "--node-name",
                              "n",
                              "--cluster-name",
                              "c",
                              "--node-label",
                              "zone=a",
                              "--node-label",
                              "role=",
                              "--log-level",
                              "debug",
                              "--log-format",
                              "json"});
  ASSERT_TRUE(options) << options.error().text;
  EXPECT_EQ(options->policy_dir, directory);
  EXPECT_EQ(options->workloads_file, "/w.yaml");
  EXPECT_EQ(options->control_socket, "/s");
  EXPECT_EQ(options->event_log, "/e");
  EXPECT_EQ(options->event_log_max_bytes, 64u << 20);
  EXPECT_EQ(options->event_log_backups, 3u);
  EXPECT_EQ(options->kernel.backend, kernel::Backend::kSignal);
  EXPECT_TRUE(options->deny_by_signal);
  EXPECT_TRUE(options->allow_host_enforcement);
  EXPECT_TRUE(options->allow_network_actions);
  EXPECT_TRUE(options->expose_stack_addresses);
  EXPECT_EQ(options->kernel.base_events, kernel::BaseEvents::kWorkloads);
  EXPECT_EQ(options->kernel.ring_bytes, 1u << 20);
  EXPECT_EQ(options->kernel.max_cgroups, 100u);
  EXPECT_EQ(options->node_name, "n");
  EXPECT_EQ(options->cluster_name, "c");
  EXPECT_EQ(options->node_labels, (workload::Labels{{"zone", "a"}, {"role", ""}}));
  EXPECT_EQ(options->log_level, LogLevel::kDebug);
  EXPECT_EQ(options->log_format, LogFormat::kJson);
}

TEST(OptionsTest, ProbeIsAskedFor) {
  EXPECT_FALSE(Parse({})->probe_only);
  EXPECT_TRUE(Parse({"--probe"})->probe_only);
}

TEST(OptionsTest, TheNodesNameComesFromTheEnvironment) {
  setenv("NODE_NAME", "node-7", 1);
  EXPECT_EQ(Parse({})->node_name, "node-7");
  EXPECT_EQ(Parse({"--node-name", "other"})->node_name, "other");
  unsetenv("NODE_NAME");
}

TEST(OptionsTest, WrongUsageIsStatusTwoAndNamesTheOption) {
  const std::vector<std::pair<std::vector<const char*>, const char*>> wrong = {
      {{"--policies", "x"}, "--policies"},
      {{"extra"}, "extra"},
      {{"--node-label", "zone"}, "--node-label"},
      {{"--node-label", "a b=c"}, "--node-label"},
      {{"--backend", "lsm2"}, "--backend"},
      {{"--ring-buffer-bytes", "1000"}, "power of two"},
      {{"--ring-buffer-bytes", "1024"}, "power of two"},
      {{"--max-cgroups", "0"}, "--max-cgroups"},
      {{"--policy-dir", "/there-is-no-such-directory"}, "/there-is-no-such-directory"},
      {{"--backend", "lsm", "--deny-by-signal"}, "--deny-by-signal"},
      {{"--log-format", "xml"}, "--log-format"}};
  for (const auto& [arguments, named] : wrong) {
    const auto parsed = Parse(arguments);
    ASSERT_FALSE(parsed) << named;
    EXPECT_EQ(parsed.error().status, 2) << named;
    EXPECT_THAT(parsed.error().text, HasSubstr(named));
  }
}

TEST(OptionsTest, HelpTeaches) {
  const auto help = Parse({"--help"});
  ASSERT_FALSE(help);
  EXPECT_EQ(help.error().status, 0);
  for (const char* text : {"Examples:", "--policy-dir", "--allow-host-enforcement", "Exit status",
                           "SIGHUP", "Enforcement:"}) {
    EXPECT_THAT(help.error().text, HasSubstr(text));
  }
  EXPECT_EQ(Parse({"--version"}).error().status, 0);
}

}  // namespace
}  // namespace gatehouse::daemon
