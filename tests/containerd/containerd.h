// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cri/runtime.grpc.pb.h"
#include "daemon/test_directory.h"

namespace gatehouse::test {

/// A containerd of the test's own, with its files and its socket in a directory that is gone in the
/// end, and cgroups below one of its own; spoken to as a kubelet speaks to it. Whatever cannot be
/// done throws, with the words of containerd. Not thread-safe.
class Containerd {
 public:
  /// Every container gets `hook`, if it is not empty, as createRuntime hook, by base_runtime_spec.
  explicit Containerd(const std::string& hook = {});
  Containerd(const Containerd&) = delete;
  Containerd& operator=(const Containerd&) = delete;
  /// Removes all pods. Aborts the test program if something of them is left.
  ~Containerd();

  void Start();
  /// The daemon ends; containers go on.
  void Stop();

  struct Pod {
    std::string id;
    runtime::v1::PodSandboxConfig config;
  };
  Pod RunPod(const std::string& name, const std::map<std::string, std::string>& labels);
  /// Created and started. `attempt` counts restarts.
  std::string Run(const Pod& pod, const std::string& name, const std::vector<std::string>& command,
                  uint32_t attempt = 0);
  std::string Create(const Pod& pod, const std::string& name,
                     const std::vector<std::string>& command, uint32_t attempt = 0);
  void StartContainer(const std::string& id);
  int Exec(const std::string& id, const std::vector<std::string>& command);
  void StopContainer(const std::string& id);
  void RemoveContainer(const std::string& id);
  void StopPod(const std::string& id);
  void RemovePod(const std::string& id);

  /// The cgroup of a container's or sandbox's first process in the unified hierarchy, as the kernel
  /// says: `/a/b`.
  std::string CgroupInKernel(const std::string& id);

  [[nodiscard]] std::string socket() const { return directory_ / "containerd.sock"; }
  [[nodiscard]] const daemon::testing::TestDirectory& directory() const { return directory_; }

 private:
  void WriteConfiguration(const std::string& hook);
  void ImportImage();
  [[nodiscard]] std::string Log() const;
  template <typename Request, typename Response>
  Response Call(grpc::Status (runtime::v1::RuntimeService::Stub::*method)(grpc::ClientContext*,
                                                                          const Request&,
                                                                          Response*),
                const Request& request);

  daemon::testing::TestDirectory directory_;
  const std::string cgroup_;  // parent of all pods' cgroups, below the root
  pid_t pid_ = -1;
  std::unique_ptr<runtime::v1::RuntimeService::Stub> stub_;
};

}  // namespace gatehouse::test
