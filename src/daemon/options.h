// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <tl/expected.hpp>
#include <vector>

#include "kernel/kernel.h"
#include "workload/registry.h"

namespace gatehouse::daemon {

/// For the cluster that the agent is a pod of.
inline constexpr const char* kInCluster = "in-cluster";
inline constexpr const char* kDefaultControlSocket = "/run/gatehouse/gatehouse.sock";

enum class LogFormat { kText, kJson };
enum class LogLevel { kDebug, kInfo, kWarn, kError };

/// What the command line of gatehoused says.
struct Options {
  std::string policy_dir;                ///< "": none
  std::string workloads_file;            ///< "": none
  bool cri = false;                      ///< ask a container runtime of Kubernetes'
  std::vector<std::string> cri_sockets;  ///< empty: where they usually are
  std::vector<std::string> engines;      ///< sockets of Docker's API
  std::string kubernetes;                ///< "": none; kInCluster; else a kubeconfig file
  std::string kube_context;              ///< of the kubeconfig; "": the current one
  std::string control_socket = kDefaultControlSocket;
  std::string event_log;  ///< "": no file, "-": standard output
  uint64_t event_log_max_bytes = 10u << 20;
  uint32_t event_log_backups = 5;
  kernel::Options kernel;
  bool deny_by_signal = false;
  bool allow_host_enforcement = false;
  bool allow_network_actions = false;
  bool expose_stack_addresses = false;
  std::string node_name;  ///< never empty after parsing: NODE_NAME, else the host's name
  std::string cluster_name;
  workload::Labels node_labels;  ///< for nodeSelector, and in events
  LogLevel log_level = LogLevel::kInfo;
  LogFormat log_format = LogFormat::kText;
  bool probe_only = false;  ///< say which backends work here, and end
};

/// The program is to end before it starts: help was asked for, or the command line is wrong.
struct EarlyExit {
  int status = 0;    ///< 0: `text` is for standard output; 2: for standard error
  std::string text;  ///< ends with a newline
};

/// Reads the command line. Pure but for the host's name and NODE_NAME.
[[nodiscard]] tl::expected<Options, EarlyExit> ParseCommandLine(int argc, const char* const* argv);

}  // namespace gatehouse::daemon
