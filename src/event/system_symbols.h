// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "event/kernel_symbols.h"
#include "event/symbols.h"

namespace gatehouse::event {

/// The machine's names. What programs are called is looked up by a thread of its own, as files of
/// a program can be where its owner lets readers wait: who asks waits for `patience` at most, and
/// as long as the thread has not come back, nothing more is asked. One thread may ask.
class SystemSymbols final : public SymbolSource {
 public:
  using NameFunction = std::function<bool(const ProgramId&, std::vector<Frame>*)>;

  /// By proc(5), a quarter of a second.
  SystemSymbols();
  /// For tests.
  SystemSymbols(NameFunction name_program, std::chrono::milliseconds patience);
  SystemSymbols(const SystemSymbols&) = delete;
  SystemSymbols& operator=(const SystemSymbols&) = delete;
  /// Waits for nobody: a thread that has not come back ends by itself.
  ~SystemSymbols() override;

  [[nodiscard]] bool NameKernel(std::vector<Frame>* frames) override;
  [[nodiscard]] bool NameProgram(const ProgramId& program, std::vector<Frame>* frames) override;

 private:
  struct State;
  static void Run(const std::shared_ptr<State>& state);

  KernelSymbols kernel_;
  const std::chrono::milliseconds patience_;
  std::shared_ptr<State> state_;
};

}  // namespace gatehouse::event
