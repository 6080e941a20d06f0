// SPDX-License-Identifier: Apache-2.0
// runc, with the hook as createRuntime.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "base/fd.h"
#include "host.h"
#include "kernel/cgroup_tree.h"
#include "oci/failure_record.h"

namespace gatehouse::oci::testing {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr int kKilled = 128 + SIGKILL;
constexpr int kStarts = 10;

/// How often the forbidden program is tried: GATEHOUSE_OCI_STARTS, 500 in a full run.
int Starts() {
  const char* text = std::getenv("GATEHOUSE_OCI_STARTS");
  return text == nullptr ? kStarts : std::atoi(text);
}

class RuncTest : public ::testing::Test {
 protected:
  RuncTest() {
    host_.MakeRoot(bundle_ + "/rootfs");
    const Answer made = host_.Run({"runc", "spec", "--bundle", bundle_});
    EXPECT_EQ(made.status, 0) << made.err << "runc of Debian 12 has to be there";
  }

  /// The spec of a container of the pod shop/web-1, with the hook in it.
  [[nodiscard]] json Spec(const std::string& program, std::vector<std::string> options) const {
    json spec = json::parse(ReadText(bundle_ + "/config.json"));
    spec["process"]["terminal"] = false;
    spec["process"]["args"] = json::array({program});
    spec["linux"]["cgroupsPath"] = host_.cgroup() + "/web";
    spec["linux"]["namespaces"] =
        json::parse(R"([{"type":"pid"},{"type":"mount"},{"type":"ipc"}])");
    spec.erase("hostname");
    spec["annotations"] = {{"io.kubernetes.cri.container-type", "container"},
                           {"io.kubernetes.cri.container-name", "app"},
                           {"io.kubernetes.cri.image-name", "localhost/tiny:1"},
                           {"io.kubernetes.cri.sandbox-name", "web-1"},
                           {"io.kubernetes.cri.sandbox-namespace", "shop"}};
    options.insert(options.begin(), {"gatehouse-oci-hook", "--control-socket", host_.socket()});
    spec["hooks"]["createRuntime"] = {{{"path", Program("gatehouse-oci-hook")}, {"args", options}}};
    return spec;
  }
  [[nodiscard]] Answer RunSpec(const json& spec) {
    WriteText(bundle_ + "/config.json", spec.dump());
    return host_.Run({"runc", "--root", host_.Path("state"), "run", "--bundle", bundle_,
                      "test-" + std::to_string(++containers_)});
  }
  [[nodiscard]] Answer Run(const std::string& program, std::vector<std::string> options = {}) {
    return RunSpec(Spec(program, std::move(options)));
  }
  [[nodiscard]] uint64_t Failed(const char* how) const {
    return std::stoull(host_.Status().at("hook_failures").at(how).get<std::string>());
  }
  /// The container's cgroup of the kernel's, as runc made it.
  [[nodiscard]] std::string CgroupDirectory() const {
    return kernel::FindCgroupRoot().value() + host_.cgroup() + "/web";
  }

  Host host_;
  const std::string bundle_ = host_.Path("bundle");
  int containers_ = 0;
};

TEST_F(RuncTest, AForbiddenProgramNeverBegins) {
  host_.StartDaemon();
  const Answer before = Run("/bin/forbidden");
  ASSERT_EQ(before.status, 0) << before.err;
  EXPECT_EQ(before.out, "x") << "no policy is about it yet";
  host_.AllowOnly("app");
  const Answer allowed = Run("/bin/allowed");
  EXPECT_EQ(allowed.status, 0) << allowed.err;
  EXPECT_EQ(allowed.out, "x");
  int began = 0, killed = 0;
  for (int i = 0; i < Starts(); ++i) {
    const Answer answer = Run("/bin/forbidden");
    began += answer.out.empty() ? 0 : 1;
    killed += answer.status == kKilled ? 1 : 0;
  }
  EXPECT_EQ(began, 0);
  EXPECT_EQ(killed, Starts()) << "and every container got as far as its program";
  EXPECT_FALSE(fs::exists(CgroupDirectory()));
  Host::Await([this] { return host_.Workloads().empty(); }, "the registry keeps no container");
}

// runc's own process is in the container's cgroup when the hook is called; after it, it makes the
// container's root its own.
TEST_F(RuncTest, WhatTheRuntimeDoesIsNotTheContainers) {
  host_.StartDaemon();
  host_.Add(R"(apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: no-roots}
spec:
  containerSelector: {matchLabels: {name: app}}
  kprobes:
  - call: sys_pivot_root
    selectors: [{matchActions: [{action: Sigkill}]}]
)");
  const Answer answer = Run("/bin/allowed");
  EXPECT_EQ(answer.status, 0) << answer.err;
  EXPECT_EQ(answer.out, "x");
  EXPECT_THAT(ReadText(host_.Path("daemon.err")),
              HasSubstr("created by the runtime hook, 1 policies"));
}

TEST_F(RuncTest, TheDaemonKnowsTheContainerWhileItRuns) {
  host_.StartDaemon();
  json spec = Spec("/bin/allowed", {});
  // The cgroup is there from create to delete.
  WriteText(bundle_ + "/config.json", spec.dump());
  const std::vector<std::string> runc{"runc", "--root", host_.Path("state")};
  const auto with = [&runc](std::vector<std::string> words) {
    words.insert(words.begin(), runc.begin(), runc.end());
    return words;
  };
  const Answer created = host_.Run(with({"create", "--bundle", bundle_, "known"}));
  ASSERT_EQ(created.status, 0) << created.err;
  const json workloads = host_.Workloads();
  ASSERT_EQ(workloads.size(), 1u);
  const json& workload = workloads[0].at("workload");
  EXPECT_EQ(workload.at("cgroup_path"), CgroupDirectory());
  EXPECT_EQ(workload.at("namespace"), "shop");
  EXPECT_EQ(workload.at("pod"), "web-1");
  EXPECT_EQ(workload.at("container"), "app");
  EXPECT_EQ(workload.at("container_id"), "known");
  EXPECT_EQ(workload.at("image"), "localhost/tiny:1");
  EXPECT_EQ(host_.Run(with({"delete", "--force", "known"})).status, 0);
}

TEST_F(RuncTest, WhenNobodyAnswers) {
  const Answer denied = Run("/bin/allowed");
  EXPECT_NE(denied.status, 0);
  EXPECT_EQ(denied.out, "") << "nothing of it ran";
  const Answer excepted = Run("/bin/allowed", {"--on-failure-namespace", "shop=allow"});
  EXPECT_EQ(excepted.status, 0) << excepted.err;
  EXPECT_EQ(excepted.out, "x");
  EXPECT_EQ(Run("/bin/allowed", {"--on-failure", "allow"}).out, "x");
  EXPECT_EQ(
      Run("/bin/allowed", {"--on-failure", "allow", "--on-failure-namespace", "shop=deny"}).out,
      "");
  host_.StartDaemon();
  EXPECT_EQ(Failed("allowed"), 2u);
  EXPECT_EQ(Failed("denied"), 2u);
  EXPECT_THAT(host_.Gatehouse({"status"}).out, HasSubstr("runtime hook: 2 containers started"));
  EXPECT_THAT(ReadText(host_.Path("daemon.err")), HasSubstr("web-1"));
}

TEST_F(RuncTest, WhatTheDaemonRefusesDoesNotStart) {
  host_.StartDaemon();
  json spec = Spec("/bin/allowed", {});
  spec["annotations"]["io.kubernetes.cri.container-name"] = "no name";
  const Answer refused = RunSpec(spec);
  EXPECT_NE(refused.status, 0);
  EXPECT_EQ(refused.out, "");
  EXPECT_THAT(refused.err, HasSubstr("is not a name")) << "the runtime says why";
  Host::Await([this] { return Failed("denied") == 1; }, "the running daemon counts it");
  EXPECT_THAT(host_.Workloads(), IsEmpty());
}

TEST_F(RuncTest, ASocketThatNeverAnswersIsNotWaitedFor) {
  const Fd listening(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, host_.socket().c_str(), host_.socket().size());
  ASSERT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  ASSERT_EQ(listen(listening.get(), 4), 0);
  const Answer late = Run("/bin/allowed", {"--timeout", "0.2"});
  EXPECT_NE(late.status, 0);
  EXPECT_EQ(late.out, "");
  const auto left = TakeFailures(FailureDirectory(host_.socket()));
  ASSERT_TRUE(left) << left.error().Message();
  ASSERT_EQ(left->read.size(), 1u);
  EXPECT_THAT(left->read[0].reason, HasSubstr("in time"));
}

}  // namespace
}  // namespace gatehouse::oci::testing
