// SPDX-License-Identifier: Apache-2.0
//
// The body of `./run demo`: starts the daemon, gives three cgroups an identity, applies
// policies.yaml and runs real programs in each. Prints what the kernel did beside what was
// expected; the exit status is 1 if any row differs.

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "kernel/testing/workload.h"

namespace {

namespace fs = std::filesystem;
using gatehouse::kernel::testing::Allowed;
using gatehouse::kernel::testing::Cgroup;
using gatehouse::kernel::testing::Denied;
using gatehouse::kernel::testing::Killed;
using gatehouse::kernel::testing::Outcome;
using nlohmann::json;

constexpr const char* kDirectory = "/run/gatehouse-demo";  // policies.yaml names it

volatile std::sig_atomic_t stop_signal = 0;  // handlers can reach nothing but a global

/// Thrown on the way out, so that all that was made is taken down.
struct Interrupted {};

/// Signals that ask for the end are noted; system calls go on.
void NoteStopSignals() {
  struct sigaction action{};
  action.sa_handler = [](int signal) { stop_signal = signal; };
  action.sa_flags = SA_RESTART;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaction(signal, &action, nullptr);
}

void StopIfAsked() {
  if (stop_signal != 0) throw Interrupted();
}

void Sleep(std::chrono::milliseconds time) {
  StopIfAsked();
  std::this_thread::sleep_for(time);
  StopIfAsked();
}

/// In a child: it ends with the demo, however that ends.
void EndWith(pid_t parent, int signal) {
  prctl(PR_SET_PDEATHSIG, signal);
  if (getppid() != parent) _exit(1);  // it has gone already
}

/// What is removed in the end, whatever happens.
class Directory {
 public:
  explicit Directory(const fs::path& path) : path_(path) {
    fs::remove_all(path_);  // of a demo that was killed; only root can write to /run
    fs::create_directories(path_ / "programs");
    fs::permissions(path_, fs::perms(0700));
  }
  ~Directory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  [[nodiscard]] std::string operator/(const char* name) const { return path_ / name; }

 private:
  fs::path path_;
};

/// A program in the background, its output in a file; ended by SIGTERM.
class Background {
 public:
  Background(const std::string& program, std::vector<std::string> arguments,
             const std::string& log) {
    arguments.insert(arguments.begin(), program);
    const pid_t parent = getpid();
    pid_ = fork();
    if (pid_ != 0) return;
    EndWith(parent, SIGTERM);
    const int out = open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execv(program.c_str(), argv.data());
    std::fprintf(stderr, "%s: %s\n", program.c_str(), std::strerror(errno));
    _exit(127);
  }
  ~Background() { (void)Stop(); }
  Background(const Background&) = delete;
  Background& operator=(const Background&) = delete;

  [[nodiscard]] bool Ended() {
    if (pid_ > 0 && waitpid(pid_, &status_, WNOHANG) == pid_) pid_ = 0;
    return pid_ <= 0;
  }
  /// Its wait status.
  int Stop() {
    if (pid_ > 0) {
      kill(pid_, SIGTERM);
      waitpid(pid_, &status_, 0);
      pid_ = 0;
    }
    return status_;
  }

 private:
  pid_t pid_ = 0;
  int status_ = 0;
};

/// The command line client, as a person would call it.
class Client {
 public:
  Client(std::string program, std::string socket)
      : program_(std::move(program)), socket_(std::move(socket)) {}

  struct Answer {
    int status = -1;
    std::string text;
  };
  [[nodiscard]] Answer Run(const std::string& arguments) const {
    const std::string command =
        fmt::format("'{}' --control-socket '{}' {} 2>&1", program_, socket_, arguments);
    Answer answer;
    FILE* const pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return answer;
    std::array<char, 4096> buffer{};
    while (const size_t n = fread(buffer.data(), 1, buffer.size(), pipe)) {
      answer.text.append(buffer.data(), n);
    }
    answer.status = WEXITSTATUS(pclose(pipe));
    StopIfAsked();
    return answer;
  }
  /// Shows the command and what it says.
  [[nodiscard]] bool Show(const std::string& arguments) const {
    fmt::print("$ gatehouse {}\n", arguments);
    const Answer answer = Run(arguments);
    fmt::print("{}", answer.text);
    return answer.status == 0;
  }
  [[nodiscard]] std::optional<json> Json(const std::string& arguments) const {
    const Answer answer = Run(arguments + " -o json");
    json value = json::parse(answer.text, nullptr, false);
    if (answer.status != 0 || value.is_discarded()) return std::nullopt;
    return value;
  }

 private:
  std::string program_;
  std::string socket_;
};

struct Row {
  const Cgroup* cgroup;
  std::string workload;
  std::string program;
  std::vector<std::string> arguments;
  std::optional<int> denied_with;        // errno; none: allowed
  std::vector<std::string> by_policies;  // that must have posted
};

struct Seen {
  Outcome outcome;
  std::vector<std::string> policies;
};

std::string Text(const Outcome& outcome) {
  switch (outcome.kind) {
    case Outcome::Kind::kAllowed:
      return "runs";
    case Outcome::Kind::kDenied:
      return fmt::format("denied, {}", strerrorname_np(outcome.detail));
    case Outcome::Kind::kKilled:
      return fmt::format("killed, SIG{}", sigabbrev_np(outcome.detail));
    case Outcome::Kind::kError:
      return fmt::format("demo error, {}", strerrorname_np(outcome.detail));
  }
  return "";
}

/// The policies that posted an event for this program since `from` in the event log.
std::vector<std::string> Posted(const std::string& log, std::streamoff from, size_t wanted) {
  std::vector<std::string> policies;
  for (int attempt = 0; attempt < 100; ++attempt) {
    policies.clear();
    std::ifstream file(log);
    file.seekg(from);
    for (std::string line; std::getline(file, line);) {
      const json event = json::parse(line, nullptr, false);
      if (event.is_discarded() || !event.contains("process_kprobe")) continue;
      policies.push_back(event["process_kprobe"].value("policy_name", std::string("?")));
    }
    if (policies.size() >= wanted) break;
    Sleep(std::chrono::milliseconds(20));
  }
  std::ranges::sort(policies);
  return policies;
}

Seen Try(const Row& row, const std::string& log) {
  StopIfAsked();
  const pid_t parent = getpid();
  std::error_code none;
  const auto from =
      static_cast<std::streamoff>(fs::exists(log, none) ? fs::file_size(log, none) : 0);
  Seen seen;
  const int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  seen.outcome = row.cgroup->Run([&] {
    EndWith(parent, SIGKILL);
    dup2(null, STDOUT_FILENO);
    std::vector<std::string> arguments = row.arguments;
    arguments.insert(arguments.begin(), row.program);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    execv(row.program.c_str(), argv.data());
    return errno;
  });
  close(null);
  seen.policies = Posted(log, from, row.by_policies.size());
  return seen;
}

/// Prints the table; the number of rows that are not as expected.
int ShowTable(const std::vector<Row>& rows, const std::string& log, bool by_signal) {
  constexpr const char* kFormat = "{:<10} {:<38} {:<16} {:<16} {}\n";
  fmt::print(kFormat, "WORKLOAD", "PROGRAM", "EXPECTED", "THE KERNEL DID", "DECIDED BY");
  int wrong = 0;
  for (const Row& row : rows) {
    const Outcome expected = !row.denied_with ? Allowed()
                             : by_signal      ? Killed(SIGKILL)
                                              : Denied(*row.denied_with);
    const Seen seen = Try(row, log);
    const bool right = seen.outcome == expected && seen.policies == row.by_policies;
    std::string by = fmt::format("{}", fmt::join(seen.policies, ", "));
    if (by.empty()) by = "-";
    if (!right) by += fmt::format("   <- expected: {}", fmt::join(row.by_policies, ", "));
    fmt::print(kFormat, row.workload, row.program, Text(expected), Text(seen.outcome), by);
    wrong += !right;
  }
  return wrong;
}

void Print(const std::string& file, const char* indent) {
  std::ifstream lines(file);
  for (std::string line; std::getline(lines, line);) fmt::print("{}{}\n", indent, line);
}

/// How many readers of events the daemon has.
size_t Readers(const Client& client) {
  const std::optional<json> stats = client.Json("stats");
  return stats ? (*stats)["events"]["subscribers"].size() : 0;
}

/// "5 programs, 9 maps, 10.1 MiB"
std::string InTheKernel(const Client& client) {
  const std::optional<json> status = client.Json("status");
  if (!status) return "unknown";
  uint64_t bytes = 0;
  for (const json& map : (*status)["maps"]) {
    bytes += std::stoull(map.value("memlock_bytes", std::string("0")));  // 64 bits: a string
  }
  constexpr double kMiB = 1024.0 * 1024.0;
  return fmt::format("{} programs, {} maps, {:.1f} MiB", (*status)["programs"].size(),
                     (*status)["maps"].size(), static_cast<double>(bytes) / kMiB);
}

int Demo(const std::string& bin, const std::string& policies, const std::string& backend) {
  const Directory directory(kDirectory);
  const std::string socket = directory / "control.sock";
  const std::string events = directory / "events.json";
  const std::string log = directory / "daemon.log";
  const std::string followed = directory / "followed";
  const Client client(bin + "/gatehouse", socket);
  const Cgroup web("web"), batch("batch"), other("other");

  std::vector<std::string> arguments{"--backend", backend,       "--control-socket",
                                     socket,      "--event-log", events};
  if (backend == "auto" || backend == "signal") arguments.emplace_back("--deny-by-signal");
  Background daemon(bin + "/gatehoused", arguments, log);
  std::optional<json> status;
  while (!(status = client.Json("status")) && !daemon.Ended()) {
    Sleep(std::chrono::milliseconds(50));
  }
  if (!status) {
    fmt::print("gatehoused did not start:\n");
    Print(log, "  ");
    return 1;
  }
  const std::string used = status->value("backend", std::string("?"));
  const bool by_signal = used == "signal";
  fmt::print("gatehoused runs, backend {}.\n", used);
  for (const json& way : (*status)["backends"]) {
    if (!way.value("available", false)) {
      fmt::print("  not {}: {}\n", way.value("name", std::string("?")),
                 way.value("absent_because", std::string("?")));
    }
  }
  if (by_signal) {
    fmt::print(
        "  So a program that is denied is killed before its first instruction; with lsm or "
        "fmod_ret\n"
        "  its execve would fail with the policy's errno: see ./run demo --vm.\n");
  }

  fmt::print("\nThree workloads, real cgroups: two apps, and one that no policy is about.\n");
  bool good = true;
  for (const auto& [cgroup, name] :
       {std::pair{&web, "web"}, {&batch, "batch"}, {&other, "other"}}) {
    good &= client.Show(fmt::format(
        "workload add --cgroup {} --namespace demo --pod {}-0 --container main --label app={}",
        cgroup->path(), name, name));
  }
  good &= client.Show("policy add " + policies);
  good &= client.Show("policy list");
  if (!good) return 1;

  const std::string update = directory / "programs/update";
  const std::string link = directory / "programs/cat";
  fs::copy_file("/usr/bin/true", update);
  fs::create_symlink("/usr/bin/ls", link);
  const std::string allow_web = "allow-list-web", allow_batch = "allow-list-batch",
                    run = "nothing-from-run";
  const std::vector<Row> rows{
      {&web, "web", "/usr/bin/cat", {"/proc/self/comm"}, {}, {}},
      {&web, "web", "/usr/bin/id", {}, {}, {}},
      {&web, "web", "/usr/bin/ls", {"/"}, EPERM, {allow_web}},
      {&web, "web", link, {"/"}, EPERM, {allow_web}},
      {&web, "web", update, {}, EACCES, {run}},
      {&batch, "batch", "/usr/bin/ls", {"/"}, {}, {}},
      {&batch, "batch", "/usr/bin/cat", {"/proc/self/comm"}, EPERM, {allow_batch}},
      {&batch, "batch", update, {}, EPERM, {allow_batch, run}},
      {&other, "other", "/usr/bin/cat", {"/proc/self/comm"}, {}, {}},
      {&other, "other", "/usr/bin/ls", {"/"}, {}, {}},
      {&other, "other", update, {}, {}, {}},
  };
  fmt::print("\nPrograms run in each workload ({} is a link to /usr/bin/ls):\n", link);
  Background follower(
      bin + "/gatehouse",
      {"--control-socket", socket, "events", "--follow", "--event", "process_kprobe"}, followed);
  while (Readers(client) < 2 && !follower.Ended()) {  // the event log is the other one
    Sleep(std::chrono::milliseconds(20));
  }
  const int wrong = ShowTable(rows, events, by_signal);

  fmt::print("\nWhy would that be denied?\n");
  good &= client.Show("explain --workload demo/batch-0/main --exec " + update);
  fmt::print("\nThe events of the policies:\n$ gatehouse events --follow --event process_kprobe\n");
  (void)follower.Stop();
  Print(followed, "");
  fmt::print("\nWhat is in the kernel: {}.\n", InTheKernel(client));
  good &= client.Show("status");
  good &= client.Show("stats");

  const int end = daemon.Stop();
  const bool clean_stop = WIFEXITED(end) && WEXITSTATUS(end) == 0;
  if (!clean_stop) fmt::print("\ngatehoused did not stop cleanly, wait status {}\n", end);
  fmt::print("\n{} of {} rows as expected; the daemon has stopped and nothing is left behind.\n",
             rows.size() - static_cast<size_t>(wrong), rows.size());
  return wrong == 0 && good && clean_stop ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Shows Gatehouse at work on this kernel: see ./run demo");
  std::string backend = "auto";
  std::string policies;
  app.add_option("--backend", backend, "auto, lsm, fmod_ret or signal")->capture_default_str();
  app.add_option("--policies", policies, "demo/policies.yaml")->required();
  CLI11_PARSE(app, argc, argv);
  const std::string bin = fs::read_symlink("/proc/self/exe").parent_path();
  NoteStopSignals();
  try {
    return Demo(bin, policies, backend);
  } catch (const Interrupted&) {
    constexpr int kSignalled = 128;  // as shells count
    fmt::print("\ninterrupted; the daemon has stopped and nothing is left behind.\n");
    return kSignalled + stop_signal;
  }
}
