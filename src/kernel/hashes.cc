// SPDX-License-Identifier: Apache-2.0
#include "kernel/hashes.h"

#include <bpf/libbpf.h>
#include <unistd.h>

#include <memory>

#include "bpf/probe.skel.h"
#include "kernel/attachable.h"
#include "kernel/libbpf_log.h"
#include "kernel/preemption.h"

namespace gatehouse::kernel {
namespace {

/// Whether of two programs on an LSM hook the one that came later is called first, as since 5.5:
/// the gate, which comes later, must have judged before the hash is told.
bool LaterGoesFirst() {
  const LibbpfLog log;
  using Link = std::unique_ptr<bpf_link, decltype(&bpf_link__destroy)>;
  const std::unique_ptr<probe_bpf, decltype(&probe_bpf::destroy)> probe(probe_bpf::open(),
                                                                        &probe_bpf::destroy);
  if (!probe) return false;
  probe->rodata->caller = static_cast<uint32_t>(getpid());
  bpf_program__set_autoload(probe->progs.probe_fmod_ret, false);
  bpf_program__set_autoload(probe->progs.probe_signal, false);
  if (probe_bpf::load(probe.get()) != 0) return false;
  const Link earlier(bpf_program__attach(probe->progs.probe_lsm), &bpf_link__destroy);
  const Link later(bpf_program__attach(probe->progs.probe_later), &bpf_link__destroy);
  if (!earlier || !later) return false;
  (void)getpgid(getpid());
  return probe->bss->runs == 1 && probe->bss->later_was_first == 1;
}

}  // namespace

Result<void> CheckHash(const std::string& object, const Plan& plan, const KernelTypes& types) {
  const auto refuse = [&](const std::string& cause, const std::string& remedy) {
    return Fail(ErrorCode::kUnsupported, object, "imaHash is not possible: " + cause, remedy);
  };
  if (plan.way != Way::kLsm) {
    return refuse("it needs a program of BPF LSM", "use backend lsm, and a hook in lsmhooks");
  }
  const std::string& first =
      plan.parameters.empty() ? std::string() : plan.parameters.front().pointee;
  if (first != "file" && first != "linux_binprm") {
    return refuse("the first argument of the hook is no file",
                  "use a hook such as mmap_file or bprm_check_security");
  }
  if (plan.target == "file_open") {
    return refuse("there the file is not open yet, and the kernel reads open files only",
                  "use a hook such as mmap_file, file_lock or bprm_check_security");
  }
  if (types.FindFunction("ima_file_hash") < 0) {
    return refuse("the kernel is built without CONFIG_IMA", "use a kernel that has it");
  }
  if (VersionOf(ReadPreemptionFacts().release) < std::pair{6, 2}) {
    return refuse("it needs kernel 6.2 or later, as older ones may leave out a program that sleeps",
                  "use a newer kernel");
  }
  const int hook = types.FindFunction(HookOfLsm(plan.target));
  if (!TakesProgram(BPF_PROG_TYPE_LSM, BPF_LSM_MAC, static_cast<uint32_t>(hook), true)) {
    return refuse("the kernel lets no program sleep on this hook",
                  "use a hook such as mmap_file or bprm_check_security");
  }
  if (!LaterGoesFirst()) {
    return refuse("this kernel calls programs in an order that the agent does not know",
                  "report it, with the kernel's version");
  }
  return {};
}

}  // namespace gatehouse::kernel
