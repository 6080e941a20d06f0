// SPDX-License-Identifier: Apache-2.0
#include "workload/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace gatehouse::workload {
namespace {

using testing::HasSubstr;

constexpr char kRoot[] = "/sys/fs/cgroup";

Workload At(std::string cgroup) {
  Workload workload;
  workload.cgroup = std::move(cgroup);
  return workload;
}

Workload ContainerAt(std::string cgroup, std::string pod = "web") {
  Workload workload = At(std::move(cgroup));
  workload.ns = "shop";
  workload.pod = std::move(pod);
  workload.container = "main";
  return workload;
}

TEST(NormalizeCgroup, WritesAPathInOneWay) {
  EXPECT_EQ(NormalizeCgroup("/sys/fs/cgroup/a/b", kRoot).value(), "/sys/fs/cgroup/a/b");
  EXPECT_EQ(NormalizeCgroup("//sys/./fs//cgroup/a/", kRoot).value(), "/sys/fs/cgroup/a");
  EXPECT_EQ(NormalizeCgroup("/sys/fs/cgroup/...", kRoot).value(), "/sys/fs/cgroup/...");
}

TEST(NormalizeCgroup, RefusesWhatIsNotBelowTheRoot) {
  for (const char* path :
       {"", "a/b", "/", "/sys/fs/cgroup", "/sys/fs/cgroup/", "/sys/fs/cgroup/.",
        "/sys/fs/cgroup2/a", "/sys/fs", "/sys/fs/cgroup/a/../..", "/sys/fs/cgroup/../cgroup/a"}) {
    EXPECT_FALSE(NormalizeCgroup(path, kRoot)) << path;
  }
  EXPECT_FALSE(NormalizeCgroup(std::string("/sys/fs/cgroup/a\0b", 18), kRoot));
  EXPECT_FALSE(NormalizeCgroup("/sys/fs/cgroup/" + std::string(4096, 'a'), kRoot));
  EXPECT_THAT(NormalizeCgroup("/sys/fs/cgroup", kRoot).error().Message(), HasSubstr("root cgroup"));
}

TEST(Workload, NameAndRepo) {
  Workload workload = ContainerAt("/sys/fs/cgroup/a");
  EXPECT_EQ(workload.Name(), "shop/web/main");
  workload.ns.clear();
  EXPECT_EQ(workload.Name(), "web/main");
  EXPECT_EQ(At("/sys/fs/cgroup/a").Name(), "/sys/fs/cgroup/a");

  const auto repo = [](std::string image) {
    Workload w;
    w.image = std::move(image);
    return std::string(w.Repo());
  };
  EXPECT_EQ(repo("nginx"), "nginx");
  EXPECT_EQ(repo("docker.io/library/nginx:1.25"), "docker.io/library/nginx");
  EXPECT_EQ(repo("registry:5000/nginx"), "registry:5000/nginx");
  EXPECT_EQ(repo("registry:5000/nginx:1@sha256:00"), "registry:5000/nginx");
  EXPECT_EQ(repo(""), "");
}

TEST(Registry, CountsIdsFromOneAndNeverReusesThem) {
  Registry registry(kRoot);
  EXPECT_EQ((*registry.Add(At("/sys/fs/cgroup/a")))->id, 1u);
  EXPECT_EQ((*registry.Add(At("/sys/fs/cgroup/b")))->id, 2u);
  ASSERT_TRUE(registry.Remove(2));
  EXPECT_EQ((*registry.Add(At("/sys/fs/cgroup/b")))->id, 3u);
}

TEST(Registry, FindsByIdPathAndName) {
  Registry registry(kRoot);
  const WorkloadPtr added = *registry.Add(ContainerAt("/sys/fs/cgroup//a/"));
  EXPECT_EQ(added->cgroup, "/sys/fs/cgroup/a");
  EXPECT_EQ(registry.Find(added->id), added);
  EXPECT_EQ(registry.Find("/sys/fs/cgroup/a/"), added);
  EXPECT_EQ(registry.Find("shop/web/main"), added);
  EXPECT_EQ(registry.Find("shop/web"), nullptr);
  EXPECT_EQ(registry.Find("/sys/fs/cgroup/b"), nullptr);
  EXPECT_EQ(registry.Find(WorkloadId{0}), nullptr);
}

TEST(Registry, TheLatestOfANameIsFound) {
  Registry registry(kRoot);
  const WorkloadPtr old = *registry.Add(ContainerAt("/sys/fs/cgroup/a"));
  const WorkloadPtr successor = *registry.Add(ContainerAt("/sys/fs/cgroup/b"));
  EXPECT_EQ(registry.Find("shop/web/main"), successor);
  ASSERT_TRUE(registry.Remove(successor->id));
  EXPECT_EQ(registry.Find("shop/web/main"), old);
}

TEST(Registry, RefusesACgroupThatIsThereAlready) {
  Registry registry(kRoot);
  ASSERT_TRUE(registry.Add(At("/sys/fs/cgroup/a")));
  const auto again = registry.Add(At("/sys/fs/cgroup/./a"));
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kExists);
  EXPECT_TRUE(registry.Add(At("/sys/fs/cgroup/a/b"))) << "workloads may be nested";
}

TEST(Registry, RefusesBadNamesAndLabels) {
  Registry registry(kRoot);
  const auto refuses = [&](auto change) {
    Workload workload = ContainerAt("/sys/fs/cgroup/a");
    change(workload);
    return !registry.Add(std::move(workload)).has_value();
  };
  EXPECT_TRUE(refuses([](Workload& w) { w.pod = "a/b"; }));
  EXPECT_TRUE(refuses([](Workload& w) { w.ns = "a b"; }));
  EXPECT_TRUE(refuses([](Workload& w) { w.container = std::string(254, 'a'); }));
  EXPECT_TRUE(refuses([](Workload& w) { w.image = "a\nb"; }));
  EXPECT_TRUE(refuses([](Workload& w) { w.labels[""] = "x"; }));
  EXPECT_TRUE(refuses([](Workload& w) { w.labels["a"] = "x\ty"; }));
  EXPECT_TRUE(refuses([](Workload& w) { w.labels[std::string(kNamespaceLabel)] = "bank"; }));
  EXPECT_TRUE(registry.List().empty());
  EXPECT_FALSE(refuses([](Workload& w) { w.labels["app.kubernetes.io/name"] = ""; }));
}

TEST(Registry, UpdatesAllButTheCgroup) {
  Registry registry(kRoot);
  const WorkloadPtr old = *registry.Add(ContainerAt("/sys/fs/cgroup/a"));
  const WorkloadPtr labelled = *registry.ReplaceLabels(old->id, {{"app", "web"}});
  EXPECT_TRUE(old->labels.empty()) << "a snapshot does not change";
  EXPECT_EQ(registry.Find(old->id), labelled);
  Workload renamed = *labelled;
  renamed.pod = "db";
  ASSERT_TRUE(registry.Update(renamed));
  EXPECT_EQ(registry.Find("shop/web/main"), nullptr);
  EXPECT_EQ(registry.Find("shop/db/main")->labels.at("app"), "web");
  renamed.cgroup = "/sys/fs/cgroup/b";
  EXPECT_FALSE(registry.Update(renamed));
  EXPECT_FALSE(registry.ReplaceLabels(old->id, {{"", ""}}));
  EXPECT_FALSE(registry.ReplaceLabels(99, {}));
  EXPECT_EQ(registry.Find(old->id)->labels.at("app"), "web");
}

TEST(Registry, RemembersTheLastThatWereRemoved) {
  Registry registry(kRoot);
  for (int i = 0; i <= 4096; ++i) {
    const WorkloadPtr added = *registry.Add(At("/sys/fs/cgroup/a"));
    ASSERT_TRUE(registry.Remove(added->id));
  }
  EXPECT_EQ(registry.Find(WorkloadId{2}), nullptr);
  EXPECT_NE(registry.FindRecent(2), nullptr);
  EXPECT_EQ(registry.FindRecent(1), nullptr) << "gone for long";
  EXPECT_FALSE(registry.Remove(2));
}

TEST(Registry, RestoresWhatALaterStepRefused) {
  Registry registry(kRoot);
  const WorkloadPtr original = *registry.Add(ContainerAt("/sys/fs/cgroup/a"));
  const WorkloadPtr removed = *registry.Remove(original->id);
  registry.Restore(removed);
  EXPECT_EQ(registry.Find("shop/web/main"), original);
  ASSERT_TRUE(registry.ReplaceLabels(original->id, {{"app", "web"}}));
  registry.Restore(original);
  EXPECT_TRUE(registry.Find(original->id)->labels.empty());
  EXPECT_EQ(registry.List().size(), 1u);
  EXPECT_FALSE(registry.Add(At("/sys/fs/cgroup/a")));
}

}  // namespace
}  // namespace gatehouse::workload
