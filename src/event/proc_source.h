// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace gatehouse::event {

/// Start times in /proc are in ticks of USER_HZ, which is 100 on every architecture we run on.
inline constexpr uint64_t kTickNs = 10'000'000;

/// What /proc says of a running process.
struct ProcProcess {
  uint32_t pid = 0;
  uint32_t parent_pid = 0;
  uint64_t start_ticks = 0;  ///< of CLOCK_BOOTTIME
  uint64_t start_stack = 0;  ///< of struct mm_struct; 0: there is none, or it is not ours to read
  uint32_t uid = 0;
  uint32_t auid = 0;
  uint32_t ns_pid = 0;      ///< in its own pid namespace
  std::string binary = {};  ///< empty: a kernel thread, or not ours to read
  std::string args = {};    ///< argv with argv[0], separated by NUL
  std::string cwd = {};
};

/// Where running processes are looked up; a fake in tests.
class ProcSource {
 public:
  virtual ~ProcSource() = default;
  /// None if the process is gone or unreadable.
  [[nodiscard]] virtual std::optional<ProcProcess> Read(uint32_t pid) const = 0;
  [[nodiscard]] virtual std::vector<uint32_t> Pids() const = 0;
};

/// proc(5), mounted at `root`. Any thread.
class ProcFilesystem final : public ProcSource {
 public:
  explicit ProcFilesystem(std::string root = "/proc") : root_(std::move(root)) {}
  [[nodiscard]] std::optional<ProcProcess> Read(uint32_t pid) const override;
  [[nodiscard]] std::vector<uint32_t> Pids() const override;

 private:
  std::string root_;
};

}  // namespace gatehouse::event
