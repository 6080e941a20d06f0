// SPDX-License-Identifier: Apache-2.0
#include "control/server.h"

#include <gmock/gmock.h>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "control/status.h"
#include "control/test_server.h"
#include "daemon/test_policies.h"
#include "gatehouse/gatehouse.grpc.pb.h"
#include "tetragon/sensors.grpc.pb.h"

namespace gatehouse::control {
namespace {

using daemon::testing::BindingText;
using daemon::testing::PolicyText;
using daemon::testing::TemplateText;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::TestServer;

class ServerTest : public ::testing::Test {
 protected:
  static std::shared_ptr<grpc::Channel> Channel(const TestServer& server) {
    return grpc::CreateChannel("unix:" + server.socket(), grpc::InsecureChannelCredentials());
  }

  grpc::Status Add(const std::string& yaml) {
    grpc::ClientContext context;
    tetragon::AddTracingPolicyRequest request;
    tetragon::AddTracingPolicyResponse response;
    request.set_yaml(yaml);
    return tetragon_->AddTracingPolicy(&context, request, &response);
  }

  tetragon::ListTracingPoliciesResponse List() {
    grpc::ClientContext context;
    tetragon::ListTracingPoliciesResponse response;
    EXPECT_TRUE(tetragon_->ListTracingPolicies(&context, {}, &response).ok());
    return response;
  }

  v1::WorkloadStatus AddWorkload(const std::string& cgroup, const std::string& app) {
    grpc::ClientContext context;
    v1::AddWorkloadRequest request;
    v1::AddWorkloadResponse response;
    request.mutable_workload()->set_cgroup_path(cgroup);
    (*request.mutable_workload()->mutable_labels())["app"] = app;
    const auto status = gatehouse_->AddWorkload(&context, request, &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response.workload();
  }

  TestServer server_;
  std::shared_ptr<grpc::Channel> channel_ = Channel(server_);
  std::unique_ptr<tetragon::FineGuidanceSensors::Stub> tetragon_ =
      tetragon::FineGuidanceSensors::NewStub(channel_);
  std::unique_ptr<v1::Gatehouse::Stub> gatehouse_ = v1::Gatehouse::NewStub(channel_);
};

TEST_F(ServerTest, TheSocketIsForItsOwnerAlone) {
  struct stat status{};
  ASSERT_EQ(stat(server_.socket().c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  server_.Stop();
  EXPECT_NE(stat(server_.socket().c_str(), &status), 0);
}

TEST_F(ServerTest, TheUmaskIsAsItWas) {
  const mode_t now = umask(0);
  umask(now);
  EXPECT_NE(now, 0177u);
}

TEST_F(ServerTest, ASecondListenerIsRefusedByName) {
  const auto claimed = ClaimSocket(server_.socket());
  ASSERT_FALSE(claimed);
  EXPECT_EQ(claimed.error().code, ErrorCode::kRefused);
  EXPECT_THAT(claimed.error().Message(), HasSubstr("pid " + std::to_string(getpid())));
  EXPECT_TRUE(Add(PolicyText{}.ToString()).ok());  // and the first goes on
}

TEST(ClaimSocketTest, TakesAStaleSocketAndNothingElse) {
  const daemon::testing::TestDirectory directory;
  const std::string path = directory / "s";
  directory.Write("s", "precious");
  EXPECT_FALSE(ClaimSocket(path));
  EXPECT_TRUE(std::filesystem::exists(path));
  directory.Delete("s");
  {
    // A listener that died leaves its socket.
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
    close(fd);
  }
  EXPECT_TRUE(ClaimSocket(path));
  EXPECT_FALSE(std::filesystem::exists(path));
  EXPECT_FALSE(ClaimSocket(directory / std::string(200, 'x')));
  EXPECT_FALSE(ClaimSocket(""));
  EXPECT_TRUE(ClaimSocket(directory / "a/b/s"));
  EXPECT_TRUE(std::filesystem::is_directory(directory / "a/b"));
}

TEST_F(ServerTest, AddsListsConfiguresAndDeletes) {
  AddWorkload("/cg/a", "web");
  ASSERT_TRUE(Add(PolicyText{.action = "Override"}.ToString() + "---\n" + TemplateText() + "---\n" +
                  BindingText("b", "/bin/b"))
                  .ok());
  const auto list = List();
  ASSERT_EQ(list.policies_size(), 3);
  const auto& web = list.policies(2);
  EXPECT_EQ(web.name(), "web");
  EXPECT_EQ(web.state(), tetragon::TP_STATE_ENABLED);
  EXPECT_EQ(web.mode(), tetragon::TP_MODE_ENFORCE);
  EXPECT_EQ(web.kernel_memory_bytes(), sizeof(gh_rule));
  ASSERT_EQ(web.stats().selector_action_counters_size(), 1);
  EXPECT_EQ(web.stats().selector_action_counters(0).hook(), "security_bprm_creds_for_exec");
  EXPECT_EQ(web.stats().selector_action_counters(0).selector_index().value(), 0u);
  ASSERT_EQ(web.hook_statuses_size(), 1);
  EXPECT_EQ(web.hook_statuses(0).section(), "kprobes");

  grpc::ClientContext configure;
  tetragon::ConfigureTracingPolicyRequest configuration;
  tetragon::ConfigureTracingPolicyResponse configured;
  configuration.set_name("web");
  configuration.set_mode(tetragon::TP_MODE_MONITOR);
  configuration.set_enable(false);
  ASSERT_TRUE(tetragon_->ConfigureTracingPolicy(&configure, configuration, &configured).ok());
  EXPECT_EQ(List().policies(2).mode(), tetragon::TP_MODE_MONITOR);
  EXPECT_EQ(List().policies(2).state(), tetragon::TP_STATE_DISABLED);

  for (const bool found : {true, false}) {
    grpc::ClientContext context;
    tetragon::DeleteTracingPolicyRequest request;
    tetragon::DeleteTracingPolicyResponse response;
    request.set_name("web");
    const auto status = tetragon_->DeleteTracingPolicy(&context, request, &response);
    EXPECT_EQ(status.error_code(), found ? grpc::StatusCode::OK : grpc::StatusCode::NOT_FOUND);
  }
  EXPECT_EQ(List().policies_size(), 2);
}

TEST_F(ServerTest, CountsDecisionsByAction) {
  const auto id = AddWorkload("/cg/a", "web").id();
  ASSERT_TRUE(Add(PolicyText{.action = "Override"}.ToString()).ok());
  server_.kernel().SetHits(server_.kernel().Group(id).at(0), {{0, 0, 5}});
  const auto list = List();
  EXPECT_EQ(list.policies(0).stats().action_counters().post(), 5u);
  EXPECT_EQ(list.policies(0).stats().action_counters().override(), 5u);
  EXPECT_EQ(list.policies(0).stats().action_counters().signal(), 0u);

  grpc::ClientContext context;
  v1::GetStatsResponse stats;
  ASSERT_TRUE(gatehouse_->GetStats(&context, {}, &stats).ok());
  ASSERT_EQ(stats.policies(0).rules_size(), 1);
  EXPECT_EQ(stats.policies(0).rules(0).hits(), 5u);
  EXPECT_EQ(stats.policies(0).rules(0).actions(1).error(), -1);
}

TEST_F(ServerTest, ErrorsSayWhatAndHow) {
  const auto invalid = Add("kind: Nonsense\n");
  EXPECT_EQ(invalid.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(invalid.error_message(), HasSubstr("1:"));
  ASSERT_TRUE(Add(PolicyText{}.ToString()).ok());
  EXPECT_EQ(Add(PolicyText{}.ToString()).error_code(), grpc::StatusCode::ALREADY_EXISTS);
  const auto host = Add(PolicyText{.name = "h", .selector = ""}.ToString());
  EXPECT_EQ(host.error_code(), grpc::StatusCode::FAILED_PRECONDITION);
  EXPECT_THAT(host.error_message(), HasSubstr("--allow-host-enforcement"));
}

TEST_F(ServerTest, MessagesOfManyErrorsFitIntoHeaders) {
  std::string text;
  for (int i = 0; i < 200; ++i) text += "kind: Ünsinn" + std::to_string(i) + "\n---\n";
  const auto status = Add(text);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("more"));
  EXPECT_LE(status.error_message().size(), kMaxStatusBytes + 100);
}

TEST_F(ServerTest, WhatIsNotOfferedSaysSoByName) {
  grpc::ClientContext context;
  tetragon::ListSensorsResponse sensors;
  const auto status = tetragon_->ListSensors(&context, {}, &sensors);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::UNIMPLEMENTED);
  EXPECT_THAT(status.error_message(), HasSubstr("ListSensors"));
  grpc::ClientContext domain_context;
  tetragon::ListTracingPoliciesRequest request;
  tetragon::ListTracingPoliciesResponse policies;
  request.set_domain("other");
  EXPECT_EQ(tetragon_->ListTracingPolicies(&domain_context, request, &policies).error_code(),
            grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(ServerTest, TheRuntimeHookRegistersAContainer) {
  ASSERT_TRUE(
      Add(PolicyText{.selector = "containerSelector: {matchLabels: {name: app}}"}.ToString()).ok());
  grpc::ClientContext context;
  tetragon::RuntimeHookRequest request;
  tetragon::RuntimeHookResponse response;
  auto* create = request.mutable_createcontainer();
  create->set_cgroupspath("kubepods.slice:cri-containerd:abc");
  create->set_podnamespace("shop");
  create->set_podname("web-1");
  create->set_containername("app");
  create->set_containerid("abc");
  ASSERT_TRUE(tetragon_->RuntimeHook(&context, request, &response).ok());

  grpc::ClientContext list_context;
  v1::ListWorkloadsResponse list;
  ASSERT_TRUE(gatehouse_->ListWorkloads(&list_context, {}, &list).ok());
  ASSERT_EQ(list.workloads_size(), 1);
  EXPECT_EQ(list.workloads(0).workload().cgroup_path(),
            "/cg/kubepods.slice/cri-containerd-abc.scope");
  EXPECT_EQ(list.workloads(0).source(), v1::WorkloadStatus::SOURCE_RUNTIME);
  ASSERT_EQ(list.workloads(0).policies_size(), 1);
  EXPECT_EQ(list.workloads(0).policies(0).policy().name(), "web");
}

TEST_F(ServerTest, AddPoliciesTellsOfEachDocument) {
  grpc::ClientContext context;
  v1::AddPoliciesRequest request;
  v1::AddPoliciesResponse response;
  request.set_source("f.yaml");
  request.set_yaml(PolicyText{.name = "a"}.ToString() + "---\n" +
                   PolicyText{.name = "b", .selector = ""}.ToString());
  ASSERT_TRUE(gatehouse_->AddPolicies(&context, request, &response).ok());
  EXPECT_FALSE(response.applied());
  ASSERT_EQ(response.documents_size(), 2);
  EXPECT_EQ(response.documents(0).outcome(), v1::DocumentResult::OUTCOME_NOT_APPLIED);
  EXPECT_EQ(response.documents(1).outcome(), v1::DocumentResult::OUTCOME_REFUSED);
  ASSERT_EQ(response.documents(1).diagnostics_size(), 1);
  EXPECT_EQ(response.documents(1).diagnostics(0).source(), "f.yaml");
  EXPECT_EQ(response.documents(1).diagnostics(0).line(), 15u);
  EXPECT_THAT(List().policies(), IsEmpty());
}

TEST_F(ServerTest, WarningsComeBackWithWhatWasApplied) {
  grpc::ClientContext context;
  v1::AddPoliciesRequest request;
  v1::AddPoliciesResponse response;
  request.set_source("f.yaml");
  request.set_yaml("apiVersion: v1\nkind: Pod\n---\n" + PolicyText{}.ToString());
  ASSERT_TRUE(gatehouse_->AddPolicies(&context, request, &response).ok());
  EXPECT_TRUE(response.applied());
  ASSERT_EQ(response.diagnostics_size(), 1);
  EXPECT_EQ(response.diagnostics(0).severity(), v1::Diagnostic::SEVERITY_WARNING);
  EXPECT_EQ(response.diagnostics(0).line(), 2u);
  EXPECT_EQ(response.documents_size(), 1);
  EXPECT_EQ(List().policies_size(), 1);
}

TEST_F(ServerTest, ExplainNamesWhoDecidesAndWhere) {
  AddWorkload("/cg/a", "web");
  ASSERT_TRUE(Add(PolicyText{.action = "Override"}.ToString()).ok());
  grpc::ClientContext context;
  v1::ExplainRequest request;
  v1::ExplainResponse response;
  request.mutable_workload()->set_cgroup_path("/cg/a");
  request.set_exec_path("/usr/bin/curl");
  request.set_hook("bprm_creds_for_exec");
  const auto status = gatehouse_->Explain(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.hooks_size(), 1);
  const auto& hook = response.hooks(0);
  EXPECT_EQ(hook.hook(), "bprm_creds_for_exec");
  EXPECT_FALSE(hook.verdict().allowed());
  EXPECT_EQ(hook.verdict().error(), -1);
  ASSERT_EQ(hook.decisions_size(), 1);
  EXPECT_EQ(hook.decisions(0).policy().policy().name(), "web");
  EXPECT_EQ(hook.decisions(0).rule().line(), 12u);
  EXPECT_THAT(hook.decisions(0).because(), HasSubstr("matchArgs NotIn /usr/bin/true holds"));
  EXPECT_NE(hook.decisions(0).policy().instance(), 0u);

  grpc::ClientContext relative_context;
  request.set_exec_path("curl");
  EXPECT_EQ(gatehouse_->Explain(&relative_context, request, &response).error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, ExplainFindsTheTemplateAndNothingElseOfItsName) {
  AddWorkload("/cg/a", "web");
  std::string binding = BindingText("b", "/usr/bin/true");
  binding.replace(binding.find("{name: b}"), 9, "{name: b, namespace: shop}");
  std::string other = PolicyText{.name = "allow", .call = "security_bprm_check"}.ToString();
  other.replace(other.find("kind: TracingPolicy\nmetadata: {name: allow}"), 43,
                "kind: TracingPolicyNamespaced\nmetadata: {name: allow, namespace: shop}");
  ASSERT_TRUE(Add(TemplateText() + "---\n" + binding + "---\n" + other).ok());
  grpc::ClientContext add_context;
  v1::AddWorkloadRequest add;
  v1::AddWorkloadResponse added;
  add.mutable_workload()->set_cgroup_path("/cg/b");
  add.mutable_workload()->set_namespace_("shop");
  add.mutable_workload()->set_pod("web-1");
  (*add.mutable_workload()->mutable_labels())["app"] = "web";
  ASSERT_TRUE(gatehouse_->AddWorkload(&add_context, add, &added).ok());
  grpc::ClientContext context;
  v1::ExplainRequest request;
  v1::ExplainResponse response;
  request.mutable_workload()->set_cgroup_path("/cg/b");
  request.set_exec_path("/usr/bin/curl");
  request.set_hook("bprm_creds_for_exec");
  const auto status = gatehouse_->Explain(&context, request, &response);
  ASSERT_TRUE(status.ok()) << status.error_message();
  ASSERT_EQ(response.hooks(0).decisions_size(), 1);
  const auto& decision = response.hooks(0).decisions(0);
  EXPECT_EQ(decision.policy().policy().name(), "allow");
  EXPECT_EQ(decision.policy().policy().kind(), v1::POLICY_KIND_TEMPLATE);
  EXPECT_EQ(decision.rule().call(), "security_bprm_creds_for_exec");
  EXPECT_EQ(decision.rule().line(), 11u);
}

event::EventPtr ExecEvent(const std::string& binary) {
  auto event = std::make_shared<tetragon::GetEventsResponse>();
  event->mutable_process_exec()->mutable_process()->set_binary(binary);
  return event;
}

TEST_F(ServerTest, StreamsEventsThroughTheFilter) {
  grpc::ClientContext context;
  tetragon::GetEventsRequest request;
  request.add_allow_list()->add_binary_regex("^/bin/b");
  const auto reader = tetragon_->GetEvents(&context, request);
  reader->WaitForInitialMetadata();  // from here on nothing is missed
  server_.dispatcher().Publish(ExecEvent("/bin/a"));
  server_.dispatcher().Publish(ExecEvent("/bin/b"));
  tetragon::GetEventsResponse event;
  ASSERT_TRUE(reader->Read(&event));
  EXPECT_EQ(event.process_exec().process().binary(), "/bin/b");
  server_.Stop();  // ends the stream
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(ServerTest, AClientThatGoesAwayFreesItsPlace) {
  {
    grpc::ClientContext context;
    const auto reader = tetragon_->GetEvents(&context, {});
    reader->WaitForInitialMetadata();
    EXPECT_EQ(server_.dispatcher().stats().size(), 1u);
    context.TryCancel();
    (void)reader->Finish();
  }
  for (int i = 0; i < 1000 && !server_.dispatcher().stats().empty(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_THAT(server_.dispatcher().stats(), IsEmpty());
}

TEST_F(ServerTest, ABadFilterIsRefused) {
  grpc::ClientContext context;
  tetragon::GetEventsRequest request;
  request.add_allow_list()->add_binary_regex("(");
  const auto reader = tetragon_->GetEvents(&context, request);
  tetragon::GetEventsResponse event;
  EXPECT_FALSE(reader->Read(&event));
  EXPECT_EQ(reader->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(ServerTest, CallsFromManyThreadsAtOnce) {
  constexpr int kClients = 4;
  std::vector<std::thread> threads;
  threads.reserve(kClients);
  for (int t = 0; t < kClients; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 5; ++i) {
        const std::string name = "p" + std::to_string(t) + "-" + std::to_string(i);
        EXPECT_TRUE(Add(PolicyText{.name = name}.ToString()).ok());
        (void)List();
        AddWorkload("/cg/" + name, "web");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(List().policies_size(), kClients * 5);
  EXPECT_THAT(server_.kernel().violations(), IsEmpty());
}

// ---- the wire, by field numbers, as Tetragon's own clients see it ----

class WireTest : public ServerTest {
 protected:
  /// Calls a method with the bytes of a request; the bytes of the answer.
  std::string Call(const std::string& method, const std::string& request) {
    grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(channel_);
    grpc::ClientContext context;
    grpc::CompletionQueue queue;
    const grpc::Slice slice(request);
    const grpc::ByteBuffer bytes(&slice, 1);
    const auto call =
        stub.PrepareUnaryCall(&context, "/tetragon.FineGuidanceSensors/" + method, bytes, &queue);
    call->StartCall();
    grpc::ByteBuffer answer;
    grpc::Status status;
    call->Finish(&answer, &status, this);
    void* tag = nullptr;
    bool ok = false;
    EXPECT_TRUE(queue.Next(&tag, &ok));
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::vector<grpc::Slice> slices;
    if (answer.Valid()) (void)answer.Dump(&slices);
    std::string text;
    for (const grpc::Slice& part : slices)
      text.append(reinterpret_cast<const char*>(part.begin()), part.size());
    return text;
  }

  static std::string Field(uint32_t number, const std::string& value) {
    std::string out;
    google::protobuf::io::StringOutputStream stream(&out);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.WriteVarint32(number << 3 | 2);
    coded.WriteVarint32(static_cast<uint32_t>(value.size()));
    coded.WriteString(value);
    coded.Trim();
    return out;
  }

  static std::string Field(uint32_t number, uint64_t value) {
    std::string out;
    google::protobuf::io::StringOutputStream stream(&out);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.WriteVarint32(number << 3);
    coded.WriteVarint64(value);
    coded.Trim();
    return out;
  }
};

TEST_F(WireTest, AddTracingPolicyTakesYamlInField1) {
  EXPECT_EQ(Call("AddTracingPolicy", Field(1, PolicyText{}.ToString())), "");
  EXPECT_EQ(List().policies(0).name(), "web");
}

TEST_F(WireTest, ListTracingPoliciesHasTetragonsNumbers) {
  ASSERT_TRUE(Add(PolicyText{}.ToString()).ok());
  tetragon::TracingPolicyStatus expected = List().policies(0);
  const std::string answer = Call("ListTracingPolicies", "");
  // policies 1 {name 2, enabled 6, state 9 = ENABLED 1, mode 11 = ENFORCE 1}
  for (const std::string& part : {Field(2, std::string("web")), Field(6, uint64_t{1}),
                                  Field(9, uint64_t{1}), Field(11, uint64_t{1})}) {
    EXPECT_THAT(answer, HasSubstr(part));
  }
  EXPECT_EQ(answer.front(), static_cast<char>(1 << 3 | 2));
}

TEST_F(WireTest, ConfigureAndDeleteTakeTetragonsNumbers) {
  ASSERT_TRUE(Add(PolicyText{}.ToString()).ok());
  EXPECT_EQ(Call("ConfigureTracingPolicy",
                 Field(1, std::string("web")) + Field(3, uint64_t{0}) + Field(4, uint64_t{2})),
            "");
  EXPECT_EQ(List().policies(0).state(), tetragon::TP_STATE_DISABLED);
  EXPECT_EQ(List().policies(0).mode(), tetragon::TP_MODE_MONITOR);
  EXPECT_EQ(Call("EnableTracingPolicy", Field(1, std::string("web"))), "");
  EXPECT_EQ(List().policies(0).state(), tetragon::TP_STATE_ENABLED);
  EXPECT_EQ(Call("DisableTracingPolicy", Field(1, std::string("web"))), "");
  EXPECT_EQ(List().policies(0).state(), tetragon::TP_STATE_DISABLED);
  EXPECT_EQ(Call("DeleteTracingPolicy", Field(1, std::string("web"))), "");
  EXPECT_THAT(List().policies(), IsEmpty());
}

TEST_F(WireTest, VersionAndHealth) {
  EXPECT_EQ(Call("GetVersion", ""), Field(1, std::string(GATEHOUSE_VERSION)));
  // health_status 1 {event 1 = STATUS 1, status 2 = RUNNING 1, details 3}
  EXPECT_EQ(
      Call("GetHealth", Field(1, uint64_t{1})),
      Field(1, Field(1, uint64_t{1}) + Field(2, uint64_t{1}) + Field(3, std::string("running"))));
}

TEST_F(WireTest, RuntimeHookTakesTetragonsNumbers) {
  EXPECT_EQ(Call("RuntimeHook",
                 Field(1, Field(1, std::string("/pods/p")) + Field(4, std::string("app")) +
                              Field(5, std::string("id")) + Field(6, std::string("web-1")) +
                              Field(7, std::string("uid")) + Field(8, std::string("shop")) +
                              Field(9, std::string("img")))),
            "");
  const auto workloads = server_.agent().ListWorkloads();
  ASSERT_EQ(workloads.size(), 1u);
  EXPECT_EQ(workloads[0].workload->Name(), "shop/web-1/app");
  EXPECT_EQ(workloads[0].workload->pod_uid, "uid");
  EXPECT_EQ(workloads[0].workload->container_id, "id");
  EXPECT_EQ(workloads[0].workload->image, "img");
}

}  // namespace
}  // namespace gatehouse::control
