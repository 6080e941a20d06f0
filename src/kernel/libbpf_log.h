// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace gatehouse::kernel {

/// Collects what libbpf and the verifier say while it lives, instead of letting it go to stderr.
/// libbpf has one print function for the process: captures must not overlap between threads.
class LibbpfLog {
 public:
  LibbpfLog();
  ~LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;

  /// The last `lines` lines, preceded by how many were left out.
  [[nodiscard]] std::string Tail(size_t lines = 12) const;
};

}  // namespace gatehouse::kernel
