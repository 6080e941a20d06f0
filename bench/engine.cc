// SPDX-License-Identifier: Apache-2.0
#include "engine.h"

#include <set>
#include <string>

#include "bind/test_documents.h"

namespace gatehouse::bench {
namespace {

std::string LabelOf(uint32_t workload) { return "app-" + std::to_string(workload); }

workload::WorkloadPtr Describe(const Workload& workload) {
  const std::string label = LabelOf(workload.number);
  workload::Workload pod = test::Pod(Engine::IdOf(workload.number), label, {{"app", label}});
  pod.cgroup = workload.cgroup;
  return test::Share(std::move(pod));
}

}  // namespace

policy::WorkloadSelector Engine::Selecting(uint32_t workload) {
  return test::Pods({test::In("app", {LabelOf(workload)})});
}

Result<void> Engine::AddWorkloads(std::span<const Workload> workloads) {
  for (const Workload& workload : workloads) {
    auto tracked = kernel_->Track(IdOf(workload.number), workload.cgroup);
    if (!tracked) return tl::unexpected(std::move(tracked).error());
  }
  return Change([&](bind::Resolver::Transaction& transaction) -> Result<void> {
    for (const Workload& workload : workloads) transaction.PutWorkload(Describe(workload));
    return {};
  });
}

void Engine::RemoveWorkloads(std::span<const Workload> workloads) {
  (void)Change([&](bind::Resolver::Transaction& transaction) -> Result<void> {
    for (const Workload& workload : workloads) transaction.RemoveWorkload(IdOf(workload.number));
    return {};
  });
  for (const Workload& workload : workloads) kernel_->Untrack(IdOf(workload.number));
}

std::vector<uint32_t> Engine::GatePrograms() const {
  std::set<uint32_t> ids;
  for (const kernel::HookStatus& hook : kernel_->status().hooks) {
    if (hook.attached) ids.insert(hook.program_id);
  }
  return {ids.begin(), ids.end()};
}

}  // namespace gatehouse::bench
