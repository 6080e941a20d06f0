// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

struct bpf_program;

namespace gatehouse::kernel {

/// Collects what libbpf and the verifier say in this thread while it lives, instead of letting it
/// go to stderr. Of several, the innermost collects.
class LibbpfLog {
 public:
  LibbpfLog();
  ~LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;

  /// The last `lines` lines, preceded by how many were left out.
  [[nodiscard]] std::string Tail(size_t lines = 12) const;

 private:
  std::string text_;
  std::string* const outer_;
};

/// Has the kernel say how much work a program, which must outlive this, is for its verifier. What
/// is wrong with a program that is refused is then not said.
class VerifierStats {
 public:
  explicit VerifierStats(bpf_program* program);
  /// Instructions that it walked through; 0 before the program is loaded.
  [[nodiscard]] uint64_t instructions() const;

 private:
  std::vector<char> text_;
};

}  // namespace gatehouse::kernel
