// SPDX-License-Identifier: Apache-2.0
#include <utility>

#include "bind/test_documents.h"
#include "design.h"
#include "engine.h"

namespace gatehouse::bench {
namespace {

class Gatehouse : public Design {
 public:
  explicit Gatehouse(const DesignOptions& options) : options_(options) {}

  Result<void> Load() {
    kernel::Options options;
    options.backend = options_.backend;
    options.base_events = options_.base_events;
    GH_ASSIGN(engine_, Engine::Start(options));
    return {};
  }

  [[nodiscard]] const char* name() const override { return "gatehouse"; }

  [[nodiscard]] Result<void> AddWorkloads(std::span<const Workload> workloads) override {
    return engine_->AddWorkloads(workloads);
  }
  void RemoveWorkloads(std::span<const Workload> workloads) override {
    engine_->RemoveWorkloads(workloads);
  }

  [[nodiscard]] Result<void> AddPolicies(std::span<const Policy> policies) override {
    return engine_->Change([&](bind::Resolver::Transaction& transaction) -> Result<void> {
      for (const Policy& policy : policies) GH_TRY(transaction.Add(Document(policy)));
      return {};
    });
  }

  [[nodiscard]] Result<void> ReplacePolicy(const Policy& policy) override {
    return engine_->Change([&](bind::Resolver::Transaction& transaction) {
      return transaction.Replace(Document(policy));
    });
  }

  [[nodiscard]] Result<void> RemovePolicies(std::span<const Policy> policies) override {
    return engine_->Change([&](bind::Resolver::Transaction& transaction) -> Result<void> {
      for (const Policy& policy : policies) GH_TRY(transaction.Remove({NameOf(policy.number), ""}));
      return {};
    });
  }

  [[nodiscard]] std::vector<uint32_t> GatePrograms() const override {
    return engine_->GatePrograms();
  }

  void DrainEvents() override {
    (void)engine_->kernel().PollEvents(std::chrono::milliseconds(0),
                                       [](std::span<const std::byte>) {});
  }

 private:
  static std::string NameOf(uint32_t number) { return "policy-" + std::to_string(number); }

  [[nodiscard]] policy::Document Document(const Policy& policy) const {
    std::vector<policy::Action> actions{test::Deny()};
    if (!options_.post_denials) actions.push_back({.kind = policy::ActionKind::kNoPost});
    policy::Spec spec;
    spec.hooks.push_back(test::ExecHook(
        {test::Selector({test::ObjectFilter(policy.of_patterns ? policy::Operator::kNotGlob
                                                               : policy::Operator::kNotIn,
                                            policy.allowed)},
                        std::move(actions))}));
    return test::PolicyDocument(NameOf(policy.number), Engine::Selecting(policy.number),
                                std::move(spec));
  }

  const DesignOptions options_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace

Result<std::unique_ptr<Design>> StartGatehouse(const DesignOptions& options) {
  auto design = std::make_unique<Gatehouse>(options);
  GH_TRY(design->Load());
  return design;
}

}  // namespace gatehouse::bench
