// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bpf/libbpf.h>

#include <memory>
#include <vector>

#include "abi/gatehouse.h"
#include "base/result.h"
#include "bpf/gatehouse.skel.h"
#include "kernel/kernel.h"

namespace gatehouse::kernel {

struct LinkDeleter {
  void operator()(bpf_link* link) const { bpf_link__destroy(link); }
};
using Link = std::unique_ptr<bpf_link, LinkDeleter>;

struct SkeletonDeleter {
  void operator()(gatehouse_bpf* skeleton) const { gatehouse_bpf::destroy(skeleton); }
};
using Skeleton = std::unique_ptr<gatehouse_bpf, SkeletonDeleter>;

/// The programs once more, none of them to be loaded, with the maps of `shared`, the configuration
/// in .rodata among them.
[[nodiscard]] Result<Skeleton> OpenSharing(const gatehouse_bpf& shared);

/// Those of its programs that are loaded.
[[nodiscard]] std::vector<ProgramStatus> ProgramsIn(const gatehouse_bpf& skeleton);

}  // namespace gatehouse::kernel
