// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

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

}  // namespace gatehouse::kernel
