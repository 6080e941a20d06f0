// SPDX-License-Identifier: Apache-2.0
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <linux/capability.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>

#include "bpf/probe.skel.h"
#include "kernel/kernel.h"
#include "kernel/libbpf_log.h"
#include "kernel/preemption.h"

namespace gatehouse::kernel {
namespace {

using Probe = std::unique_ptr<probe_bpf, decltype(&probe_bpf::destroy)>;

struct Way {
  Backend backend;
  const char* target;  // a BTF function or tracepoint that has to be there
  uint32_t target_kind;
  const char* missing;  // why it can be missing, and what to do
  const char* load;     // what a refused load means
  const char* attach;
  const char* silent;  // loaded and attached, but never called; null: not provoked
};

constexpr Way kWays[] = {
    {Backend::kLsm, "bpf_lsm_task_getpgid", BTF_KIND_FUNC,
     "the kernel is built without CONFIG_BPF_LSM", "the kernel refuses BPF LSM programs",
     "the kernel refuses to attach BPF LSM programs",
     "BPF LSM is built in but not active; add \"bpf\" to lsm= on the kernel command line"},
    {Backend::kFmodRet, "security_task_getpgid", BTF_KIND_FUNC,
     "the kernel's BTF does not name security_* functions", "the kernel refuses fmod_ret programs",
     "the kernel refuses to attach fmod_ret programs",
     "an attached fmod_ret program was not called; the kernel's LSM functions may be inlined"},
    {Backend::kSignal, "btf_trace_sched_process_exec", BTF_KIND_TYPEDEF,
     "the kernel's BTF does not name the tracepoint sched_process_exec",
     "the kernel refuses BPF programs on raw tracepoints",
     "the kernel refuses to attach to raw tracepoints", nullptr},
};

bpf_program* ProgramOf(probe_bpf& probe, Backend backend) {
  switch (backend) {
    case Backend::kLsm:
      return probe.progs.probe_lsm;
    case Backend::kFmodRet:
      return probe.progs.probe_fmod_ret;
    case Backend::kSignal:
      return probe.progs.probe_signal;
  }
  return nullptr;
}

/// Whether this process may load tracing programs at all (capabilities(7): CAP_SYS_ADMIN, or
/// CAP_BPF with CAP_PERFMON since Linux 5.8).
bool HasCapabilities() {
  std::ifstream status("/proc/self/status");
  uint64_t effective = 0;
  for (std::string word; status >> word;) {
    if (word == "CapEff:") status >> std::hex >> effective;
  }
  const auto has = [effective](int capability) { return (effective >> capability & 1) != 0; };
  return has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON));
}

std::string Because(const char* what, int error) {
  error = error < 0 ? -error : error;
  std::string text(what);
  text += ": ";
  text += strerror(error);
  if (error == EPERM && !HasCapabilities()) {
    text += "; this process has neither CAP_SYS_ADMIN nor CAP_BPF with CAP_PERFMON: run it as root";
  }
  return text;
}

/// Empty if the way works, else the reason. Sets `reattaches` if it works.
std::string Try(const btf* kernel_btf, const Way& way, bool& reattaches) {
  if (btf__find_by_name_kind(kernel_btf, way.target, way.target_kind) < 0) return way.missing;
  Probe probe(probe_bpf::open(), &probe_bpf::destroy);
  if (!probe) return Because("cannot open the probe", errno);
  probe->rodata->caller = static_cast<uint32_t>(getpid());
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, probe->obj) bpf_program__set_autoload(program, false);
  program = ProgramOf(*probe, way.backend);
  bpf_program__set_autoload(program, true);
  if (const int error = probe_bpf::load(probe.get()); error != 0) return Because(way.load, error);
  std::unique_ptr<bpf_link, decltype(&bpf_link__destroy)> link(bpf_program__attach(program),
                                                               &bpf_link__destroy);
  if (!link) return Because(way.attach, errno);
  if (way.silent != nullptr) {
    (void)getpgid(getpid());
    if (probe->bss->runs == 0) return way.silent;
  }
  link.reset();
  link.reset(bpf_program__attach(program));
  reattaches = link != nullptr;
  const PreemptionFacts facts = ReadPreemptionFacts();
  if (SkipsWhenPreempted(way.backend, facts.release) && IsFullyPreemptible(facts)) {
    return "this kernel is fully preemptible, and leaves out a program that another task was "
           "preempted in; boot with preempt=voluntary, or use lsm on kernel 6.2 or later";
  }
  return {};
}

}  // namespace

const char* BackendName(Backend backend) {
  switch (backend) {
    case Backend::kLsm:
      return "lsm";
    case Backend::kFmodRet:
      return "fmod_ret";
    case Backend::kSignal:
      return "signal";
  }
  return "";
}

std::vector<BackendProbe> ProbeBackends() {
  const LibbpfLog log;
  const std::unique_ptr<btf, decltype(&btf__free)> kernel_btf(btf__load_vmlinux_btf(), &btf__free);
  std::vector<BackendProbe> probes;
  for (const Way& way : kWays) {
    bool reattaches = false;
    const std::string reason =
        kernel_btf
            ? Try(kernel_btf.get(), way, reattaches)
            : Because("the kernel has no BTF (CONFIG_DEBUG_INFO_BTF), /sys/kernel/btf/vmlinux",
                      errno);
    probes.push_back(BackendProbe{way.backend, reason.empty(), reason, reattaches});
  }
  return probes;
}

}  // namespace gatehouse::kernel
