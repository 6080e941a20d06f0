// SPDX-License-Identifier: Apache-2.0
#include "workload/file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::workload {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr char kRoot[] = "/sys/fs/cgroup";

std::vector<Workload> Parsed(std::string_view text) {
  auto result = ParseFile(text, "w.yaml", kRoot);
  EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().at(0).ToString());
  return result.value_or(std::vector<Workload>());
}

std::vector<std::string> Wrong(std::string_view text) {
  std::vector<std::string> lines;
  const auto result = ParseFile(text, "w.yaml", kRoot);
  EXPECT_FALSE(result.has_value());
  if (result) return lines;
  for (const policy::Diagnostic& diagnostic : result.error())
    lines.push_back(diagnostic.ToString());
  return lines;
}

TEST(WorkloadsFile, ReadsEveryField) {
  const std::vector<Workload> workloads = Parsed(R"(# the node
- cgroup: /sys/fs/cgroup//pods/web/
  namespace: shop
  pod: web-1
  podUID: u-1
  container: main
  containerID: abc
  image: docker.io/library/nginx:1.25
  labels: {app: web, "k8s:tier": "1"}
- cgroup: /sys/fs/cgroup/cron.service
)");
  ASSERT_EQ(workloads.size(), 2u);
  const Workload& web = workloads[0];
  EXPECT_EQ(web.cgroup, "/sys/fs/cgroup/pods/web");
  EXPECT_EQ(web.Name(), "shop/web-1/main");
  EXPECT_EQ(web.pod_uid, "u-1");
  EXPECT_EQ(web.container_id, "abc");
  EXPECT_EQ(web.image, "docker.io/library/nginx:1.25");
  EXPECT_EQ(web.labels, (Labels{{"app", "web"}, {"k8s:tier", "1"}}));
  EXPECT_EQ(web.source, Source::kFile);
  EXPECT_FALSE(workloads[1].IsPod());
}

TEST(WorkloadsFile, NothingIsNoWorkloads) {
  EXPECT_TRUE(Parsed("").empty());
  EXPECT_TRUE(Parsed("# none yet\n").empty());
  EXPECT_TRUE(Parsed("[]\n").empty());
}

TEST(WorkloadsFile, NamesThePlaceOfEachError) {
  EXPECT_THAT(Wrong("- cgroup: /sys/fs/cgroup/a\n  podd: x\n"),
              testing::ElementsAre(AllOf(StartsWith("w.yaml:2:3: [0]: "), HasSubstr("podd"))));
  EXPECT_THAT(Wrong("- pod: x\n- cgroup: /sys/fs/cgroup/a\n  labels: {a: 1}\n"),
              testing::ElementsAre(HasSubstr("cgroup is missing"),
                                   AllOf(StartsWith("w.yaml:3:"), HasSubstr("[1].labels.a"))));
  EXPECT_THAT(Wrong("- cgroup: /sys/fs/cgroup/a\n- cgroup: /sys/fs/cgroup/b/../c\n"),
              testing::ElementsAre(AllOf(StartsWith("w.yaml:2:"), HasSubstr("\"..\""))));
  EXPECT_THAT(Wrong("- cgroup: /sys/fs/cgroup/a\n  pod: a/b\n"),
              testing::ElementsAre(AllOf(HasSubstr("pod"), HasSubstr("a/b"))));
  EXPECT_THAT(Wrong("- cgroup: /sys/fs/cgroup/a\n- cgroup: /sys/fs/cgroup/./a\n"),
              testing::ElementsAre(AllOf(StartsWith("w.yaml:2:"), HasSubstr("first on line 1"))));
  EXPECT_THAT(Wrong("- cgroup: /sys/fs/cgroup\n"), testing::ElementsAre(HasSubstr("root cgroup")));
}

TEST(WorkloadsFile, RefusesWhatIsNoListOfWorkloads) {
  EXPECT_FALSE(Wrong("cgroup: /sys/fs/cgroup/a\n").empty());
  EXPECT_FALSE(Wrong("- /sys/fs/cgroup/a\n").empty());
  EXPECT_FALSE(Wrong("- cgroup: [a]\n").empty());
  EXPECT_FALSE(Wrong("- cgroup: /sys/fs/cgroup/a\n  cgroup: /sys/fs/cgroup/b\n").empty());
  EXPECT_FALSE(Wrong("- cgroup: /sys/fs/cgroup/a\n  labels: {a: b, a: c}\n").empty());
  EXPECT_FALSE(Wrong("- {").empty());
  EXPECT_THAT(Wrong("- cgroup: /sys/fs/cgroup/a\n---\n- cgroup: /sys/fs/cgroup/b\n"),
              testing::ElementsAre(HasSubstr("second document")));
}

}  // namespace
}  // namespace gatehouse::workload
