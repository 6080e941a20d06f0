// SPDX-License-Identifier: Apache-2.0
// gatehouse hook, in a directory that stands for a host.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/command.h"
#include "cli/containerd_config.h"
#include "daemon/test_directory.h"

namespace gatehouse::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kSpecPath = "/etc/gatehouse/containerd-base-spec.json";

const std::string kDebian = R"(version = 2

[plugins]
  [plugins."io.containerd.grpc.v1.cri"]
    [plugins."io.containerd.grpc.v1.cri".cni]
      bin_dir = "/usr/lib/cni"
)";

const std::string kFull = R"(version = 2
[plugins."io.containerd.grpc.v1.cri".containerd]
  default_runtime_name = "runc"
  [plugins."io.containerd.grpc.v1.cri".containerd.default_runtime]
    base_runtime_spec = ""
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes]
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      base_runtime_spec = ""
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = true
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes."crun"]  # another
      runtime_type = "io.containerd.runc.v2"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.kata]
      runtime_type = "io.containerd.kata.v2"
)";

TEST(ContainerdConfig, ARuntimeThatTheFileDoesNotNameIsAdded) {
  const auto edit = AddBaseSpec(kDebian, kSpecPath);
  ASSERT_TRUE(edit) << edit.error().Message();
  EXPECT_THAT(edit->runtimes, ElementsAre("runc"));
  EXPECT_THAT(edit->text, testing::StartsWith(kDebian));
  EXPECT_THAT(edit->text,
              HasSubstr("[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]"));
  EXPECT_THAT(edit->text, HasSubstr("runtime_type = \"io.containerd.runc.v2\""));
  EXPECT_EQ(RemoveBaseSpec(edit->text), kDebian);
}

TEST(ContainerdConfig, RuntimesOfRuncAreChangedAndOthersLeftAlone) {
  const auto edit = AddBaseSpec(kFull, kSpecPath);
  ASSERT_TRUE(edit) << edit.error().Message();
  EXPECT_THAT(edit->runtimes, ElementsAre("runc", "crun"));
  EXPECT_THAT(edit->left_alone, ElementsAre("kata"));
  EXPECT_THAT(edit->text, HasSubstr("# kept by gatehouse hook install: base_runtime_spec = \"\"\n"
                                    "      runtime_type"));
  EXPECT_EQ(RemoveBaseSpec(edit->text), kFull);
}

TEST(ContainerdConfig, TwiceIsAsOnceAndOtherChangesStay) {
  const auto once = AddBaseSpec(kFull, kSpecPath);
  ASSERT_TRUE(once);
  const auto twice = AddBaseSpec(once->text, kSpecPath);
  ASSERT_TRUE(twice);
  EXPECT_EQ(twice->text, once->text);
  EXPECT_EQ(RemoveBaseSpec(once->text + "[debug]\n"), kFull + "[debug]\n");
}

TEST(ContainerdConfig, NoFileAndVersionThree) {
  const auto none = AddBaseSpec("", kSpecPath);
  ASSERT_TRUE(none) << none.error().Message();
  EXPECT_THAT(none->text, testing::StartsWith("version = 2"));
  EXPECT_EQ(RemoveBaseSpec(none->text), "");
  const std::string three =
      "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]\n";
  const auto edit = AddBaseSpec(three, kSpecPath);
  ASSERT_TRUE(edit) << edit.error().Message();
  EXPECT_EQ(edit->text,
            three + "  base_runtime_spec = \"" + kSpecPath + "\"  # by gatehouse hook install\n");
}

TEST(ContainerdConfig, WhatIsNotUnderstoodIsRefusedWithWhatToWrite) {
  const std::string runc =
      "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd.runtimes.runc]\n";
  for (const std::string& text :
       {std::string("[plugins]\n"), std::string("version = 1\n"),
        std::string("version = 2\n[plugins]\nx = { runtimes = { runc = {} } }\n"),
        std::string("version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".containerd]\n"
                    "runtimes.runc.runtime_type = \"x\"\n"),
        std::string("version = 2\n[[plugins.runtimes.x]]\n"),
        runc + "base_runtime_spec = '''\nx'''\n", runc + "base_runtime_spec = [\n\"x\"]\n"}) {
    const auto edit = AddBaseSpec(text, kSpecPath);
    ASSERT_FALSE(edit) << text;
    EXPECT_THAT(edit.error().Message(),
                HasSubstr(std::string("base_runtime_spec = \"") + kSpecPath));
  }
  const auto own = AddBaseSpec(runc + "base_runtime_spec = \"/etc/own.json\"\n", kSpecPath);
  ASSERT_FALSE(own);
  EXPECT_THAT(own.error().Message(), HasSubstr("/etc/own.json"));
}

class HookCommandTest : public ::testing::Test {
 protected:
  HookCommandTest() {
    Put(kProgram, "program");
    fs::permissions(Host(kProgram), fs::perms::owner_all);
  }

  [[nodiscard]] std::string Host(const std::string& path) const { return host_.path() + path; }
  void Put(const std::string& path, const std::string& text) const {
    fs::create_directories(fs::path(Host(path)).parent_path());
    std::ofstream(Host(path)) << text;
  }
  [[nodiscard]] std::string Text(const std::string& path) const {
    std::ostringstream text;
    text << std::ifstream(Host(path)).rdbuf();
    return text.str();
  }
  /// What is on the host: paths and texts.
  [[nodiscard]] std::map<std::string, std::string> Files() const {
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::recursive_directory_iterator(host_.path())) {
      if (!entry.is_regular_file()) continue;
      const std::string path = entry.path().string().substr(host_.path().size());
      files[path] = Text(path);
    }
    return files;
  }
  [[nodiscard]] int Run(std::vector<std::string> words) const {
    words.insert(words.begin(), {"gatehouse", "hook"});
    words.insert(words.end(), {"--root", host_.path()});
    std::vector<const char*> argv;
    for (const std::string& word : words) argv.push_back(word.c_str());
    return cli::Run(static_cast<int>(argv.size()), argv.data());
  }

  static constexpr const char* kProgram = "/usr/libexec/gatehouse/gatehouse-oci-hook";
  static constexpr const char* kConfig = "/etc/containerd/config.toml";
  static constexpr const char* kHooks = "/usr/share/containers/oci/hooks.d/90-gatehouse.json";
  const daemon::testing::TestDirectory host_;
};

TEST_F(HookCommandTest, Containerd) {
  Put(kConfig, kDebian);
  const auto before = Files();
  ASSERT_EQ(Run({"install", "containerd", "--on-failure-namespace", "kube-system=allow"}), kDone);
  const json spec = json::parse(Text(kSpecPath));
  const json& hook = spec.at("hooks").at("createRuntime").at(0);
  EXPECT_EQ(hook.at("path"), kProgram);
  EXPECT_THAT(hook.at("args").dump(), HasSubstr("kube-system=allow"));
  EXPECT_GT(hook.at("timeout"), 5);
  EXPECT_EQ(spec.at("process").at("capabilities").at("bounding").size(), 14u);
  const auto installed = Files();
  ASSERT_EQ(Run({"install", "containerd", "--on-failure-namespace", "kube-system=allow"}), kDone);
  EXPECT_EQ(Files(), installed) << "twice is as once";
  ASSERT_EQ(Run({"install", "containerd", "--on-failure", "allow"}), kDone);
  EXPECT_THAT(Text(kSpecPath), testing::Not(HasSubstr("kube-system"))) << "the later one counts";
  ASSERT_EQ(Run({"remove", "containerd"}), kDone);
  EXPECT_EQ(Files(), before);
  ASSERT_EQ(Run({"remove", "containerd"}), kDone) << "nothing to do";
}

TEST_F(HookCommandTest, ContainerdWithoutAFile) {
  const auto before = Files();
  ASSERT_EQ(Run({"install", "containerd"}), kDone);
  EXPECT_THAT(Text(kConfig), HasSubstr(kSpecPath));
  ASSERT_EQ(Run({"remove", "containerd"}), kDone);
  EXPECT_EQ(Files(), before);
}

TEST_F(HookCommandTest, PodmanAndCrio) {
  const auto before = Files();
  for (const char* runtime : {"podman", "crio"}) {
    ASSERT_EQ(Run({"install", runtime, "--control-socket", "/run/x.sock"}), kDone);
    const json file = json::parse(Text(kHooks));
    EXPECT_EQ(file.at("version"), "1.0.0");
    EXPECT_EQ(file.at("stages"), json::array({"createRuntime"}));
    EXPECT_EQ(file.at("when"), json({{"always", true}}));
    EXPECT_EQ(file.at("hook").at("path"), kProgram);
    EXPECT_THAT(file.at("hook").at("args").dump(), HasSubstr("/run/x.sock"));
    ASSERT_EQ(Run({"remove", runtime}), kDone);
    EXPECT_EQ(Files(), before);
  }
}

TEST_F(HookCommandTest, WithoutAProgramNothingChanges) {
  fs::remove(Host(kProgram));
  const auto before = Files();
  EXPECT_EQ(Run({"install", "podman"}), kFailed);
  EXPECT_EQ(Run({"install", "containerd"}), kFailed);
  EXPECT_EQ(Files(), before);
  Put("/image/hook", "copied");
  ASSERT_EQ(Run({"install", "podman", "--copy-from", Host("/image/hook")}), kDone);
  EXPECT_EQ(Text(kProgram), "copied");
  struct stat status{};
  ASSERT_EQ(stat(Host(kProgram).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777u, 0755u);
}

TEST_F(HookCommandTest, AFileThatCannotBeEditedStays) {
  Put(kConfig, "version = 1\n");
  const auto before = Files();
  EXPECT_EQ(Run({"install", "containerd"}), kFailed);
  EXPECT_EQ(Files(), before);
  fs::rename(Host(kConfig), Host("/elsewhere"));
  fs::create_symlink(Host("/elsewhere"), Host(kConfig));
  EXPECT_EQ(Run({"install", "containerd"}), kFailed);
}

TEST_F(HookCommandTest, WrongUsage) {
  EXPECT_EQ(Run({"install", "docker"}), kUsage);
  EXPECT_EQ(Run({"install", "podman", "--timeout", "0"}), kUsage);
  EXPECT_EQ(Run({"install", "podman", "--on-failure-namespace", "x=maybe"}), kUsage);
}

}  // namespace
}  // namespace gatehouse::cli
