// SPDX-License-Identifier: Apache-2.0
#include "cli/containerd_config.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>

namespace gatehouse::cli {
namespace {

constexpr std::string_view kObject = "config.toml";
/// At the end of each line of ours.
constexpr std::string_view kMark = "  # by gatehouse hook install";
/// Before a line that was there and gave way.
constexpr std::string_view kStored = "# kept by gatehouse hook install: ";

struct Version {
  const char* number;
  const char* plugin;
};
constexpr Version kVersions[] = {{"2", "io.containerd.grpc.v1.cri"},
                                 {"3", "io.containerd.cri.v1.runtime"}};

/// A runtime's table, by lines: [header, end).
struct Table {
  std::string name;
  size_t header = 0, end = 0;
  std::string type = {};
  std::optional<size_t> spec_line = {};
  std::string spec = {};
};

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

std::string Joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text.append(line).append("\n");
  return text;
}

std::string SpecLine(const std::string& spec_path) {
  return "base_runtime_spec = \"" + spec_path + "\"";
}

tl::unexpected<Error> ByHand(const std::string& cause, const std::string& spec_path) {
  return Fail(ErrorCode::kRefused, std::string(kObject), cause,
              "write it yourself: " + SpecLine(spec_path) +
                  " in the table of each runtime below containerd.runtimes of the CRI plugin");
}

/// `key = "value"` or `key = 'value'`, alone on its line.
std::optional<std::string> ValueOf(const std::string& line, const std::string& key) {
  const std::regex form("^\\s*" + key +
                        R"re(\s*=\s*(?:"([^"\\]*)"|'([^']*)'|(\d+))\s*(?:#.*)?$)re");
  std::smatch match;
  if (!std::regex_match(line, match, form)) return std::nullopt;
  return match[1].str() + match[2].str() + match[3].str();
}

bool IsHeader(const std::string& line) {
  const size_t first = line.find_first_not_of(" \t");
  return first != std::string::npos && line[first] == '[';
}

Result<const Version*> VersionOf(const std::vector<std::string>& lines,
                                 const std::string& spec_path) {
  for (const std::string& line : lines) {
    if (IsHeader(line)) break;
    const auto number = ValueOf(line, "version");
    for (const Version& version : kVersions) {
      if (number == version.number) return &version;
    }
  }
  return ByHand("says neither version = 2 nor version = 3 at its beginning", spec_path);
}

Result<std::vector<Table>> TablesOf(const std::vector<std::string>& lines, const Version& version,
                                    const std::string& spec_path) {
  std::string plugin = version.plugin;
  for (size_t at = plugin.find('.'); at != std::string::npos; at = plugin.find('.', at + 2)) {
    plugin.insert(at, "\\");
  }
  const std::regex header(
      R"(^\s*\[\s*plugins\s*\.\s*["'])" + plugin +
      R"(["']\s*\.\s*containerd\s*\.\s*runtimes\s*\.\s*["']?([\w-]+)["']?\s*\]\s*(?:#.*)?$)");
  const std::regex inner(
      R"(^\s*\[\s*plugins\b.*\bcontainerd\s*\.\s*runtimes(\s*\.[^\]]*)?\]\s*(?:#.*)?$)");
  std::vector<Table> tables;
  Table* open = nullptr;
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string& line = lines[i];
    if (line.find("\"\"\"") != std::string::npos || line.find("'''") != std::string::npos) {
      return ByHand("has texts of several lines", spec_path);
    }
    std::smatch match;
    if (IsHeader(line)) {
      if (open != nullptr) open->end = i;
      open = nullptr;
      if (std::regex_match(line, match, header)) {
        tables.push_back({.name = match[1].str(), .header = i, .end = lines.size()});
        open = &tables.back();
      } else if (line.find("runtimes") != std::string::npos && !std::regex_match(line, inner)) {
        return ByHand("line " + std::to_string(i + 1) + " is not understood", spec_path);
      }
      continue;
    }
    const std::string code = line.substr(0, line.find('#'));
    if (code.find("runtimes") != std::string::npos) {
      return ByHand("has runtimes in line " + std::to_string(i + 1) + " and no table of their own",
                    spec_path);
    }
    if (open == nullptr) continue;
    if (auto type = ValueOf(line, "runtime_type")) open->type = *type;
    if (code.find("base_runtime_spec") == std::string::npos) continue;
    const auto spec = ValueOf(line, "base_runtime_spec");
    if (!spec) return ByHand("line " + std::to_string(i + 1) + " is not understood", spec_path);
    open->spec_line = i;
    open->spec = *spec;
  }
  return tables;
}

}  // namespace

std::string RemoveBaseSpec(std::string_view text) {
  std::vector<std::string> kept;
  for (std::string& line : Lines(text)) {
    if (line.ends_with(kMark)) continue;
    const size_t stored = line.find(kStored);
    if (stored != std::string::npos) line.erase(stored, kStored.size());
    kept.push_back(std::move(line));
  }
  return Joined(kept);
}

Result<ContainerdEdit> AddBaseSpec(std::string_view text, const std::string& spec_path) {
  std::vector<std::string> lines = Lines(RemoveBaseSpec(text));
  const std::string mark(kMark);
  if (lines.empty()) lines.push_back("version = 2" + mark);
  GH_ASSIGN(const Version* version, VersionOf(lines, spec_path));
  GH_ASSIGN(const std::vector<Table> tables, TablesOf(lines, *version, spec_path));
  ContainerdEdit edit;
  // From the end, so that the numbers of the lines before stay.
  for (auto table = tables.rbegin(); table != tables.rend(); ++table) {
    const bool is_runc = table->type.starts_with("io.containerd.runc.") ||
                         (table->type.empty() && table->name == "runc");
    if (!is_runc) {
      edit.left_alone.insert(edit.left_alone.begin(), table->name);
      continue;
    }
    if (!table->spec.empty() && table->spec != spec_path) {
      return Fail(ErrorCode::kRefused, std::string(kObject),
                  "runtime " + table->name + " has a base_runtime_spec of its own, " + table->spec,
                  "add the hook to that file: gatehouse hook install containerd --print shows it");
    }
    if (table->spec_line) {
      std::string& line = lines[*table->spec_line];
      line.insert(line.find_first_not_of(" \t"), kStored);
    }
    const std::string& header = lines[table->header];
    const std::string indent = header.substr(0, header.find('[')) + "  ";
    lines.insert(lines.begin() + static_cast<ptrdiff_t>(table->header) + 1,
                 indent + SpecLine(spec_path) + mark);
    edit.runtimes.insert(edit.runtimes.begin(), table->name);
  }
  if (std::ranges::none_of(tables, [](const Table& table) { return table.name == "runc"; })) {
    // containerd's default, which a table replaces as a whole.
    lines.push_back("[plugins.\"" + std::string(version->plugin) + "\".containerd.runtimes.runc]" +
                    mark);
    lines.push_back("  runtime_type = \"io.containerd.runc.v2\"" + mark);
    lines.push_back("  " + SpecLine(spec_path) + mark);
    edit.runtimes.emplace_back("runc");
  }
  edit.text = Joined(lines);
  return edit;
}

std::string BaseSpec(const std::string& hook_json) {
  using json = nlohmann::ordered_json;
  const json capabilities = {
      "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
      "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
      "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
      "CAP_KILL",    "CAP_AUDIT_WRITE"};
  json spec = json::parse(R"({
    "ociVersion": "1.0.2",
    "process": {"user": {"uid": 0, "gid": 0}, "cwd": "/", "noNewPrivileges": true},
    "root": {"path": "rootfs"},
    "mounts": [
      {"destination": "/proc", "type": "proc", "source": "proc",
       "options": ["nosuid", "noexec", "nodev"]},
      {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
       "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
      {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
       "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
      {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
       "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
      {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
       "options": ["nosuid", "noexec", "nodev"]},
      {"destination": "/sys", "type": "sysfs", "source": "sysfs",
       "options": ["nosuid", "noexec", "nodev", "ro"]},
      {"destination": "/run", "type": "tmpfs", "source": "tmpfs",
       "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]}],
    "linux": {
      "resources": {"devices": [{"allow": false, "access": "rwm"}]},
      "cgroupsPath": "/default",
      "namespaces": [{"type": "pid"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
                     {"type": "network"}],
      "maskedPaths": ["/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys",
                      "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                      "/proc/sched_debug", "/sys/firmware", "/proc/scsi"],
      "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]}
  })");
  for (const char* set : {"bounding", "effective", "permitted"}) {
    spec["process"]["capabilities"][set] = capabilities;
  }
  spec["hooks"]["createRuntime"] = json::array({json::parse(hook_json)});
  return spec.dump(2) + "\n";
}

}  // namespace gatehouse::cli
