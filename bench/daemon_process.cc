// SPDX-License-Identifier: Apache-2.0
#include "daemon_process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <vector>

namespace gatehouse::bench {
namespace {

constexpr size_t kLogShown = 2000;

Result<void> WriteFile(const std::string& path, const std::string& text) {
  std::ofstream file(path);
  file << text << std::flush;
  if (!file) return FailErrno(path, "cannot write", errno);
  return {};
}

}  // namespace

void AppendPolicy(std::string& yaml, const Policy& policy, std::string_view selector) {
  const std::string number = std::to_string(policy.number);
  std::string numbered(selector);
  numbered.replace(numbered.find('$'), 1, number);
  fmt::format_to(std::back_inserter(yaml),
                 "---\n"
                 "apiVersion: cilium.io/v1alpha1\n"
                 "kind: TracingPolicy\n"
                 "metadata:\n"
                 "  name: policy-{0}\n"
                 "spec:\n"
                 "  {1}\n"
                 "  lsmhooks:\n"
                 "  - hook: bprm_creds_for_exec\n"
                 "    args:\n"
                 "    - index: 0\n"
                 "      type: linux_binprm\n"
                 "    selectors:\n"
                 "    - matchArgs:\n"
                 "      - index: 0\n"
                 "        operator: NotIn\n"
                 "        values:\n",
                 number, numbered);
  for (const std::string& path : policy.allowed) yaml += "        - " + path + "\n";
  yaml +=
      "      matchActions:\n"
      "      - action: Override\n"
      "        argError: -1\n";
}

DaemonProcess::DaemonProcess() {
  char name[] = "/tmp/gatehouse-bench-XXXXXX";
  if (mkdtemp(name) == nullptr) {
    std::fprintf(stderr, "cannot prepare the benchmark: %s: %s\n", name, std::strerror(errno));
    std::abort();
  }
  directory_ = name;
  std::filesystem::create_directory(directory_ + "/policies");
}

DaemonProcess::~DaemonProcess() {
  if (pid_ > 0) {
    kill(pid_, SIGTERM);
    waitpid(pid_, nullptr, 0);
  }
  std::error_code error;
  std::filesystem::remove_all(directory_, error);
}

Result<void> DaemonProcess::WritePolicies(const std::string& yaml) const {
  return WriteFile(directory_ + "/policies/bench.yaml", yaml);
}

Result<void> DaemonProcess::WriteWorkloads(const std::string& yaml) const {
  return WriteFile(directory_ + "/workloads.yaml", yaml);
}

Result<void> DaemonProcess::Start(kernel::Backend backend) {
  const std::string program =
      std::filesystem::read_symlink("/proc/self/exe").parent_path() / "gatehoused";
  std::vector<std::string> words{program,
                                 "--policy-dir",
                                 directory_ + "/policies",
                                 "--workloads",
                                 directory_ + "/workloads.yaml",
                                 "--control-socket",
                                 socket(),
                                 "--backend",
                                 kernel::BackendName(backend)};
  if (backend == kernel::Backend::kSignal) words.emplace_back("--deny-by-signal");
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  const std::string log = directory_ + "/log";
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, log.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  const int error = posix_spawn(&pid_, program.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return FailErrno(program, "cannot be started", error, "build gatehoused");
  return {};
}

Result<void> DaemonProcess::CheckAlive() const {
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
      info.si_pid == 0)
    return {};
  std::ifstream file(directory_ + "/log");
  std::stringstream log;
  log << file.rdbuf();
  const std::string text = log.str();
  return Fail(ErrorCode::kSystem, "gatehoused",
              "ended: " + text.substr(text.size() - std::min(text.size(), kLogShown)));
}

}  // namespace gatehouse::bench
