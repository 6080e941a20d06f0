// SPDX-License-Identifier: Apache-2.0
#include "kernel/lineages.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <climits>
#include <filesystem>
#include <fstream>
#include <string_view>

#include "base/fd.h"
#include "kernel/libbpf_log.h"
#include "kernel/namespaces.h"
#include "kernel/proc.h"

namespace gatehouse::kernel {
namespace {

namespace fs = std::filesystem;

/// How often /proc is read: once more whenever there was a process that nobody had noted, as its
/// parent forked it before that was noted itself.
constexpr int kReadingsMax = 10;

/// By gh_capability_set.
constexpr std::array<std::string_view, GH_CAPABILITIES_COUNT> kCapabilityLines{
    "CapEff:", "CapInh:", "CapPrm:"};

void ReadCapabilities(const fs::path& process, gh_lineage& lineage) {
  std::ifstream status(process / "status");
  for (std::string key; status >> key;) {
    const auto* const line = std::ranges::find(kCapabilityLines, key);
    if (line == kCapabilityLines.end()) continue;
    uint64_t& set = lineage.capabilities[line - kCapabilityLines.begin()];
    status >> std::hex >> set >> std::dec;
  }
}

std::string ProgramOf(const fs::path& process) {
  std::error_code error;
  return fs::read_symlink(process / "exe", error).string();
}

/// The address of the name that the process was started as (AT_EXECFN of getauxval(3)); 0: unknown.
uint64_t AddressOfName(const std::string& process) {
  std::ifstream file(process + "/auxv", std::ios::binary);
  std::array<uint64_t, 2> entry{};
  while (file.read(reinterpret_cast<char*>(entry.data()), sizeof(entry))) {
    if (entry[0] == AT_EXECFN) return entry[1];
  }
  return 0;
}

/// The name, if it is absolute; else what it was relative to is not known any more.
std::string StartedAs(const std::string& process) {
  const uint64_t address = AddressOfName(process);
  const Fd memory(open((process + "/mem").c_str(), O_RDONLY | O_CLOEXEC));
  std::string name(PATH_MAX, '\0');
  const ssize_t bytes =
      address == 0 ? -1
                   : pread(memory.get(), name.data(), name.size(), static_cast<off_t>(address));
  const size_t end = bytes > 0 ? name.find('\0') : 0;
  if (bytes <= 0 || end >= static_cast<size_t>(bytes) || name[0] != '/') return {};
  name.resize(end);
  return name;
}

uint32_t PidOf(const fs::path& name) {
  const std::string text = name.string();
  uint32_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  return error == std::errc() && end == text.data() + text.size() ? pid : 0;
}

}  // namespace

std::string ScriptOf(const std::string& process) {
  const std::string name = StartedAs(process);
  if (name.empty()) return {};
  const Fd root(open((process + "/root").c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const Fd script = OpenInRoot(root, name);
  struct stat status{};
  std::array<char, 2> begins{};
  if (fstat(script.get(), &status) != 0 || !S_ISREG(status.st_mode) ||
      pread(script.get(), begins.data(), begins.size(), 0) != ssize_t{begins.size()} ||
      begins != std::array{'#', '!'}) {
    return {};
  }
  std::error_code error;
  return fs::read_symlink("/proc/self/fd/" + std::to_string(script.get()), error).string();
}

std::vector<RunningProcess> ReadProcesses(const std::string& proc) {
  std::vector<RunningProcess> processes;
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(proc, error)) {
    const uint32_t pid = PidOf(entry.path().filename());
    if (pid == 0) continue;
    const Result<ProcessStat> stat = ReadStat(proc, pid);
    if (!stat) continue;
    RunningProcess process{.pid = pid, .parent = stat->parent, .program = ProgramOf(entry.path())};
    process.lineage.start_ticks = stat->start_ticks;
    ReadCapabilities(entry.path(), process.lineage);
    std::ranges::copy(NamespacesOf(entry.path().string()), process.lineage.namespaces);
    processes.push_back(std::move(process));
  }
  return processes;
}

std::vector<std::string> ProgramsOf(const RunningProcess& process,
                                    const std::vector<RunningProcess>& all) {
  std::vector<std::string> programs;
  const RunningProcess* each = &process;
  for (size_t depth = 0; depth < all.size() && programs.size() < GH_PROGRAMS_MAX; ++depth) {
    const bool known = std::ranges::find(programs, each->program) != programs.end();
    if (!each->program.empty() && !known) programs.push_back(each->program);
    const auto parent = std::ranges::find(all, each->parent, &RunningProcess::pid);
    if (parent == all.end()) break;
    each = &*parent;
  }
  return programs;
}

bool Lineages::IsAskedBy(const compile::HookProgram& hook) {
  return std::ranges::any_of(hook.inputs, [](const compile::Input& input) {
    return input.subject >= GH_SUBJECT_NAMESPACE_CHANGES && input.subject < GH_SUBJECT_COUNT;
  });
}

Result<void> Lineages::Start() {
  if (skeleton_) return {};
  const LibbpfLog log;
  GH_ASSIGN(Skeleton skeleton, OpenSharing(shared_));
  std::vector programs{skeleton->progs.lineage_exec, skeleton->progs.lineage_fork,
                       skeleton->progs.lineage_exit};
  if (scripts_) programs.push_back(skeleton->progs.lineage_execve);
  for (bpf_program* program : programs) bpf_program__set_autoload(program, true);
  if (const int error = gatehouse_bpf::load(skeleton.get()); error != 0) {
    return FailErrno("lineages", "the kernel refuses the programs", -error, log.Tail());
  }
  std::vector<Link> links;
  for (const bpf_program* program : programs) {
    links.emplace_back(bpf_program__attach(program));
    if (!links.back()) {
      return FailErrno(bpf_program__section_name(program), "cannot attach", errno, log.Tail());
    }
  }
  skeleton_ = std::move(skeleton);
  links_ = std::move(links);
  ReadRunning();
  return {};
}

void Lineages::ReadRunning() const {
  const int map = bpf_map__fd(shared_.maps.lineages);
  bool found_one = true;
  for (int reading = 0; reading < kReadingsMax && found_one; ++reading) {
    found_one = false;
    const std::vector<RunningProcess> processes = ReadProcesses("/proc");
    for (const RunningProcess& process : processes) {
      gh_lineage lineage{};
      if (bpf_map_lookup_elem(map, &process.pid, &lineage) == 0) continue;
      lineage = process.lineage;
      for (const std::string& program : ProgramsOf(process, processes)) {
        lineage.programs[lineage.n_programs++] = compile::Digest(key_, program);
      }
      const std::string script =
          scripts_ ? ScriptOf("/proc/" + std::to_string(process.pid)) : std::string();
      if (!script.empty()) lineage.script = compile::Digest(key_, script);
      if (bpf_map_update_elem(map, &process.pid, &lineage, BPF_NOEXIST) == 0) found_one = true;
    }
  }
}

std::vector<ProgramStatus> Lineages::programs() const {
  return skeleton_ ? ProgramsIn(*skeleton_) : std::vector<ProgramStatus>();
}

}  // namespace gatehouse::kernel
