// SPDX-License-Identifier: Apache-2.0
// How long the resolver takes with many policies and many workloads, each policy about one
// workload.
#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstdlib>
#include <memory>
#include <random>

#include "bind/resolver.h"
#include "bind/test_documents.h"

namespace gatehouse::bind {
namespace {

using namespace gatehouse::test;

constexpr int kValuesPerPolicy = 50;
constexpr int kStrings = 2000;

enum class Shape { kPolicies, kBindings };

/// 50 values drawn from 2,000 strings.
std::vector<std::string> DrawValues(std::mt19937& random) {
  std::vector<std::string> values;
  values.reserve(kValuesPerPolicy);
  for (int i = 0; i < kValuesPerPolicy; ++i) {
    values.push_back("/usr/local/bin/program-" + std::to_string(random() % kStrings));
  }
  return values;
}

std::string InstanceLabel(int64_t i) { return "instance-" + std::to_string(i); }

policy::Document DocumentAbout(Shape shape, const std::string& name, int64_t instance,
                               std::mt19937& random) {
  policy::WorkloadSelector selector = Pods({In("app", {"app-" + std::to_string(instance % 100)}),
                                            In("instance", {InstanceLabel(instance)})});
  if (shape == Shape::kBindings) {
    return BindingDocument(name, "t", std::move(selector), DrawValues(random));
  }
  return PolicyDocument(name, std::move(selector), AllowList(DrawValues(random)));
}

workload::Workload WorkloadOf(WorkloadId id, int64_t instance) {
  return Pod(id, "pod-" + std::to_string(id),
             {{"app", "app-" + std::to_string(instance % 100)},
              {"instance", InstanceLabel(instance)},
              {"tier", "front"}});
}

/// A resolver, and the documents and workloads to put into it.
struct Node {
  Node(Shape shape, int64_t n) {
    std::mt19937 random(1);
    if (shape == Shape::kBindings) documents.push_back(AllowTemplate("t"));
    for (int64_t i = 1; i <= n; ++i) {
      documents.push_back(DocumentAbout(shape, "p" + std::to_string(i), i, random));
      workloads.push_back(Share(WorkloadOf(static_cast<WorkloadId>(i), i)));
    }
  }
  /// Everything in one transaction; the number of groups.
  size_t Load() {
    Resolver::Transaction transaction(resolver);
    for (const policy::Document& document : documents) Check(transaction.Add(document));
    for (const workload::WorkloadPtr& workload : workloads) transaction.PutWorkload(workload);
    return Finish(transaction);
  }
  static size_t Finish(Resolver::Transaction& transaction) {
    const auto delta = transaction.Stage();
    Check(delta);
    transaction.Commit();
    return delta->groups.size();
  }
  template <typename T>
  static void Check(const Result<T>& result) {
    if (!result) std::abort();
  }

  std::vector<policy::Document> documents;
  std::vector<workload::WorkloadPtr> workloads;
  compile::StringPool pool;
  compile::ValueSets sets{pool};
  Resolver resolver{sets, {}};
};

void LoadAll(benchmark::State& state, Shape shape) {
  for ([[maybe_unused]] auto _ : state) {
    state.PauseTiming();
    auto node = std::make_unique<Node>(shape, state.range(0));
    const size_t before = mallinfo2().uordblks;
    state.ResumeTiming();
    if (node->Load() != static_cast<size_t>(state.range(0))) std::abort();
    state.PauseTiming();
    state.counters["bytes_per_policy"] =
        static_cast<double>(mallinfo2().uordblks - before) / static_cast<double>(state.range(0));
    node.reset();
    state.ResumeTiming();
  }
}

void AddReplaceDeletePolicy(benchmark::State& state, Shape shape) {
  Node node(shape, state.range(0));
  node.Load();
  node.documents.clear();
  std::mt19937 random(2);
  const int64_t target = state.range(0) / 2;
  {
    Resolver::Transaction transaction(node.resolver);
    Node::Check(transaction.Remove({"p" + std::to_string(target), ""}));
    Node::Finish(transaction);
  }
  const policy::Document first = DocumentAbout(shape, "new", target, random);
  const policy::Document second = DocumentAbout(shape, "new", target, random);
  const auto change = [&](auto step) {
    Resolver::Transaction transaction(node.resolver);
    Node::Check(step(transaction));
    if (Node::Finish(transaction) != 1) std::abort();
  };
  for ([[maybe_unused]] auto _ : state) {
    change([&](auto& transaction) { return transaction.Add(first); });
    change([&](auto& transaction) { return transaction.Replace(second); });
    change([&](auto& transaction) { return transaction.Remove(first.key()); });
    for (const compile::StringId id : node.pool.TakeIdle()) node.pool.Erase(id);
  }
  state.SetItemsProcessed(3 * state.iterations());
}

void AddRemoveWorkload(benchmark::State& state, Shape shape) {
  Node node(shape, state.range(0));
  node.Load();
  const auto id = static_cast<WorkloadId>(state.range(0) + 1);
  const workload::WorkloadPtr workload = Share(WorkloadOf(id, 7));
  for ([[maybe_unused]] auto _ : state) {
    {
      Resolver::Transaction transaction(node.resolver);
      transaction.PutWorkload(workload);
      if (Node::Finish(transaction) != 1) std::abort();
    }
    Resolver::Transaction transaction(node.resolver);
    transaction.RemoveWorkload(id);
    if (Node::Finish(transaction) != 1) std::abort();
  }
  state.SetItemsProcessed(2 * state.iterations());
}

/// A policy about all workloads comes and goes.
void AddDeletePolicyAboutAll(benchmark::State& state, Shape shape) {
  Node node(shape, state.range(0));
  node.Load();
  const policy::Document all = PolicyDocument("all", Pods({}), AllowList({"/bin/true"}));
  for ([[maybe_unused]] auto _ : state) {
    {
      Resolver::Transaction transaction(node.resolver);
      Node::Check(transaction.Add(all));
      Node::Finish(transaction);
    }
    Resolver::Transaction transaction(node.resolver);
    Node::Check(transaction.Remove(all.key()));
    Node::Finish(transaction);
  }
  state.SetItemsProcessed(2 * state.iterations());
}

#define GATEHOUSE_BENCHMARK(name)                     \
  BENCHMARK_CAPTURE(name, policies, Shape::kPolicies) \
      ->Arg(100)                                      \
      ->Arg(10'000)                                   \
      ->Unit(benchmark::kMicrosecond);                \
  BENCHMARK_CAPTURE(name, bindings, Shape::kBindings) \
      ->Arg(100)                                      \
      ->Arg(10'000)                                   \
      ->Unit(benchmark::kMicrosecond)

GATEHOUSE_BENCHMARK(LoadAll);
GATEHOUSE_BENCHMARK(AddReplaceDeletePolicy);
GATEHOUSE_BENCHMARK(AddRemoveWorkload);
GATEHOUSE_BENCHMARK(AddDeletePolicyAboutAll);

}  // namespace
}  // namespace gatehouse::bind

BENCHMARK_MAIN();
