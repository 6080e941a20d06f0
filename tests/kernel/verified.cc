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
constexpr std::array<Recorded, 26> kRecorded{{
    {"gate_lsm", 193'367, 193'472, 197'570},
    {"gate_fmod_ret", 0, 0, 197'593},
    {"gate_fentry", 193'569, 193'674, 197'596},
    {"gate_fexit", 193'621, 193'332, 197'628},
    {"gate_raw", 193'119, 193'212, 164'707},
    {"gate_record", 0, 193'717, 197'631},
    {"gate_uprobe", 0, 193'472, 197'550},
    {"gate_uretprobe", 0, 193'693, 197'628},
    {"keep_call", 0, 45'190, 45'209},
    {"gate_usdt", 0, 0, 198'037},
    {"gate_loader", 0, 0, 197'623},
    {"gate_prepare", 0, 0, 201'707},
    {"gate_exec", 197'443, 197'488, 0},
    {"gate_enter", 192'434, 192'409, 197'658},
    {"gate_leave", 192'359, 192'334, 197'582},
    {"hash_file", 0, 0, 95},
    {"hash_program", 0, 0, 96},
    {"entered", 0, 20, 20},
    {"process_exec", 0, 48'859, 48'222},
    {"process_exit", 0, 44'485, 44'485},
    {"lineage_execve", 0, 39'879, 34'606},
    {"lineage_exec", 0, 42'596, 37'342},
    {"lineage_fork", 0, 92, 92},
    {"lineage_exit", 0, 13, 13},
    {"cgroup_created", 0, 47, 47},
    {"cgroup_gone", 0, 14, 14},
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
