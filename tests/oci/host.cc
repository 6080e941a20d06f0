// SPDX-License-Identifier: Apache-2.0
#include "host.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

namespace gatehouse::oci::testing {
namespace {

namespace fs = std::filesystem;

constexpr auto kGivenUp = std::chrono::minutes(2);  // far beyond what any machine needs
constexpr auto kPoll = std::chrono::milliseconds(20);

pid_t Start(std::vector<std::string> words, const std::string& out, const std::string& err) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child != 0) return child;
  dup2(open("/dev/null", O_RDONLY), STDIN_FILENO);
  dup2(open(out.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600), STDOUT_FILENO);
  dup2(open(err.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600), STDERR_FILENO);
  execvp(argv[0], argv.data());
  _exit(127);
}

/// Runtimes make the cgroup in each hierarchy.
void RemoveCgroups(const std::string& name) {
  std::error_code ignored;
  std::vector<fs::path> roots = {"/sys/fs/cgroup"};
  for (const auto& entry : fs::directory_iterator("/sys/fs/cgroup", ignored)) {
    if (entry.is_directory(ignored)) roots.push_back(entry.path());
  }
  for (const fs::path& root : roots) {
    const fs::path top = root.string() + name;
    std::vector<fs::path> below;
    for (auto at = fs::recursive_directory_iterator(top, ignored);
         at != fs::recursive_directory_iterator(); at.increment(ignored)) {
      if (at->is_directory(ignored)) below.push_back(at->path());
    }
    for (auto path = below.rbegin(); path != below.rend(); ++path) rmdir(path->c_str());
    rmdir(top.c_str());
  }
}

}  // namespace

std::string ReadText(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return std::move(text).str();
}

void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

std::string Program(const std::string& name) {
  return (fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin" / name).string();
}

Host::Host() : cgroup_("/gatehouse-oci-" + std::to_string(getpid())) {
  std::string pattern = (fs::temp_directory_path() / "gatehouse-oci-XXXXXX").string();
  directory_ = mkdtemp(pattern.data());
  fs::create_directory(Path("run"));
}

Host::~Host() {
  StopDaemon();
  RemoveCgroups(cgroup_);
  std::error_code ignored;
  fs::remove_all(directory_, ignored);
}

Answer Host::Run(std::vector<std::string> words) const {
  const pid_t child = Start(std::move(words), Path("out"), Path("err"));
  int status = 0;
  waitpid(child, &status, 0);
  return {.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
          .out = ReadText(Path("out")),
          .err = ReadText(Path("err"))};
}

Answer Host::Gatehouse(const std::vector<std::string>& words) const {
  std::vector<std::string> all{Program("gatehouse"), "--control-socket", socket()};
  all.insert(all.end(), words.begin(), words.end());
  return Run(all);
}

void Host::StartDaemon() {
  daemon_ = Start({Program("gatehoused"), "--backend", "signal", "--deny-by-signal",
                   "--base-events", "off", "--control-socket", socket()},
                  Path("daemon.out"), Path("daemon.err"));
  Await([this] { return Gatehouse({"status"}).status == 0; }, ReadText(Path("daemon.err")));
}

void Host::StopDaemon() {
  if (daemon_ <= 0) return;
  kill(daemon_, SIGTERM);
  waitpid(std::exchange(daemon_, 0), nullptr, 0);
}

nlohmann::json Host::Status() const {
  const Answer answer = Gatehouse({"status", "-o", "json"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  return nlohmann::json::parse(answer.out);
}

nlohmann::json Host::Workloads() const {
  const Answer answer = Gatehouse({"workload", "list", "-o", "json"});
  EXPECT_EQ(answer.status, 0) << answer.err;
  return nlohmann::json::parse(answer.out).at("workloads");
}

void Host::AllowOnly(const std::string& container) const {
  Add(R"(apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: )" +
      container + R"(
spec:
  containerSelector:
    matchLabels:
      name: )" +
      container + R"(
  lsmhooks:
  - hook: bprm_creds_for_exec
    args:
    - index: 0
      type: linux_binprm
    selectors:
    - matchArgs:
      - index: 0
        operator: NotIn
        values: [/bin/allowed]
      matchActions:
      - action: Override
        argError: -1
)");
}

void Host::Add(const std::string& policy) const {
  WriteText(Path("policy.yaml"), policy);
  const Answer added = Gatehouse({"policy", "add", Path("policy.yaml")});
  ASSERT_EQ(added.status, 0) << added.err;
}

void Host::MakeRoot(const std::string& path) const {
  for (const char* directory : {"/bin", "/proc", "/dev", "/sys", "/etc", "/run", "/tmp"}) {
    fs::create_directories(path + directory);
  }
  const fs::path mark = fs::read_symlink("/proc/self/exe").parent_path() / "oci_mark";
  for (const char* name : {"/bin/allowed", "/bin/forbidden"}) fs::copy_file(mark, path + name);
}

void Host::Await(const std::function<bool()>& condition, const std::string& what) {
  const auto deadline = std::chrono::steady_clock::now() + kGivenUp;
  while (!condition()) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline) << what;
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace gatehouse::oci::testing
