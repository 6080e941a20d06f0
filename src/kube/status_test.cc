// SPDX-License-Identifier: Apache-2.0
#include "kube/status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "kube/status_writer.h"

namespace gatehouse::kube {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;

const policy::Key kBinding{"web", "shop"};

TEST(Status, AnEntryForEachNode) {
  const Patch patch = ReportOnPolicy("node-1", PolicyKind::kBinding, kBinding,
                                     {PolicyState::kConflict, "with shop/other", 3});
  EXPECT_EQ(patch.target,
            "/apis/cilium.io/v1alpha1/namespaces/shop/tracingpolicybindings/web/status"
            "?force=true&fieldManager=gatehouse-node-1");
  EXPECT_EQ(patch.content_type, "application/apply-patch+yaml");
  EXPECT_EQ(json::parse(patch.body), json::parse(R"({
    "apiVersion": "cilium.io/v1alpha1", "kind": "TracingPolicyBinding",
    "metadata": {"name": "web", "namespace": "shop"},
    "status": {"nodes": [{"node": "node-1", "state": "Conflict", "message": "with shop/other",
                          "observedGeneration": 3}]}})"));
  const Patch none = WithdrawReport("node-1", PolicyKind::kTemplate, {"exec", ""});
  EXPECT_THAT(none.target, HasSubstr("/v1alpha1/tracingpolicytemplates/exec/status?"));
  EXPECT_FALSE(json::parse(none.body).contains("status"));
}

TEST(Status, OnlyWhatIsNewsIsWritten) {
  PolicyObject binding;
  binding.kind = PolicyKind::kBinding;
  binding.key = kBinding;
  const PolicyReport report{PolicyState::kAccepted, "", 3};
  EXPECT_TRUE(WantsReport(binding, report));
  binding.reports = kReportsOfPolicyMax;
  EXPECT_FALSE(WantsReport(binding, report));  // full of others
  binding.reported = report;
  EXPECT_FALSE(WantsReport(binding, report));
  EXPECT_TRUE(WantsReport(binding, {PolicyState::kAccepted, "", 4}));
  binding.kind = PolicyKind::kPolicy;
  EXPECT_FALSE(WantsReport(binding, {PolicyState::kAccepted, "", 4}));
}

TEST(Status, MessagesAreCutBetweenCharacters) {
  std::string message(kReportMessageBytesMax - 1, 'x');
  message += "\u00e9 and more";
  const Patch patch =
      ReportOnPolicy("n", PolicyKind::kBinding, kBinding, {PolicyState::kRefused, message, 1});
  EXPECT_EQ(json::parse(patch.body)["status"]["nodes"][0]["message"],
            std::string(kReportMessageBytesMax - 1, 'x'));
}

TEST(Status, TheNodesOwnObjectSaysWhatIsWrongFirst) {
  std::vector<PolicyInReport> policies;
  for (size_t i = 0; i < kReportsOfNodeMax; ++i) {
    policies.push_back({PolicyKind::kPolicy, {"p" + std::to_string(i), ""}, {}});
  }
  policies.push_back({PolicyKind::kBinding, kBinding, {PolicyState::kConflict, "with x", 2}});
  const Patch patch = ReportOfNode({"node-1", "uid-1", {}}, policies);
  EXPECT_EQ(patch.target,
            "/apis/gatehouse.dev/v1alpha1/nodepolicystatuses/node-1"
            "?force=true&fieldManager=gatehouse");
  const json object = json::parse(patch.body);
  EXPECT_EQ(object["metadata"]["ownerReferences"][0]["uid"], "uid-1");
  EXPECT_EQ(object["summary"], json::parse(R"({"accepted": 1000, "conflicts": 1, "refused": 0,
                                               "skipped": 0})"));
  EXPECT_EQ(object["policies"].size(), kReportsOfNodeMax);
  EXPECT_EQ(object["policies"][0]["state"], "Conflict");
  EXPECT_EQ(object["policies"][0]["namespace"], "shop");
}

class StatusWriterTest : public ::testing::Test {
 protected:
  /// Waits until it is due; the body that it sends.
  std::string Ask() {
    if (!writer_.due()) return "nothing";
    waited_ = std::max(*writer_.due() - now_, Clock::duration::zero());
    now_ += waited_;
    const Request request = writer_.Begin(now_);
    EXPECT_EQ(request.method, "PATCH");
    return request.body;
  }
  void Answer(int status, const std::string& text = "{}", const std::string& error = "") {
    writer_.Answered(status, now_);
    EXPECT_TRUE(writer_.Receive(text, now_));
    writer_.End({status, error}, now_);
  }

  Clock::time_point now_{seconds(1000)};
  Clock::duration waited_{};
  StatusWriter writer_{Timing{}, [] { return 0.5; }};
};

TEST_F(StatusWriterTest, TheLastOfEachTargetIsWritten) {
  EXPECT_EQ(Ask(), "nothing");
  writer_.Put({"/a?x", "t", "1"});
  writer_.Put({"/b?x", "t", "2"});
  writer_.Put({"/a?x", "t", "3"});
  EXPECT_EQ(writer_.health().waiting, 2u);
  EXPECT_EQ(Ask(), "3");
  EXPECT_EQ(Ask(), "nothing");  // one at a time
  Answer(200);
  EXPECT_EQ(Ask(), "2");
  Answer(201);
  EXPECT_EQ(Ask(), "nothing");
  EXPECT_EQ(writer_.health().written, 2u);
}

TEST_F(StatusWriterTest, WhatFailsForNowIsWrittenLater) {
  writer_.Put({"/a?x", "t", "1"});
  for (const int status : {0, 500, 401, 409, 429}) {
    EXPECT_EQ(Ask(), "1");
    Answer(status, "{}", status == 0 ? "connection refused" : "");
  }
  EXPECT_EQ(Ask(), "1");
  EXPECT_EQ(waited_, seconds(6));
  writer_.Put({"/a?x", "t", "2"});  // meanwhile
  Answer(503);
  EXPECT_EQ(Ask(), "2");
  Answer(200);
  EXPECT_EQ(Ask(), "nothing");
  EXPECT_EQ(writer_.health().written, 1u);
  EXPECT_EQ(writer_.health().refused, 0u);
}

TEST_F(StatusWriterTest, WhatIsRefusedForGoodIsLeft) {
  for (const int status : {400, 404, 415, 422}) {
    writer_.Put({"/a?x", "t", "1"});
    Ask();
    Answer(status, R"({"message":"status.nodes: Too many: 65"})");
    EXPECT_EQ(Ask(), "nothing") << status;
  }
  EXPECT_EQ(writer_.health().refused, 4u);
  EXPECT_EQ(writer_.health().last_error, "/a: HTTP status 422: status.nodes: Too many: 65");
}

TEST_F(StatusWriterTest, ARightThatIsMissingMayCome) {
  writer_.Put({"/a?x", "t", "1"});
  writer_.Put({"/b?x", "t", "2"});
  EXPECT_EQ(Ask(), "1");
  Answer(403);
  EXPECT_EQ(Ask(), "2");  // at once
  EXPECT_EQ(waited_, seconds(0));
  Answer(200);
  EXPECT_EQ(writer_.health().waiting, 1u);
  EXPECT_EQ(Ask(), "1");
  EXPECT_EQ(waited_, milliseconds(22500));
  Answer(403);
  writer_.Put({"/a?x", "t", "3"});
  EXPECT_EQ(Ask(), "3");
  Answer(200);
  EXPECT_EQ(Ask(), "nothing");
}

TEST_F(StatusWriterTest, OneThatFailsDoesNotKeepTheOthersBack) {
  writer_.Put({"/a?x", "t", "1"});
  writer_.Put({"/b?x", "t", "2"});
  EXPECT_EQ(Ask(), "1");
  Answer(500);
  EXPECT_EQ(Ask(), "2");
  Answer(200);
  EXPECT_EQ(Ask(), "1");
}

}  // namespace
}  // namespace gatehouse::kube
