// SPDX-License-Identifier: Apache-2.0
#include "oci/container.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <tetragon/tetragon.pb.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "daemon/test_directory.h"

namespace gatehouse::oci {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;

constexpr const char* kId = "b2a790fd4b7edc43";

/// A bundle, and a /proc of which the hook itself and the container's process are in.
class OciContainerTest : public ::testing::Test {
 protected:
  OciContainerTest() {
    fs::create_directories(bundle_);
    Cgroup("/pods/a");
  }

  void Cgroup(const std::string& path) const {
    Write(proc_ + "/42/cgroup", "9:name=systemd:/elsewhere\n0::" + path + "\n");
  }
  static void Write(const fs::path& path, const std::string& text) {
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
  }
  void Spec(const std::string& text) const { Write(bundle_ + "/config.json", text); }
  [[nodiscard]] json State() const {
    return {{"ociVersion", "1.0.2"}, {"id", kId}, {"pid", 42}, {"bundle", bundle_}};
  }
  [[nodiscard]] Result<Container> Read(const std::string& state) const {
    Container container;
    GH_TRY(ReadContainer(state, container, proc_));
    return container;
  }
  [[nodiscard]] std::string CgroupOf(const std::string& spec_path) const {
    Spec(json{{"linux", {{"cgroupsPath", spec_path}}}}.dump());
    const auto container = Read(State().dump());
    return container ? container->cgroups_path : "error: " + container.error().Message();
  }

  const daemon::testing::TestDirectory directory_;
  const std::string bundle_ =
      directory_ / (std::string("storage/vfs-containers/") + kId + "/userdata");
  const std::string proc_ = directory_ / "proc";
};

TEST_F(OciContainerTest, TheRequestIsTetragons) {
  Spec(R"({"annotations":{"io.kubernetes.cri.sandbox-name":"web-1","empty":""},
           "linux":{"cgroupsPath":"kubepods.slice:cri-containerd:abc"}})");
  const auto container = Read(State().dump());
  ASSERT_TRUE(container) << container.error().Message();
  tetragon::RuntimeHookRequest request;
  ASSERT_TRUE(request.ParseFromString(RuntimeHookRequest(*container)));
  const tetragon::CreateContainer& create = request.createcontainer();
  EXPECT_EQ(create.cgroupspath(), "kubepods.slice:cri-containerd:abc");
  EXPECT_EQ(create.rootdir(), bundle_);
  EXPECT_EQ(create.containerid(), kId);
  EXPECT_EQ(create.containername(), "");
  EXPECT_EQ(create.annotations().at("io.kubernetes.cri.sandbox-name"), "web-1");
  EXPECT_EQ(create.annotations().at("empty"), "");
  EXPECT_EQ(create.annotations().at("gatehouse.io/init-pid"), "42");
  EXPECT_EQ(create.annotations_size(), 3);
}

TEST_F(OciContainerTest, NobodyElseSaysTheInitPid) {
  Spec(R"({"annotations":{"gatehouse.io/init-pid":"1"}})");
  const auto container = Read(State().dump());
  ASSERT_TRUE(container);
  tetragon::RuntimeHookRequest request;
  ASSERT_TRUE(request.ParseFromString(RuntimeHookRequest(*container)));
  EXPECT_EQ(request.createcontainer().annotations().at("gatehouse.io/init-pid"), "42");
}

TEST_F(OciContainerTest, TheCgroupIsTheSpecsIfTheProcessIsThere) {
  EXPECT_EQ(CgroupOf("/pods/a"), "/pods/a");
  EXPECT_EQ(CgroupOf("/pods/a/"), "/pods/a");
  EXPECT_EQ(CgroupOf("a.slice:runc:b"), "a.slice:runc:b");
  Cgroup("/pods/a/nested");
  EXPECT_EQ(CgroupOf("/pods/a"), "/pods/a") << "a runtime that nests";
  Cgroup("/above/pods/a");
  EXPECT_EQ(CgroupOf("/pods/a"), "/above/pods/a");
  EXPECT_EQ(CgroupOf("pods/a"), "/above/pods/a");
  EXPECT_EQ(CgroupOf(""), "/above/pods/a");
  EXPECT_EQ(CgroupOf("/"), "/above/pods/a");
  Cgroup("/pods/ab");
  EXPECT_EQ(CgroupOf("/pods/a"), "/pods/ab") << "a prefix of the name is no parent";
  for (const char* nowhere : {"/", "/../x"}) {
    Cgroup(nowhere);
    EXPECT_EQ(CgroupOf("/pods/a"), "/pods/a");
    EXPECT_THAT(CgroupOf(""), HasSubstr("error: "));
  }
  Write(proc_ + "/42/cgroup", "4:memory:/pods/a\n");
  EXPECT_THAT(CgroupOf(""), HasSubstr("has no cgroup of its own"));
}

/// As podman 4.3 has it: the parent is the runtime, whose parent is conmon.
TEST_F(OciContainerTest, OfPodmanTheNameAndTheImage) {
  const std::string self = std::to_string(getpid());
  const auto words = [](const std::vector<std::string>& list) {
    std::string text;
    for (const std::string& word : list) text += word + '\0';
    return text;
  };
  Write(proc_ + "/" + self + "/stat", self + " (a) b) S 77 1 1");
  Write(proc_ + "/77/stat", "77 (runc) S 78 1 1");
  Write(proc_ + "/77/cmdline", words({"/usr/bin/runc", "create", kId}));
  Write(proc_ + "/78/cmdline", words({"/usr/bin/conmon", "-c", kId, "-r", "runc", "-n", "web_1"}));
  const json metadata{{"image-name", "localhost/tiny:1"}, {"name", "web_1"}};
  Write(directory_ / "storage/vfs-containers/containers.json",
        json::array(
            {{{"id", "other"}, {"metadata", "{}"}}, {{"id", kId}, {"metadata", metadata.dump()}}})
            .dump());
  Spec(R"({"annotations":{"io.container.manager":"libpod"},"linux":{"cgroupsPath":"/pods/a"}})");
  const auto container = Read(State().dump());
  ASSERT_TRUE(container) << container.error().Message();
  EXPECT_EQ(container->name, "web_1");
  EXPECT_EQ(container->image, "localhost/tiny:1");

  // What is not podman's is not looked for.
  Spec(R"({"linux":{"cgroupsPath":"/pods/a"}})");
  EXPECT_EQ(Read(State().dump())->name, "");
  // Nor does a list that is broken harm.
  Spec(R"({"annotations":{"io.container.manager":"libpod"},"linux":{"cgroupsPath":"/pods/a"}})");
  for (const char* list :
       {"", "{", "[1,null,[]]", R"([{"id":7}])", R"([{"id":"b2a790fd4b7edc43","metadata":"["}])"}) {
    Write(directory_ / "storage/vfs-containers/containers.json", list);
    const auto read = Read(State().dump());
    ASSERT_TRUE(read) << list;
    EXPECT_EQ(read->image, "");
  }
}

TEST_F(OciContainerTest, BadStatesAreRefused) {
  Spec("{}");
  ASSERT_TRUE(Read(State().dump()));
  const auto with = [this](const char* key, const json& value) {
    json state = State();
    state[key] = value;
    return state.dump();
  };
  const std::vector<std::string> states = {"",
                                           "{",
                                           "null",
                                           "7",
                                           "[]",
                                           "\"x\"",
                                           "{}",
                                           "\xff\xfe",
                                           std::string(1, '\0'),
                                           std::string(100'000, '['),
                                           std::string(kStateBytesMax, ' ') + State().dump(),
                                           with("id", ""),
                                           with("id", 7),
                                           with("id", "a/b"),
                                           with("id", std::string("a\0b", 3)),
                                           with("id", std::string(5000, 'a')),
                                           with("pid", 0),
                                           with("pid", -42),
                                           with("pid", 4.5),
                                           with("pid", 5'000'000'000),
                                           with("pid", "42"),
                                           with("bundle", "relative"),
                                           with("bundle", nullptr),
                                           with("bundle", "/" + std::string(5000, 'a')),
                                           with("bundle", "/nonexistent"),
                                           with("annotations", 7),
                                           with("annotations", {{"a", 1}})};
  for (const std::string& state : states) {
    const auto read = Read(state);
    EXPECT_FALSE(read) << state.substr(0, 200);
    if (!read) {
      EXPECT_FALSE(read.error().cause.empty());
    }
  }
}

TEST_F(OciContainerTest, BadBundlesAreRefused) {
  for (const std::string& spec :
       {std::string(), std::string("["), std::string("[]"), std::string(R"({"annotations":[]})"),
        std::string(R"({"annotations":{"a":null}})"),
        "{\"a\":\"" + std::string(kSpecBytesMax, 'x') + "\"}"}) {
    Spec(spec);
    EXPECT_FALSE(Read(State().dump())) << spec.substr(0, 100);
  }
  fs::remove(bundle_ + "/config.json");
  fs::create_directory(bundle_ + "/config.json");
  EXPECT_FALSE(Read(State().dump()));
}

TEST_F(OciContainerTest, AfterAnErrorWhatWasReadIsThere) {
  json state = State();
  state["annotations"] = {{"io.kubernetes.cri.sandbox-namespace", "shop"}};
  Container container;
  EXPECT_FALSE(ReadContainer(state.dump(), container, proc_)) << "there is no config.json";
  EXPECT_EQ(container.id, kId);
  EXPECT_EQ(workload::NamespaceOf(container.annotations), "shop");
}

}  // namespace
}  // namespace gatehouse::oci
