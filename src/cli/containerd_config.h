// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// containerd's config.toml, changed line by line so that what an operator wrote stays and can be
/// had back.
namespace gatehouse::cli {

struct ContainerdEdit {
  std::string text;                   ///< the file as it is to be
  std::vector<std::string> runtimes;  ///< whose containers get the spec
  std::vector<std::string>
      left_alone;  ///< runtimes that do not run on this kernel (not runc's shim)
};

/// Has the runtimes of `text` (config.toml; "": there is none) begin containers with the spec at
/// `spec_path`. What is there already from an earlier call is replaced. Errors (kRefused): a
/// version or a form of the file that is not understood well enough, a runtime that has a
/// base_runtime_spec of its own; the remedy says what to write by hand.
[[nodiscard]] Result<ContainerdEdit> AddBaseSpec(std::string_view text,
                                                 const std::string& spec_path);

/// `text` as it was before AddBaseSpec; other changes since then stay.
[[nodiscard]] std::string RemoveBaseSpec(std::string_view text);

/// The spec that containerd 1.6 to 2.0 begin a container with when no base_runtime_spec is set,
/// without limits (containerd takes its own away), and with the hook (a hook of an OCI spec, as
/// JSON) in it.
[[nodiscard]] std::string BaseSpec(const std::string& hook_json);

}  // namespace gatehouse::cli
