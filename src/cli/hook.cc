// SPDX-License-Identifier: Apache-2.0
// gatehouse hook install|remove
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <sstream>
#include <vector>

#include "base/fd.h"
#include "cli/command.h"
#include "cli/containerd_config.h"
#include "cli/output.h"

namespace gatehouse::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr const char* kContainerdConfig = "/etc/containerd/config.toml";
constexpr const char* kContainerdSpec = "/etc/gatehouse/containerd-base-spec.json";
/// Read by podman and by CRI-O as they come; podman 4.3 does not read /etc/containers/oci/hooks.d.
constexpr const char* kHooksFile = "/usr/share/containers/oci/hooks.d/90-gatehouse.json";
constexpr uintmax_t kConfigBytesMax = 4u << 20;
/// The hook ends by itself; a runtime that kills it would not have the failure counted.
constexpr int kGraceS = 5;

struct Arguments {
  std::string runtime;
  std::string root = "/";
  std::string program = "/usr/libexec/gatehouse/gatehouse-oci-hook";
  std::string copy_from;
  double timeout_s = 5;
  std::string on_failure = "deny";
  std::vector<std::string> exceptions;
  std::string log;
  bool print = false;
};

/// Where a path of the host is, seen from here.
std::string In(const Arguments& arguments, const std::string& path) {
  return arguments.root == "/" ? path : arguments.root + path;
}

/// None: there is no such file.
Result<std::optional<std::string>> Read(const std::string& path) {
  std::error_code error;
  const fs::file_status status = fs::symlink_status(path, error);
  if (status.type() == fs::file_type::not_found) return std::nullopt;
  if (status.type() != fs::file_type::regular) {
    return Fail(ErrorCode::kRefused, path, "is no regular file",
                "put a file there, or name the host's root with --root");
  }
  if (fs::file_size(path, error) > kConfigBytesMax) {
    return Fail(ErrorCode::kRefused, path, "is too long to be a configuration");
  }
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  if (!text) return FailErrno(path, "cannot read", errno);
  return std::move(text).str();
}

/// Whole or not at all: beside, then renamed.
Result<void> Replace(const std::string& path, const std::string& text, mode_t mode) {
  std::error_code error;
  fs::create_directories(fs::path(path).parent_path(), error);
  const std::string beside = path + ".gatehouse-new";
  (void)unlink(beside.c_str());
  {
    const Fd fd(open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
    if (!fd.valid()) return FailErrno(beside, "cannot create", errno, "run it as root");
    for (size_t sent = 0; sent < text.size();) {
      const ssize_t bytes = write(fd.get(), text.data() + sent, text.size() - sent);
      if (bytes < 0) return FailErrno(beside, "cannot write", errno);
      sent += static_cast<size_t>(bytes);
    }
    if (fchmod(fd.get(), mode) != 0 || fsync(fd.get()) != 0) {
      return FailErrno(beside, "cannot write", errno);
    }
  }
  if (rename(beside.c_str(), path.c_str()) != 0) return FailErrno(path, "cannot replace", errno);
  return {};
}

Result<void> Remove(const std::string& path) {
  if (unlink(path.c_str()) == 0 || errno == ENOENT) return {};
  return FailErrno(path, "cannot remove", errno, "run it as root");
}

/// A hook of an OCI spec.
ordered_json HookOf(const Invocation& invocation, const Arguments& arguments) {
  const std::string timeout = fmt::format("{}", arguments.timeout_s);
  ordered_json words = {
      "gatehouse-oci-hook", "--control-socket",  invocation.control_socket, "--timeout", timeout,
      "--on-failure",       arguments.on_failure};
  for (const std::string& exception : arguments.exceptions) {
    words.push_back("--on-failure-namespace");
    words.push_back(exception);
  }
  if (!arguments.log.empty()) {
    words.push_back("--log");
    words.push_back(arguments.log);
  }
  return {{"path", arguments.program},
          {"args", words},
          {"timeout", static_cast<int>(std::ceil(arguments.timeout_s)) + kGraceS}};
}

Result<void> PutProgram(const Arguments& arguments) {
  const std::string program = In(arguments, arguments.program);
  if (!arguments.copy_from.empty()) {
    constexpr mode_t kExecutable = 0755;
    std::ostringstream text;
    text << std::ifstream(arguments.copy_from, std::ios::binary).rdbuf();
    if (!text || text.str().empty()) return FailErrno(arguments.copy_from, "cannot read", errno);
    GH_TRY(Replace(program, text.str(), kExecutable));
  }
  struct stat status{};
  if (stat(program.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
      (status.st_mode & S_IXUSR) != 0) {
    return {};
  }
  // A runtime whose hook is missing starts no container any more.
  return Fail(ErrorCode::kNotFound, program, "there is no such program",
              "say where the hook is with --program, or have it put there with --copy-from");
}

Result<void> InstallContainerd(const Arguments& arguments, const ordered_json& hook) {
  constexpr mode_t kReadable = 0644;
  const std::string config = In(arguments, kContainerdConfig);
  GH_ASSIGN(const std::optional<std::string> before, Read(config));
  GH_ASSIGN(const ContainerdEdit edit, AddBaseSpec(before.value_or(""), kContainerdSpec));
  // The spec first: containerd does not start with a name of none.
  GH_TRY(Replace(In(arguments, kContainerdSpec), BaseSpec(hook.dump()), kReadable));
  if (edit.text != before) GH_TRY(Replace(config, edit.text, kReadable));
  std::string runtimes;
  for (const std::string& name : edit.runtimes) runtimes += (runtimes.empty() ? "" : ", ") + name;
  fmt::print("{}: containers of {} begin with {}\n", config, runtimes, kContainerdSpec);
  for (const std::string& name : edit.left_alone) {
    fmt::print("runtime {} is left alone: it is not runc's\n", name);
  }
  fmt::print("containerd reads it when it starts: systemctl restart containerd\n");
  return {};
}

Result<ExitStatus> Install(const Invocation& invocation, const Arguments& arguments) {
  const ordered_json hook = HookOf(invocation, arguments);
  if (arguments.print) {
    PrintJson(hook);
    return kDone;
  }
  GH_TRY(PutProgram(arguments));
  if (arguments.runtime == "containerd") {
    GH_TRY(InstallContainerd(arguments, hook));
    return kDone;
  }
  constexpr mode_t kReadable = 0644;
  const ordered_json file = {{"version", "1.0.0"},
                             {"hook", hook},
                             {"when", {{"always", true}}},
                             {"stages", ordered_json::array({"createRuntime"})}};
  const std::string path = In(arguments, kHooksFile);
  GH_TRY(Replace(path, file.dump(2) + "\n", kReadable));
  fmt::print("{}: written; podman and CRI-O both read it, for each container that they create\n",
             path);
  if (arguments.runtime == "crio")
    fmt::print("CRI-O watches the directory; no restart is needed\n");
  return kDone;
}

Result<ExitStatus> RemoveHook(const Arguments& arguments) {
  if (arguments.runtime != "containerd") {
    GH_TRY(Remove(In(arguments, kHooksFile)));
    fmt::print("{}: removed, for podman and CRI-O\n", In(arguments, kHooksFile));
    return kDone;
  }
  constexpr mode_t kReadable = 0644;
  const std::string config = In(arguments, kContainerdConfig);
  GH_ASSIGN(const std::optional<std::string> before, Read(config));
  const std::string after = RemoveBaseSpec(before.value_or(""));
  if (before && after != *before) {
    GH_TRY(after.empty() ? Remove(config) : Replace(config, after, kReadable));
  }
  if (after.find(kContainerdSpec) != std::string::npos) {
    return Fail(ErrorCode::kRefused, config,
                std::string("still names ") + kContainerdSpec + ", in a line that is not ours",
                "take that line out and call this again");
  }
  GH_TRY(Remove(In(arguments, kContainerdSpec)));
  fmt::print("{}: as it was; containerd reads it when it starts: systemctl restart containerd\n",
             config);
  return kDone;
}

void AddRuntime(CLI::App& command, Arguments& arguments) {
  command.add_option("RUNTIME", arguments.runtime, "containerd, podman or crio")
      ->check(CLI::IsMember({"containerd", "podman", "crio"}))
      ->required();
  command.add_option("--root", arguments.root, "Where the host's root directory is")
      ->type_name("DIR")
      ->check(CLI::ExistingDirectory)
      ->capture_default_str();
}

std::string CheckException(const std::string& text) {
  const size_t equals = text.find('=');
  const std::string what = equals == std::string::npos ? "" : text.substr(equals + 1);
  if (equals != 0 && (what == "allow" || what == "deny")) return {};
  return "\"" + text + "\" is not NAMESPACE=allow or NAMESPACE=deny";
}

}  // namespace

void AddHookCommands(CLI::App& app, Invocation& invocation) {
  CLI::App* group =
      AddGroup(app, "hook", "Have container runtimes tell of containers before they run",
               "  gatehouse hook install containerd\n"
               "  gatehouse hook remove containerd\n");
  CLI::App* install = AddCommand(
      *group, "install", "Set up the hook for a runtime; again, with other options, to change them",
      "  gatehouse hook install containerd --on-failure-namespace kube-system=allow\n"
      "  gatehouse hook install podman --on-failure allow\n"
      "  gatehouse hook install crio --root /host --copy-from "
      "/usr/libexec/gatehouse/gatehouse-oci-hook\n");
  const auto added = std::make_shared<Arguments>();
  AddRuntime(*install, *added);
  install->add_option("--program", added->program, "The hook, as the runtime finds it on the host")
      ->type_name("PATH")
      ->capture_default_str();
  install->add_option("--copy-from", added->copy_from, "Put this program there first")
      ->type_name("FILE");
  install
      ->add_option("--control-socket", invocation.control_socket,
                   "Socket of the daemon, as the hook finds it on the host")
      ->type_name("PATH");
  install->add_option("--timeout", added->timeout_s, "How long the daemon may take, from 0.1 to 60")
      ->type_name("SECONDS")
      ->check(CLI::Range(0.1, 60.0))
      ->capture_default_str();
  install
      ->add_option("--on-failure", added->on_failure,
                   "What happens to a container that the daemon did not take")
      ->type_name("allow|deny")
      ->check(CLI::IsMember({"allow", "deny"}))
      ->capture_default_str();
  install
      ->add_option("--on-failure-namespace", added->exceptions,
                   "Another --on-failure for the pods of a namespace; may be given often")
      ->type_name("NAMESPACE=allow|deny")
      ->allow_extra_args(false)
      ->check(CLI::Validator(CheckException, "", "exception"));
  install->add_option("--log", added->log, "Log of the hook, on the host")->type_name("FILE");
  install->add_flag("--print", added->print, "Print the hook of an OCI spec and change nothing");
  install->callback([&invocation, added] {
    invocation.run = [added](const Invocation& chosen) { return Install(chosen, *added); };
  });

  CLI::App* remove =
      AddCommand(*group, "remove", "Take the hook away again", "  gatehouse hook remove podman\n");
  const auto removed = std::make_shared<Arguments>();
  AddRuntime(*remove, *removed);
  remove->callback([&invocation, removed] {
    invocation.run = [removed](const Invocation&) { return RemoveHook(*removed); };
  });
}

}  // namespace gatehouse::cli
