// SPDX-License-Identifier: Apache-2.0
// Policies on hooks other than those of executions. Where the kernel allows no trampoline, on
// system calls.
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>

#include "benches.h"
#include "bind/test_documents.h"
#include "engine.h"
#include "kernel_objects.h"
#include "memory.h"
#include "statistics.h"

namespace gatehouse::bench {
namespace {

constexpr double kAttachLimitMs = 150;
constexpr double kAddLimitMs = 5;
constexpr double kRatioLimit = 1.10;
constexpr double kPolicyLimitBytes = 512;
constexpr double kQuiet = 0.1;

/// With a trampoline this runs in an emulated machine (docs/benchmarks.md), whose times say nothing
/// of a real one: they are in the tables, and are no figures. It is a machine of our own, too.
bool IsEmulated(const Settings& settings) { return settings.backend != kernel::Backend::kSignal; }

constexpr uint32_t kOpensOfRound = 500;

// Of kernels from 5.10 on, beside that of opened files; each is called with arguments that say
// nothing here.
constexpr std::array kLsmHooks{
    "file_permission",   "file_ioctl",        "file_lock",          "file_fcntl",
    "file_receive",      "file_mprotect",     "inode_create",       "inode_link",
    "inode_unlink",      "inode_symlink",     "inode_mkdir",        "inode_rmdir",
    "inode_mknod",       "inode_rename",      "inode_readlink",     "inode_permission",
    "inode_setattr",     "inode_getattr",     "inode_getxattr",     "inode_listxattr",
    "path_unlink",       "path_mkdir",        "path_rmdir",         "path_mknod",
    "path_truncate",     "path_symlink",      "path_link",          "path_rename",
    "path_chmod",        "path_chown",        "path_chroot",        "socket_create",
    "socket_bind",       "socket_connect",    "socket_listen",      "socket_accept",
    "socket_sendmsg",    "socket_recvmsg",    "socket_getsockname", "socket_getpeername",
    "socket_getsockopt", "socket_setsockopt", "socket_shutdown",    "socket_socketpair",
    "task_alloc",        "task_setpgid",      "task_getpgid",       "task_getsid",
    "task_setnice",      "task_setioprio",    "task_getioprio",     "task_setscheduler",
    "task_getscheduler", "task_movememory",   "task_kill",          "task_prctl",
    "sb_statfs",         "sb_mount",          "sb_umount",          "sb_remount",
    "sb_pivotroot",      "ptrace_traceme",    "mmap_file"};
constexpr std::array kSystemCalls{
    "read",    "write",    "close",  "stat",    "fstat",   "lstat",    "poll",      "lseek",
    "mmap",    "mprotect", "munmap", "brk",     "ioctl",   "pread64",  "pwrite64",  "readv",
    "writev",  "access",   "pipe",   "select",  "madvise", "dup",      "dup2",      "getitimer",
    "alarm",   "sendfile", "socket", "connect", "accept",  "sendto",   "recvfrom",  "sendmsg",
    "recvmsg", "shutdown", "bind",   "listen",  "clone",   "fork",     "vfork",     "execve",
    "kill",    "uname",    "semget", "semop",   "semctl",  "shmdt",    "msgget",    "msgsnd",
    "msgrcv",  "msgctl",   "fcntl",  "flock",   "fsync",   "truncate", "ftruncate", "getcwd",
    "chdir",   "rename",   "mkdir",  "rmdir",   "creat",   "link",     "unlink"};

/// The hook that files are opened on, and 63 more.
class Hooks {
 public:
  explicit Hooks(kernel::Backend backend) : of_lsm_(backend != kernel::Backend::kSignal) {}

  [[nodiscard]] policy::Hook OfOpen() const {
    policy::Hook hook = Named(of_lsm_ ? "file_open" : "openat");
    hook.arguments = {of_lsm_ ? policy::Argument{0, policy::ArgumentType::kFile, "", {}}
                              : policy::Argument{1, policy::ArgumentType::kString, "", {}}};
    return hook;
  }
  [[nodiscard]] static size_t size() { return 1 + kLsmHooks.size(); }
  [[nodiscard]] policy::Hook At(size_t i) const {
    return i == 0 ? OfOpen() : Named(of_lsm_ ? kLsmHooks.at(i - 1) : kSystemCalls.at(i - 1));
  }

 private:
  [[nodiscard]] policy::Hook Named(const char* name) const {
    policy::Hook hook;
    hook.kind = of_lsm_ ? policy::HookKind::kLsm : policy::HookKind::kKprobe;
    hook.system_call = !of_lsm_;
    hook.call = name;
    return hook;
  }

  bool of_lsm_;
};
static_assert(kLsmHooks.size() == kSystemCalls.size());

policy::Filter In(policy::Subject subject, std::vector<std::string> values) {
  policy::Filter filter = test::ObjectFilter(policy::Operator::kIn, std::move(values));
  filter.subject = subject;
  return filter;
}

/// A policy about one workload, on one hook, that never matches: on opened files by their paths,
/// else by the process's id.
policy::Document About(uint32_t workload, policy::Hook hook, const std::string& name,
                       const Policy& values) {
  const bool of_paths = !hook.arguments.empty();
  hook.selectors = {test::Selector({of_paths ? In(policy::Subject::kArgument, values.allowed)
                                             : In(policy::Subject::kPid, {"1"})},
                                   {test::NoPost()})};
  policy::Spec spec;
  spec.hooks.push_back(std::move(hook));
  return test::PolicyDocument(name, Engine::Selecting(workload), std::move(spec));
}

Result<double> AddMs(Engine& engine, const policy::Document& policy) {
  const auto begin = std::chrono::steady_clock::now();
  GH_TRY(engine.Change([&](auto& transaction) { return transaction.Add(policy); }));
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin)
      .count();
}

Result<std::unique_ptr<Engine>> StartEngine(const Settings& settings) {
  kernel::Options options;
  options.backend = settings.backend;
  options.base_events = kernel::BaseEvents::kOff;
  return Engine::Start(options);
}

// ---- first policies
// -----------------------------------------------------------------------------

Result<void> MeasureAttach(const Settings& settings, std::span<const Workload> workloads,
                           const Policy& values, Report& report) {
  const Hooks hooks(settings.backend);
  std::vector<double> first, further;
  for (int round = 0; round < 5; ++round) {
    GH_ASSIGN(const auto engine, StartEngine(settings));
    GH_TRY(engine->AddWorkloads(workloads.first(1)));
    for (size_t i = 0; i < 8; ++i) {
      GH_ASSIGN(const double ms,
                AddMs(*engine, About(0, hooks.At(i), "p" + std::to_string(i), values)));
      (i == 0 ? first : further).push_back(ms);
    }
  }
  report.Table("Time until the first policy on a hook is in force, milliseconds",
               {"hook", "p50", "longest"},
               {{"first since the start", Quantile(first, 0.5), Quantile(first, 1)},
                {"7 further hooks", Quantile(further, 0.5), Quantile(further, 1)}});
  first.insert(first.end(), further.begin(), further.end());
  if (IsEmulated(settings)) return {};
  report.Add(
      {"hook attached by its first policy, longest", kAttachLimitMs, Quantile(first, 1), "ms"});
  return {};
}

// ---- opened files
// -------------------------------------------------------------------------------

/// A process in a cgroup that opens a file when it is told to. To be made before anything is loaded
/// into the kernel, because it would hold that, too.
class Opener {
 public:
  explicit Opener(const std::string& cgroup) {
    std::array<int, 2> sockets{};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()) != 0) abort();
    child_ = kernel::testing::ForkInto(cgroup);
    if (child_ == 0) {
      close(sockets[0]);
      Serve(sockets[1]);
    }
    close(sockets[1]);
    socket_ = sockets[0];
  }
  ~Opener() {
    close(socket_);
    waitpid(child_, nullptr, 0);
  }
  Opener(const Opener&) = delete;
  Opener& operator=(const Opener&) = delete;

  /// Opens and closes kOpensOfRound times.
  void Round() const {
    char byte = 0;
    if (write(socket_, &byte, 1) != 1 || read(socket_, &byte, 1) != 1) abort();
  }

 private:
  [[noreturn]] static void Serve(int socket) {
    char byte = 0;
    while (read(socket, &byte, 1) == 1) {
      for (uint32_t i = 0; i < kOpensOfRound; ++i) close(open("/dev/null", O_RDONLY | O_CLOEXEC));
      if (write(socket, &byte, 1) != 1) break;
    }
    _exit(0);
  }

  pid_t child_ = -1;
  int socket_ = -1;
};

/// What the gates take for one open, as the kernel measures them; the rounds that other work on the
/// machine disturbed least.
double OpenNs(const Engine& engine, const Opener& opener, const Settings& settings) {
  const std::vector<uint32_t> programs = engine.GatePrograms();
  std::vector<double> ns;
  const int rounds = settings.instructions ? 3 : 50;
  opener.Round();
  for (int i = 0; i < rounds; ++i) {
    const Runs before = RunsOf(programs);
    opener.Round();
    ns.push_back(static_cast<double>(RunsOf(programs).time_ns - before.time_ns) / kOpensOfRound);
  }
  return Quantile(ns, kQuiet);
}

Result<void> MeasureOpens(const Settings& settings, const Cgroups& cgroups,
                          std::span<const Policy> policies, Report& report) {
  const auto many = static_cast<uint32_t>(policies.size());
  const Opener bound(cgroups.workloads()[0].cgroup), unbound(cgroups.unbound());
  GH_ASSIGN(const RunStatistics statistics, RunStatistics::Enable());
  GH_ASSIGN(const auto engine, StartEngine(settings));
  GH_TRY(engine->AddWorkloads(cgroups.workloads()));
  const policy::Hook hook = Hooks(settings.backend).OfOpen();
  const auto add = [&](uint32_t workload, uint32_t number) {
    return AddMs(*engine, About(workload, hook, "p" + std::to_string(number), policies[number]));
  };
  // Those about the bound workload come last.
  std::vector<double> added_ms;
  GH_TRY(add(1, 0));
  std::vector<std::vector<Cell>> rows;
  const double one = OpenNs(*engine, unbound, settings);
  rows.push_back({"unbound", 0, 1, one});
  for (uint32_t number = 1; number < many; ++number) {
    GH_ASSIGN(const double ms, add(1 + number % (many - 1), number));
    added_ms.push_back(ms);
  }
  const double all = OpenNs(*engine, unbound, settings);
  rows.push_back({"unbound", 0, many, all});
  uint32_t about = 0;
  std::vector<double> costs;
  for (const uint32_t goal : {1U, 4U, 16U, 64U, 256U}) {
    for (; about < goal; ++about) {
      GH_TRY(
          AddMs(*engine, About(0, hook, "bound-" + std::to_string(about), policies[about % many])));
    }
    costs.push_back(OpenNs(*engine, bound, settings));
    rows.push_back({"bound", goal, many + goal, costs.back()});
  }
  const char* unit = settings.instructions ? "instructions" : "ns";
  report.Table(std::string("Cost of one opened file, ") + unit +
                   " in the programs, lowest tenth of the rounds; 50 values a policy",
               {"workload", "policies about it", "policies on the hook", "cost"}, rows);
  if (IsEmulated(settings) && !settings.instructions) return {};
  report.Add({"opened file, unbound, " + std::to_string(many) + " policies against 1", kRatioLimit,
              all / one, "times"});
  report.Add({"each policy more about the workload, 64 to 256 against 4 to 16", kRatioLimit,
              (costs[4] - costs[3]) / 192 / ((costs[2] - costs[1]) / 12), "times"});
  if (IsEmulated(settings)) return {};
  report.Add({"policy added to an attached hook, up to " + std::to_string(many) + " there, p99",
              kAddLimitMs, Quantile(added_ms, 0.99), "ms"});
  return {};
}

// ---- many hooks
// ---------------------------------------------------------------------------------

Result<void> AddToHook(Engine& engine, const policy::Hook& hook, std::span<const Policy> policies) {
  return engine.Change([&](bind::Resolver::Transaction& transaction) -> Result<void> {
    for (const Policy& policy : policies) {
      GH_TRY(transaction.Add(
          About(policy.number, hook, hook.call + "-" + std::to_string(policy.number), policy)));
    }
    return {};
  });
}

Result<void> MeasureManyHooks(const Settings& settings, std::span<const Workload> workloads,
                              std::span<const Policy> policies, Report& report) {
  const Hooks hooks(settings.backend);
  GH_ASSIGN(const auto engine, StartEngine(settings));
  GH_TRY(engine->AddWorkloads(workloads));
  GH_TRY(AddToHook(*engine, hooks.At(0), policies));
  const Objects one = FindOwnObjects();
  const bool alone = IsEmulated(settings);  // the machine's caches are dropped for it
  const int64_t free_before = alone ? AvailableToKernelBytes() : 0;
  for (size_t i = 1; i < hooks.size(); ++i) GH_TRY(AddToHook(*engine, hooks.At(i), policies));
  const int64_t free_after = alone ? AvailableToKernelBytes() : 0;
  const Objects all = FindOwnObjects();
  const double added = static_cast<double>(policies.size() * (hooks.size() - 1));
  const auto memlock = [](const Objects& objects) {
    return static_cast<double>(objects.map_memlock_bytes + objects.program_memlock_bytes);
  };
  report.Table("Maps, programs and memory by number of hooks, " + std::to_string(policies.size()) +
                   " policies on each",
               {"hooks", "programs", "maps", "memlock MB"},
               {{1, one.programs.size(), one.maps.size(), memlock(one) / (1 << 20)},
                {hooks.size(), all.programs.size(), all.maps.size(), memlock(all) / (1 << 20)}});
  const std::string of = std::to_string(hooks.size()) + " hooks with " +
                         std::to_string(policies.size()) + " policies each: ";
  report.Add({of + "maps more than with 1", 0,
              static_cast<double>(all.maps.size()) - static_cast<double>(one.maps.size()), ""});
  report.Add({of + "memlock of each policy", kPolicyLimitBytes,
              (memlock(all) - memlock(one)) / added, "B"});
  if (alone) {
    report.Add({of + "fall of MemAvailable for each policy", kPolicyLimitBytes,
                static_cast<double>(free_before - free_after) / added, "B"});
  }
  return {};
}

}  // namespace

Result<void> BenchHooks(const Settings& settings, Report& report) {
  const uint32_t many = settings.quick ? 100 : 1000;
  const std::vector<Policy> policies = MakePolicies(many);
  const Cgroups cgroups(many);
  GH_TRY(MeasureOpens(settings, cgroups, policies, report));
  if (settings.instructions) return {};
  GH_TRY(MeasureAttach(settings, cgroups.workloads(), policies[0], report));
  return MeasureManyHooks(settings, cgroups.workloads(), policies, report);
}

}  // namespace gatehouse::bench
