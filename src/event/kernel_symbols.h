// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "event/symbols.h"

namespace gatehouse::event {

/// Functions of the kernel, from /proc/kallsyms: read when first asked, some 4 MB. Those that the
/// kernel was built with stay where they are until it ends. Modules and programs of BPF come and
/// go: what is asked about them is answered by a table that is at most `kAgeMax` old. One thread.
class KernelSymbols {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::seconds kAgeMax{10};

  explicit KernelSymbols(std::string path = "/proc/kallsyms") : path_(std::move(path)) {}

  /// Names the functions that call, the frames' addresses being where they are returned to; see
  /// SymbolSource. `now` is given by tests. False: the kernel keeps its addresses secret, as
  /// sysctl kernel.kptr_restrict and CAP_SYSLOG say.
  [[nodiscard]] bool Name(std::vector<Frame>* frames, Clock::time_point now = Clock::now());

 private:
  struct Function {
    uint64_t address = 0;
    uint32_t name = 0;  // where it begins in names_; it ends with a NUL
  };
  void Read();
  /// Null: none is known that has the instruction before `address`.
  [[nodiscard]] const Function* Find(uint64_t address) const;
  [[nodiscard]] bool IsBuiltIn(uint64_t address) const {
    return first_ < address && address <= last_;
  }

  std::string path_;
  std::vector<Function> functions_;  // ascending by address
  std::string names_;
  uint64_t first_ = 0, last_ = 0;  // of those that the kernel was built with
  bool was_read_ = false;
  Clock::time_point read_at_;
};

}  // namespace gatehouse::event
