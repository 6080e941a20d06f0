// SPDX-License-Identifier: Apache-2.0
#include "kernel/skeleton.h"

#include <bpf/bpf.h>

#include <cerrno>
#include <string>

namespace gatehouse::kernel {

Result<Skeleton> OpenSharing(const gatehouse_bpf& shared) {
  Skeleton skeleton(gatehouse_bpf::open());
  if (!skeleton) return FailErrno("bpf", "cannot open the programs", errno);
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton->obj) bpf_program__set_autoload(program, false);
  bpf_map* own = nullptr;
  bpf_object__for_each_map(own, skeleton->obj) {
    const bpf_map* theirs = bpf_object__find_map_by_name(shared.obj, bpf_map__name(own));
    const int error = theirs == nullptr ? -ENOENT : bpf_map__reuse_fd(own, bpf_map__fd(theirs));
    if (error != 0) {
      return FailErrno(std::string("map/") + bpf_map__name(own), "cannot be shared", -error);
    }
  }
  return skeleton;
}

std::vector<ProgramStatus> ProgramsIn(const gatehouse_bpf& skeleton) {
  std::vector<ProgramStatus> programs;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, skeleton.obj) {
    bpf_prog_info info{};
    uint32_t size = sizeof(info);
    const int fd = bpf_program__fd(program);  // negative: not loaded
    if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &size) != 0) continue;
    programs.push_back(ProgramStatus{bpf_program__name(program), info.id, info.verified_insns});
  }
  return programs;
}

}  // namespace gatehouse::kernel
