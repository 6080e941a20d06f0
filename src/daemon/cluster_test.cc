// SPDX-License-Identifier: Apache-2.0
// The agent against a server over HTTPS: pods, namespaces and policies come from it, and what
// became of these goes to it.
#include "daemon/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <string>
#include <thread>

#include "daemon/fake_kernel.h"
#include "kube/test_server.h"

namespace gatehouse::daemon {
namespace {

using kube::testing::TestCall;
using kube::testing::TestServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::chrono::seconds kPatience{10};
constexpr const char* kTemplates = "/tracingpolicytemplates";
constexpr const char* kBindings = "/tracingpolicybindings";

std::string Text(const std::string& items) {
  return R"({"metadata":{"resourceVersion":"7"},"items":[)" + items + "]}";
}

std::string Object(const std::string& kind, const std::string& name, const std::string& ns,
                   const std::string& spec) {
  return R"({"apiVersion":"cilium.io/v1alpha1","kind":")" + kind + R"(","metadata":{"name":")" +
         name + "\"" + (ns.empty() ? "" : R"(,"namespace":")" + ns + "\"") +
         R"(,"uid":"u","generation":3,"resourceVersion":"5"},"spec":)" + spec + "}";
}

std::string Pod(const std::string& app) {
  return R"({"metadata":{"name":"web-1","namespace":"shop","uid":"pod-uid","resourceVersion":"6",)"
         R"("labels":{"app":")" +
         app + R"("}},"spec":{"containers":[{"name":"app"}]},"status":{}})";
}

constexpr const char* kPolicySpec =
    R"({"podSelector":{"matchLabels":{"app":"web"}},"lsmhooks":[{"hook":"bprm_check_security",)"
    R"("args":[{"index":0,"type":"linux_binprm"}],"selectors":[{"matchActions":[{"action":"Sigkill"}]}]}]})";

class ClusterSourceTest : public ::testing::Test {
 protected:
  ClusterSourceTest() : server_(kube::testing::MakeCertificate(Authority(), "127.0.0.1")) {
    kube::Config config;
    config.server = server_.url();
    config.authority.text = Authority().certificate;
    containers_.Change([](workload::Inventory& inventory) {
      inventory.Put(workload::Teller::kRuntime,
                    {.id = "c1", .cgroup = "/cg/c1", .name = "app", .pod_uid = "pod-uid"});
    });
    source_.emplace(std::move(config), "node-1", agent_, containers_,
                    [this](const std::string& line) { logged_ += line + "\n"; });
  }
  static const kube::testing::TestCertificate& Authority() {
    static const auto kAuthority = kube::testing::MakeAuthority("authority");
    return kAuthority;
  }
  /// Answers the list that has `part` in its target; the watch behind it is left waiting.
  void List(const char* part, const std::string& items) {
    const auto call = server_.Next(part);
    ASSERT_TRUE(call) << part;
    call->Answer(200, Text(items));
  }
  static void Await(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_TRUE(condition());
  }
  [[nodiscard]] std::vector<std::string> PoliciesOf(size_t workload) const {
    std::vector<std::string> names;
    const std::vector<WorkloadView> views = agent_.ListWorkloads();
    for (const auto& policy : views.at(workload).policies) {
      names.push_back(policy->key.ToString());
    }
    return names;
  }

  TestServer server_;
  compile::StringPool strings_;
  FakeKernel kernel_;
  Agent agent_{strings_, kernel_, {.cgroup_root = "/cg", .cgroup_id = [](const std::string&) {
                                     return std::optional<uint64_t>(1);
                                   }}};
  std::string logged_;
  Containers containers_{agent_, [](const Error&) {}};
  std::optional<ClusterSource> source_;
};

TEST_F(ClusterSourceTest, PoliciesAndLabelsMeetInAnyOrder) {
  List("/tracingpolicies?", Object("TracingPolicy", "web", "", kPolicySpec));
  Await([&] { return agent_.ListPolicies().size() == 1; });
  EXPECT_EQ(agent_.ListPolicies()[0].origin, "kubernetes/tracingpolicies/web");
  EXPECT_THAT(PoliciesOf(0), IsEmpty());
  List("/api/v1/pods", Pod("web"));
  Await([&] { return !PoliciesOf(0).empty(); });
  EXPECT_THAT(PoliciesOf(0), ElementsAre("web"));
  EXPECT_EQ(agent_.ListWorkloads()[0].workload->Name(), "shop/web-1/app");
}

TEST_F(ClusterSourceTest, ALabelThatChangesTakesEffect) {
  List("/tracingpolicies?", Object("TracingPolicy", "web", "", kPolicySpec));
  List("/api/v1/pods", Pod("other"));
  Await([&] {
    return agent_.ListPolicies().size() == 1 && !agent_.ListWorkloads()[0].workload->labels.empty();
  });
  EXPECT_THAT(PoliciesOf(0), IsEmpty());
  const auto watch = server_.Next("/api/v1/pods");
  ASSERT_TRUE(watch);
  watch->Stream();
  std::string pod = Pod("web");
  pod.replace(pod.find(R"("resourceVersion":"6")"), 21, R"("resourceVersion":"9")");
  watch->Send(R"({"type":"MODIFIED","object":)" + pod + "}\n");
  Await([&] { return !PoliciesOf(0).empty(); });
  watch->EndStream();
}

TEST_F(ClusterSourceTest, ANamespacesLabelsAreKeysOfPods) {
  List("/api/v1/pods", Pod("web"));
  List("/api/v1/namespaces",
       R"({"metadata":{"name":"shop","uid":"n","resourceVersion":"3","labels":{"team":"a"}}})");
  Await([&] {
    return agent_.ListWorkloads()[0].workload->labels.contains(
        "k8s:io.cilium.k8s.namespace.labels.team");
  });
}

TEST_F(ClusterSourceTest, WhatBecameOfPoliciesIsTold) {
  List("/api/v1/nodes", R"({"metadata":{"name":"node-1","uid":"n","resourceVersion":"3"}})");
  List(kTemplates, Object("TracingPolicyTemplate", "t", "", R"({"podSelecter":{}})"));
  Await([&] { return !logged_.empty(); });
  EXPECT_THAT(logged_, HasSubstr("podSelecter"));
  EXPECT_THAT(agent_.ListPolicies(), IsEmpty());
  source_->Report();
  const auto of_policy = server_.Next("tracingpolicytemplates/t/status");
  ASSERT_TRUE(of_policy);
  EXPECT_EQ(of_policy->method, "PATCH");
  EXPECT_THAT(of_policy->body, HasSubstr("Refused"));
  EXPECT_THAT(of_policy->body, HasSubstr("podSelecter"));
  EXPECT_THAT(of_policy->body, HasSubstr("node-1"));
  of_policy->Answer(200, "{}");
  const auto of_node = server_.Next("nodepolicystatuses/node-1");
  ASSERT_TRUE(of_node);
  EXPECT_THAT(of_node->body, HasSubstr("Refused"));
  of_node->Answer(200, "{}");
}

TEST_F(ClusterSourceTest, APolicyThatIsDeletedIsGone) {
  List(kBindings, "");
  List("/tracingpolicies?", Object("TracingPolicy", "web", "", kPolicySpec));
  Await([&] { return agent_.ListPolicies().size() == 1; });
  const auto watch = server_.Next("/tracingpolicies?");
  ASSERT_TRUE(watch);
  watch->Stream();
  std::string object = Object("TracingPolicy", "web", "", kPolicySpec);
  object.replace(object.find(R"("resourceVersion":"5")"), 21, R"("resourceVersion":"8")");
  watch->Send(R"({"type":"DELETED","object":)" + object + "}\n");
  Await([&] { return agent_.ListPolicies().empty(); });
  watch->EndStream();
}

TEST_F(ClusterSourceTest, HealthOfEachResource) {
  List("/api/v1/pods", "");
  Await([&] {
    for (const SourceHealth& health : source_->health()) {
      if (health.name == "/api/v1/pods" && health.state == "watching") return true;
    }
    return false;
  });
  for (const SourceHealth& health : source_->health()) EXPECT_EQ(health.kind, "kubernetes");
  EXPECT_EQ(source_->health().size(), 7U);
}

}  // namespace
}  // namespace gatehouse::daemon
