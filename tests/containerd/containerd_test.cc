// SPDX-License-Identifier: Apache-2.0
// What the agent learns from a real containerd: which containers there are, and in which cgroups.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "containerd.h"
#include "cri/source.h"
#include "cri/test_recorder.h"

namespace gatehouse::test {
namespace {

namespace fs = std::filesystem;
using cri::testing::Recorder;
using nlohmann::json;

const std::vector<std::string> kForEver = {"/bin/sleep", "100000"};

json ReadJson(const fs::path& path) {
  const std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return json::parse(text.str());
}

class ContainerdTest : public ::testing::Test {
 protected:
  [[nodiscard]] cri::SourceOptions Options() const {
    cri::SourceOptions options;
    options.sockets = {containerd_.socket()};
    options.cgroup_root = "/cg";
    options.pace.second_list = std::chrono::hours(1);
    options.pace.relist = std::chrono::hours(1);  // events are to tell
    return options;
  }
  bool AwaitRunning(std::vector<std::string> ids) {
    std::ranges::sort(ids);
    return recorder_.AwaitIds(ids);
  }
  /// Where a hook finds the directory in which it is to write.
  static std::string WriteHook(const fs::path& directory) {
    const std::string path = directory / "hook.sh";
    std::ofstream(path)
        << "#!/bin/sh\n"
           "umask 077\n"
           "state=$(cat)\n"
           "id=$(printf %s \"$state\" | sed 's/.*\"id\":\"\\([^\"]*\\)\".*/\\1/')\n"
           "bundle=$(printf %s \"$state\" | sed 's/.*\"bundle\":\"\\([^\"]*\\)\".*/\\1/')\n"
           "printf %s \"$state\" >"
        << directory.string() << "/$id.state\ncp \"$bundle/config.json\" " << directory.string()
        << "/$id.config\n";
    fs::permissions(path, fs::perms::owner_all);
    return path;
  }

  daemon::testing::TestDirectory seen_by_hook_;
  Containerd containerd_ = Containerd(WriteHook(seen_by_hook_.path()));
  Recorder recorder_;
};

TEST_F(ContainerdTest, ContainersAreKnownFromCreationToEnd) {
  const auto running_before = containerd_.RunPod("old", {{"app", "db"}});
  const std::string db = containerd_.Run(running_before, "db", kForEver);
  const cri::Source source(Options(), recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced()) << source.health().last_error;
  ASSERT_TRUE(AwaitRunning({running_before.id, db}));
  EXPECT_EQ(source.health().runtime, "containerd");
  EXPECT_EQ(source.health().follows, "containerd events");
  EXPECT_EQ(recorder_.known()[db].cgroup, "/cg" + containerd_.CgroupInKernel(db));

  const auto pod = containerd_.RunPod("web-1", {{"app", "web"}});
  ASSERT_TRUE(AwaitRunning({running_before.id, db, pod.id}));
  containerd_.Run(pod, "init", {"/bin/true"});
  ASSERT_TRUE(AwaitRunning({running_before.id, db, pod.id}));

  const std::string web = containerd_.Create(pod, "web", kForEver);
  ASSERT_TRUE(AwaitRunning({running_before.id, db, pod.id, web})) << "known before it is started";
  containerd_.StartContainer(web);
  auto known = recorder_.known();
  EXPECT_EQ(known[web].cgroup, "/cg" + containerd_.CgroupInKernel(web));
  EXPECT_EQ(known[web].name, "web");
  EXPECT_EQ(known[web].pod, "web-1");
  EXPECT_EQ(known[web].pod_uid, "uid-web-1");
  EXPECT_EQ(known[web].ns, "shop");
  EXPECT_EQ(known[web].image, "gatehouse.test/busybox:1");
  EXPECT_EQ(known[web].labels, (workload::Labels{{"app", "web"}}));
  EXPECT_FALSE(known[web].sandbox);
  EXPECT_EQ(known[pod.id].cgroup, "/cg" + containerd_.CgroupInKernel(pod.id));
  EXPECT_TRUE(known[pod.id].sandbox);

  EXPECT_EQ(containerd_.Exec(web, {"/bin/true"}), 0);
  containerd_.StopContainer(web);
  ASSERT_TRUE(AwaitRunning({running_before.id, db, pod.id}));
  const std::string again = containerd_.Run(pod, "web", kForEver, 1);
  ASSERT_TRUE(AwaitRunning({running_before.id, db, pod.id, again}));
  EXPECT_EQ(recorder_.known()[again].name, "web");
  containerd_.RemoveContainer(web);
  containerd_.StopPod(pod.id);
  ASSERT_TRUE(AwaitRunning({running_before.id, db}));
  const auto replaced = containerd_.RunPod("web-2", {{"app", "web"}});
  containerd_.RemovePod(pod.id);
  ASSERT_TRUE(AwaitRunning({running_before.id, db, replaced.id}));

  // Containers outlive their runtime, and what is known of them too.
  containerd_.Stop();
  containerd_.Start();
  ASSERT_TRUE(recorder_.AwaitSynced(2));
  EXPECT_TRUE(AwaitRunning({running_before.id, db, replaced.id}));
  const auto said = recorder_.said();
  EXPECT_EQ(std::ranges::count(said, "remove " + db), 0);
  EXPECT_EQ(source.health().refused, 0u) << source.health().last_error;
}

TEST_F(ContainerdTest, HooksOfTheBaseSpecAreRunForContainersAndNotForSandboxes) {
  const auto pod = containerd_.RunPod("web-1", {{"app", "web"}});
  const std::string web = containerd_.Run(pod, "web", kForEver);
  EXPECT_FALSE(fs::exists(seen_by_hook_ / (pod.id + ".state")));
  const json state = ReadJson(seen_by_hook_ / (web + ".state"));
  const json config = ReadJson(seen_by_hook_ / (web + ".config"));
  EXPECT_EQ(state.at("id"), web);
  EXPECT_EQ(state.at("status"), "creating");
  EXPECT_EQ(state.at("annotations"), config.at("annotations"));
  EXPECT_EQ(config.at("annotations"),
            (json{{"io.kubernetes.cri.container-name", "web"},
                  {"io.kubernetes.cri.container-type", "container"},
                  {"io.kubernetes.cri.image-name", "gatehouse.test/busybox:1"},
                  {"io.kubernetes.cri.sandbox-id", pod.id},
                  {"io.kubernetes.cri.sandbox-name", "web-1"},
                  {"io.kubernetes.cri.sandbox-namespace", "shop"},
                  {"io.kubernetes.cri.sandbox-uid", "uid-web-1"}}));
  EXPECT_EQ(config.at("linux").at("cgroupsPath"), containerd_.CgroupInKernel(web));
}

}  // namespace
}  // namespace gatehouse::test
