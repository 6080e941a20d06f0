// SPDX-License-Identifier: Apache-2.0
#include "kernel/entering.h"

#include <bpf/bpf.h>

#include <atomic>
#include <cerrno>
#include <string>

#include "kernel/libbpf_log.h"
#include "kernel/proc.h"

namespace gatehouse::kernel {
namespace {

constexpr const char* kProc = "/proc";

/// Programs count it down, too.
void AddTo(uint32_t& number, int32_t value) {
  std::atomic_ref(number).fetch_add(static_cast<uint32_t>(value));
}

}  // namespace

Result<void> Entering::Start() {
  if (skeleton_) return {};
  const LibbpfLog log;
  GH_ASSIGN(Skeleton skeleton, OpenSharing(shared_));
  bpf_program* const program = skeleton->progs.entered;
  bpf_program__set_autoload(program, true);
  if (const int error = gatehouse_bpf::load(skeleton.get()); error != 0) {
    return FailErrno("entering", "the kernel refuses the program", -error, log.Tail());
  }
  Link link(bpf_program__attach(program));
  if (!link) return FailErrno("entering", "cannot attach", errno, log.Tail());
  skeleton_ = std::move(skeleton);
  link_ = std::move(link);
  return {};
}

Result<void> Entering::Add(pid_t pid) {
  GH_TRY(Start());
  Expire();
  const auto key = static_cast<uint32_t>(pid);
  GH_ASSIGN(const ProcessStat stat, ReadStat(kProc, key));
  AddTo(shared_.bss->n_entering, 1);
  if (bpf_map_update_elem(bpf_map__fd(shared_.maps.entering), &key, &stat.start_ticks,
                          BPF_NOEXIST) == 0) {
    return {};
  }
  const int error = errno;
  AddTo(shared_.bss->n_entering, -1);
  if (error == EEXIST) return {};
  return FailErrno("process/" + std::to_string(pid), "cannot be noted", error);
}

void Entering::Expire() const {
  if (std::atomic_ref(shared_.bss->n_entering).load() == 0) return;
  const int map = bpf_map__fd(shared_.maps.entering);
  std::vector<uint32_t> ended;
  uint32_t pid = 0;
  for (const uint32_t* before = nullptr; bpf_map_get_next_key(map, before, &pid) == 0;
       before = &pid) {
    uint64_t start_ticks = 0;
    if (bpf_map_lookup_elem(map, &pid, &start_ticks) != 0) continue;
    const Result<ProcessStat> stat = ReadStat(kProc, pid);
    if (!stat || stat->start_ticks != start_ticks) ended.push_back(pid);
  }
  for (const uint32_t each : ended) {
    if (bpf_map_delete_elem(map, &each) == 0) AddTo(shared_.bss->n_entering, -1);
  }
}

std::vector<ProgramStatus> Entering::programs() const {
  return skeleton_ ? ProgramsIn(*skeleton_) : std::vector<ProgramStatus>();
}

}  // namespace gatehouse::kernel
