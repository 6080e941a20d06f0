// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "kernel/kernel.h"

namespace gatehouse::test {

/// Instructions that the verifier walked through, of all programs of one name: of each
/// specialisation that was loaded.
struct Verified {
  std::string program;
  uint64_t programs = 0;
  uint64_t least = 0;
  uint64_t most = 0;
};

/// Of what is loaded, by name; without those that the kernel tells nothing of.
[[nodiscard]] std::vector<Verified> VerifiedOf(const std::vector<kernel::ProgramStatus>& programs);

/// What it was when it was last looked at, on Debian's kernels; 0: it was not. More than a quarter
/// above it is a failure: find out why, and write the new number down there and in
/// docs/verifier.md.
[[nodiscard]] uint64_t RecordedOf(const std::string& program, const std::string& release);

}  // namespace gatehouse::test
