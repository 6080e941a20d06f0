// SPDX-License-Identifier: Apache-2.0
#include "verified.h"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

namespace gatehouse::test {
namespace {

struct Recorded {
  std::string_view program;
  uint64_t on_5_10, on_6_1, on_6_12;
};

/// The most of any specialisation that the tests load, with any backend.
constexpr std::array<Recorded, 1> kRecorded{{
    {"gate_lsm", 0, 0, 0},
}};

}  // namespace

std::vector<Verified> VerifiedOf(const std::vector<kernel::ProgramStatus>& programs) {
  std::map<std::string, Verified> by_name;
  for (const kernel::ProgramStatus& program : programs) {
    const uint64_t instructions = program.verified_instructions;
    if (instructions == 0) continue;
    Verified& verified = by_name[program.name];
    if (verified.programs++ == 0) verified.least = instructions;
    verified.least = std::min(verified.least, instructions);
    verified.most = std::max(verified.most, instructions);
  }
  std::vector<Verified> all;
  for (auto& [name, verified] : by_name) {
    verified.program = name;
    all.push_back(verified);
  }
  return all;
}

uint64_t RecordedOf(const std::string& program, const std::string& release) {
  const auto found = std::ranges::find(kRecorded, program, &Recorded::program);
  if (found == kRecorded.end()) return 0;
  if (release.starts_with("5.10.")) return found->on_5_10;
  if (release.starts_with("6.1.")) return found->on_6_1;
  return release.starts_with("6.12.") ? found->on_6_12 : 0;
}

}  // namespace gatehouse::test
