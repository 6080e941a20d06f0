// SPDX-License-Identifier: Apache-2.0
#include "kernel/kernel.h"
#include "kernel/loaded_kernel.h"

namespace gatehouse::kernel {
namespace {

std::string EveryReason(const std::vector<BackendProbe>& probes) {
  std::string text;
  for (const BackendProbe& probe : probes) {
    if (probe.available) continue;
    text += (text.empty() ? "" : "; ") + std::string(BackendName(probe.backend)) + ": " +
            probe.absent_because;
  }
  return text;
}

/// The backend that was asked for, or the first that there is.
Result<Backend> Choose(const std::vector<BackendProbe>& probes, std::optional<Backend> wanted) {
  for (const BackendProbe& probe : probes) {
    if (wanted && probe.backend != *wanted) continue;
    if (probe.available) return probe.backend;
    if (wanted) {
      return Fail(ErrorCode::kUnsupported, std::string("backend/") + BackendName(*wanted),
                  probe.absent_because, "use --backend auto for the best one that there is");
    }
  }
  return Fail(ErrorCode::kUnsupported, "kernel", "no backend works here: " + EveryReason(probes),
              "run as root on a kernel with BTF, or in a virtual machine");
}

}  // namespace

Result<std::unique_ptr<Kernel>> Load(const Options& options, compile::StringPool& strings) {
  std::vector<BackendProbe> probes = ProbeBackends();
  GH_ASSIGN(const Backend backend, Choose(probes, options.backend));
  GH_ASSIGN(auto kernel, LoadedKernel::Create(options, strings, std::move(probes), backend));
  return std::unique_ptr<Kernel>(std::move(kernel));
}

}  // namespace gatehouse::kernel
