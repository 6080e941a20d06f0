// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

#include "base/result.h"
#include "workload/annotations.h"

namespace gatehouse::oci {

inline constexpr size_t kStateBytesMax = 1u << 20;
inline constexpr size_t kSpecBytesMax = 4u << 20;
/// podman's list of containers; a longer one tells no image.
inline constexpr size_t kStorageBytesMax = 4u << 20;

/// A container that a runtime is creating.
struct Container {
  std::string id;
  pid_t pid = 0;             ///< of its first process, which still runs the runtime
  std::string bundle;        ///< absolute
  std::string cgroups_path;  ///< `slice:prefix:name`, or absolute from the root of cgroup2
  std::string name;          ///< of podman's; else "", and annotations may tell
  std::string image;         ///< of podman's, if it is known
  workload::Annotations annotations;
};

/// Reads what an OCI runtime gives a hook on its standard input, then config.json of the bundle,
/// /proc and, of a container of podman's, conmon's command line and the list of containers in its
/// storage (which is replaced as a whole; no lock is needed, and podman holds its own now). All of
/// it is input. Errors: not a state, no bundle that can be read, too long, no cgroup of its own.
/// After an error `container` has what was read before.
/// `proc`: where the kernel tells of processes; replaced by tests.
[[nodiscard]] Result<void> ReadContainer(std::string_view state, Container& container,
                                         const std::string& proc = "/proc");

/// `tetragon.RuntimeHookRequest` with createContainer, serialised.
[[nodiscard]] std::string RuntimeHookRequest(const Container& container);

}  // namespace gatehouse::oci
