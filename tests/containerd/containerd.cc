// SPDX-License-Identifier: Apache-2.0
#include "containerd.h"

#include <fcntl.h>
#include <grpcpp/create_channel.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <utility>

namespace gatehouse::test {
namespace {

namespace cri = runtime::v1;
namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kImage = "gatehouse.test/busybox:1";
constexpr auto kPatience = std::chrono::seconds(60);  // far beyond what any machine needs

std::string ReadFile(const fs::path& path) {
  const std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

/// Runs a program and waits for its end; its output goes to a file.
pid_t Spawn(std::vector<std::string> command, const std::string& output) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, output.c_str(),
                                   O_WRONLY | O_CREAT | O_APPEND, 0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int error = posix_spawnp(&pid, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    throw std::runtime_error(command[0] + ": " + std::generic_category().message(error) +
                             "; install the packages containerd, runc and busybox-static");
  }
  return pid;
}

void RunProgram(const std::vector<std::string>& command, const std::string& output) {
  int status = 0;
  if (waitpid(Spawn(command, output), &status, 0) < 0 || status != 0) {
    throw std::runtime_error(command[0] + " failed: " + ReadFile(output));
  }
}

/// Lines of mountinfo(5) that name `directory`.
std::vector<std::string> MountsBelow(const std::string& directory) {
  std::vector<std::string> mounts;
  std::ifstream file("/proc/self/mountinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.find(" " + directory + "/") != std::string::npos) mounts.push_back(line);
  }
  return mounts;
}

/// Command lines that name `text`: shims of the containers of a socket.
std::vector<std::string> ProcessesOf(const std::string& text) {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::string line = ReadFile(entry.path() / "cmdline");
    if (line.starts_with("/usr/bin/containerd-shim") && line.find(text) != std::string::npos) {
      std::replace(line.begin(), line.end(), '\0', ' ');
      found.push_back(std::move(line));
    }
  }
  return found;
}

}  // namespace

Containerd::Containerd(const std::string& hook)
    : cgroup_("/gatehouse-containerd-" + std::to_string(getpid())) {
  WriteConfiguration(hook);
  Start();
  ImportImage();
}

Containerd::~Containerd() {
  std::vector<std::string> left;
  try {
    if (pid_ < 0) Start();
    const auto pods =
        Call(&cri::RuntimeService::Stub::ListPodSandbox, cri::ListPodSandboxRequest());
    for (const auto& pod : pods.items()) {
      StopPod(pod.id());
      RemovePod(pod.id());
    }
    Stop();
  } catch (const std::exception& error) {
    left.emplace_back(error.what());
  }
  // A kubelet removes the cgroups of its pods; in each hierarchy there may be one.
  std::error_code ignored;
  std::vector<fs::path> hierarchies = {"/sys/fs/cgroup"};
  for (const auto& entry : fs::directory_iterator("/sys/fs/cgroup")) hierarchies.push_back(entry);
  for (const fs::path& hierarchy : hierarchies) {
    const fs::path ours = hierarchy / cgroup_.substr(1);
    if (!fs::exists(ours, ignored)) continue;
    for (const auto& pod : fs::directory_iterator(ours)) {
      if (pod.is_directory()) rmdir(pod.path().c_str());
    }
    if (rmdir(ours.c_str()) != 0) left.push_back("cgroup " + ours.string());
  }
  for (auto& mount : MountsBelow(directory_.path())) left.push_back("mount " + mount);
  for (auto& shim : ProcessesOf(socket())) left.push_back("process " + shim);
  if (left.empty()) return;
  std::cerr << "left behind by containerd:\n";
  for (const auto& what : left) std::cerr << "  " << what << '\n';
  std::cerr << Log();
  std::abort();
}

void Containerd::WriteConfiguration(const std::string& hook) {
  RunProgram({"ctr", "oci", "spec"}, directory_ / "base.json");
  if (!hook.empty()) {
    json spec = json::parse(ReadFile(directory_ / "base.json"));
    spec["hooks"]["createRuntime"] = json::array(
        {{{"path", hook}, {"args", json::array({fs::path(hook).filename().string()})}}});
    std::ofstream(directory_ / "base.json") << spec;
  }
  fs::create_directory(directory_ / "cni");
  const std::string& path = directory_.path();
  // What needs a kernel module or a service of its own is left out.
  directory_.Write("config.toml", R"(version = 2
root = ")" + path + R"(/root"
state = ")" + path + R"(/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs", "io.containerd.internal.v1.tracing",
  "io.containerd.tracing.processor.v1.otlp"]
[grpc]
address = ")" + socket() + R"("
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = ")" + std::string(kImage) +
                                      R"("
restrict_oom_score_adj = true
disable_apparmor = true
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = ")" + path + R"(/cni"
conf_dir = ")" + path + R"(/cni"
[plugins."io.containerd.grpc.v1.cri".containerd]
snapshotter = "native"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
base_runtime_spec = ")" + path + R"(/base.json"
)");
}

void Containerd::ImportImage() {
  RunProgram({GATEHOUSE_CONTAINERD_IMAGE_SCRIPT, directory_ / "image", kImage},
             directory_ / "image.log");
  RunProgram({"ctr", "-a", socket(), "-n", "k8s.io", "images", "import", "--snapshotter", "native",
              directory_ / "image/image.tar"},
             directory_ / "image.log");
}

void Containerd::Start() {
  pid_ = Spawn({"containerd", "-c", directory_ / "config.toml"}, directory_ / "log");
  grpc::ChannelArguments arguments;
  arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  stub_ = cri::RuntimeService::NewStub(
      grpc::CreateCustomChannel("unix:" + socket(), grpc::InsecureChannelCredentials(), arguments));
  // It answers before it has found the containers that run already.
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    try {
      Call(&cri::RuntimeService::Stub::ListPodSandbox, cri::ListPodSandboxRequest());
      return;
    } catch (const std::exception&) {
      if (std::chrono::steady_clock::now() >= end) throw;
      std::this_thread::yield();
    }
  }
}

void Containerd::Stop() {
  if (pid_ < 0) return;
  kill(pid_, SIGTERM);
  waitpid(std::exchange(pid_, -1), nullptr, 0);
}

Containerd::Pod Containerd::RunPod(const std::string& name,
                                   const std::map<std::string, std::string>& labels) {
  Pod pod;
  cri::PodSandboxMetadata& metadata = *pod.config.mutable_metadata();
  metadata.set_name(name);
  metadata.set_uid("uid-" + name);
  metadata.set_namespace_("shop");
  auto& all = *pod.config.mutable_labels();
  for (const auto& [key, value] : labels) all[key] = value;
  all["io.kubernetes.pod.name"] = metadata.name();
  all["io.kubernetes.pod.namespace"] = metadata.namespace_();
  all["io.kubernetes.pod.uid"] = metadata.uid();
  auto& linux_part = *pod.config.mutable_linux();
  linux_part.set_cgroup_parent(cgroup_ + "/pod" + metadata.uid());
  auto& namespaces = *linux_part.mutable_security_context()->mutable_namespace_options();
  namespaces.set_network(cri::NODE);
  namespaces.set_pid(cri::CONTAINER);
  cri::RunPodSandboxRequest request;
  *request.mutable_config() = pod.config;
  pod.id = Call(&cri::RuntimeService::Stub::RunPodSandbox, request).pod_sandbox_id();
  return pod;
}

std::string Containerd::Create(const Pod& pod, const std::string& name,
                               const std::vector<std::string>& command, uint32_t attempt) {
  cri::CreateContainerRequest request;
  request.set_pod_sandbox_id(pod.id);
  *request.mutable_sandbox_config() = pod.config;
  cri::ContainerConfig& config = *request.mutable_config();
  config.mutable_metadata()->set_name(name);
  config.mutable_metadata()->set_attempt(attempt);
  config.mutable_image()->set_image(kImage);
  for (const auto& word : command) config.add_command(word);
  auto& labels = *config.mutable_labels();
  labels["io.kubernetes.container.name"] = name;
  for (const char* key :
       {"io.kubernetes.pod.name", "io.kubernetes.pod.namespace", "io.kubernetes.pod.uid"}) {
    labels[key] = pod.config.labels().at(key);
  }
  auto& namespaces =
      *config.mutable_linux()->mutable_security_context()->mutable_namespace_options();
  namespaces.set_network(cri::NODE);
  namespaces.set_pid(cri::CONTAINER);
  return Call(&cri::RuntimeService::Stub::CreateContainer, request).container_id();
}

void Containerd::StartContainer(const std::string& id) {
  cri::StartContainerRequest request;
  request.set_container_id(id);
  Call(&cri::RuntimeService::Stub::StartContainer, request);
}

std::string Containerd::Run(const Pod& pod, const std::string& name,
                            const std::vector<std::string>& command, uint32_t attempt) {
  std::string id = Create(pod, name, command, attempt);
  StartContainer(id);
  return id;
}

int Containerd::Exec(const std::string& id, const std::vector<std::string>& command) {
  cri::ExecSyncRequest request;
  request.set_container_id(id);
  for (const auto& word : command) request.add_cmd(word);
  return Call(&cri::RuntimeService::Stub::ExecSync, request).exit_code();
}

void Containerd::StopContainer(const std::string& id) {
  cri::StopContainerRequest request;  // at once
  request.set_container_id(id);
  Call(&cri::RuntimeService::Stub::StopContainer, request);
}

void Containerd::RemoveContainer(const std::string& id) {
  cri::RemoveContainerRequest request;
  request.set_container_id(id);
  Call(&cri::RuntimeService::Stub::RemoveContainer, request);
}

void Containerd::StopPod(const std::string& id) {
  cri::StopPodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  Call(&cri::RuntimeService::Stub::StopPodSandbox, request);
}

void Containerd::RemovePod(const std::string& id) {
  cri::RemovePodSandboxRequest request;
  request.set_pod_sandbox_id(id);
  Call(&cri::RuntimeService::Stub::RemovePodSandbox, request);
}

std::string Containerd::CgroupInKernel(const std::string& id) {
  cri::ContainerStatusRequest container;
  container.set_container_id(id);
  container.set_verbose(true);
  cri::PodSandboxStatusRequest sandbox;
  sandbox.set_pod_sandbox_id(id);
  sandbox.set_verbose(true);
  const auto pods = Call(&cri::RuntimeService::Stub::ListPodSandbox, cri::ListPodSandboxRequest());
  const bool is_sandbox = std::any_of(pods.items().begin(), pods.items().end(),
                                      [&](const auto& pod) { return pod.id() == id; });
  const std::string info =
      is_sandbox ? Call(&cri::RuntimeService::Stub::PodSandboxStatus, sandbox).info().at("info")
                 : Call(&cri::RuntimeService::Stub::ContainerStatus, container).info().at("info");
  const auto pid = json::parse(info).at("pid").get<pid_t>();
  std::ifstream file("/proc/" + std::to_string(pid) + "/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("0::")) return line.substr(3);
  }
  throw std::runtime_error("container " + id + " has no process " + std::to_string(pid));
}

std::string Containerd::Log() const { return ReadFile(directory_ / "log"); }

template <typename Request, typename Response>
Response Containerd::Call(grpc::Status (cri::RuntimeService::Stub::*method)(grpc::ClientContext*,
                                                                            const Request&,
                                                                            Response*),
                          const Request& request) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + kPatience);
  Response response;
  const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
  if (!status.ok()) throw std::runtime_error(status.error_message() + "\n" + Log());
  return response;
}

}  // namespace gatehouse::test
