// SPDX-License-Identifier: Apache-2.0
// What the agent learns from a real podman, over Docker's API that its service speaks.
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

#include "cri/engine.h"
#include "cri/test_recorder.h"
#include "daemon/test_directory.h"

namespace gatehouse::test {
namespace {

namespace fs = std::filesystem;
using cri::testing::Recorder;

constexpr const char* kImage = "gatehouse.test/busybox:1";

/// A podman with files of the test's own, and cgroups below one of its own.
class PodmanTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string script = GATEHOUSE_IMAGE_SCRIPT;
    (void)Shell(script + " " + (directory_ / "image") + " " + kImage);
    (void)Podman("load -q -i " + (directory_ / "image/image.tar"));
    std::vector<std::string> words = {"podman"};
    for (const auto& option : options_) words.push_back(option);
    for (const char* word : {"system", "service", "--time", "0"}) words.emplace_back(word);
    words.push_back("unix://" + socket());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    ASSERT_EQ(posix_spawnp(&service_, "podman", nullptr, nullptr, arguments.data(), environ), 0);
  }
  void TearDown() override {
    (void)Podman("rm -f -a -t 0");
    if (service_ > 0) {
      kill(service_, SIGTERM);
      waitpid(service_, nullptr, 0);
    }
    // podman leaves the parent, with one for its monitors, in each hierarchy; the monitors end when
    // they are done with the end of their containers.
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    for (const auto& hierarchy : fs::directory_iterator("/sys/fs/cgroup")) {
      const std::string ours = hierarchy.path() / cgroup_.substr(1);
      while (fs::exists(ours) && std::chrono::steady_clock::now() < end) {
        rmdir((ours + "/conmon").c_str());
        rmdir(ours.c_str());
      }
      EXPECT_FALSE(fs::exists(ours)) << ours;
    }
    // A driver that only copies leaves no mounts but those of containers.
    EXPECT_EQ(Shell("grep -c ' " + directory_.path() + "/' /proc/self/mountinfo || true"), "0\n");
  }

  /// The output of a command; throws if it fails.
  static std::string Shell(const std::string& command) {
    FILE* pipe = popen((command + " 2>&1").c_str(), "re");
    if (pipe == nullptr) throw std::runtime_error("popen");
    std::string output;
    std::array<char, 4096> buffer;
    for (size_t got = 0; (got = fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
      output.append(buffer.data(), got);
    }
    if (pclose(pipe) != 0) throw std::runtime_error(command + ": " + output);
    return output;
  }
  [[nodiscard]] std::string Podman(const std::string& command) const {
    std::string line = "podman";
    for (const std::string& option : options_) line += " " + option;
    return Shell(line + " " + command);
  }
  /// The new container's id.
  [[nodiscard]] std::string Run(const std::string& name) const {
    std::string id = Podman("run -d --pull never --network host --name " + name +
                            " --label app=" + name + " --cgroup-parent " + cgroup_ +
                            " --ulimit nofile=1024:1024 --ulimit nproc=1024:1024 " + kImage);
    id.erase(id.find_last_not_of('\n') + 1);
    return id.substr(id.rfind('\n') + 1);  // warnings come first
  }
  [[nodiscard]] std::string socket() const { return directory_ / "podman.sock"; }

  daemon::testing::TestDirectory directory_;
  const std::string cgroup_ = "/gatehouse-podman-" + std::to_string(getpid());
  const std::vector<std::string> options_ = {"--root",           directory_ / "root",
                                             "--runroot",        directory_ / "run",
                                             "--storage-driver", "vfs",
                                             "--cgroup-manager", "cgroupfs",
                                             "--runtime",        "runc",
                                             "--events-backend", "file"};
  pid_t service_ = -1;
  Recorder recorder_;
};

TEST_F(PodmanTest, ContainersAreKnownFromStartToEnd) {
  const std::string web = Run("web");
  cri::EngineOptions options;
  options.socket = socket();
  options.cgroup_root = "/cg";
  const cri::Engine engine(options, recorder_);
  ASSERT_TRUE(recorder_.AwaitSynced()) << engine.health().last_error;
  ASSERT_TRUE(recorder_.AwaitIds({web})) << engine.health().last_error;
  const auto facts = recorder_.known()[web];
  EXPECT_EQ(facts.name, "web");
  EXPECT_EQ(facts.image, kImage);
  EXPECT_EQ(facts.labels, (workload::Labels{{"app", "web"}}));
  EXPECT_EQ(facts.cgroup, "/cg" + cgroup_ + "/libpod-" + web);
  EXPECT_EQ(engine.health().runtime, "Podman Engine");

  const std::string db = Run("db");
  EXPECT_TRUE(recorder_.Await([&](const auto& known) { return known.contains(db); }));
  (void)Podman("stop -t 0 web");
  EXPECT_TRUE(recorder_.AwaitIds({db}));
  (void)Podman("start web");
  EXPECT_TRUE(recorder_.Await([&](const auto& known) { return known.contains(web); }));
  (void)Podman("rm -f -t 0 db");
  EXPECT_TRUE(recorder_.AwaitIds({web}));
}

}  // namespace
}  // namespace gatehouse::test
