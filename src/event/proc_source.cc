// SPDX-License-Identifier: Apache-2.0
#include "event/proc_source.h"

#include <charconv>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string_view>
#include <utility>

namespace gatehouse::event {
namespace {

namespace fs = std::filesystem;

// What can be read: a process may end after its file was opened, and then reading fails (ESRCH). An
// iterator over the buffer would let that out as an exception; this operator does not.
std::string ReadAll(const std::string& path) {
  const std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::string ReadLink(const std::string& path) {
  std::error_code error;
  return fs::read_symlink(path, error).string();
}

template <typename Number>
std::optional<Number> ParseNumber(std::string_view text) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// Words of `text` separated by blanks.
std::vector<std::string_view> Words(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n";
  std::vector<std::string_view> words;
  while (true) {
    const size_t begin = text.find_first_not_of(kBlanks);
    if (begin == std::string_view::npos) return words;
    text.remove_prefix(begin);
    const size_t end = std::min(text.find_first_of(kBlanks), text.size());
    words.push_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

// The values of the line "name:\tvalue value ..." of a status file.
std::vector<std::string_view> StatusValues(std::string_view status, std::string_view name) {
  const std::string line_start = "\n" + std::string(name) + ":";
  const size_t begin = status.find(line_start);
  if (begin == std::string_view::npos) return {};
  status.remove_prefix(begin + line_start.size());
  return Words(status.substr(0, status.find('\n')));
}

// Marks a path of /proc/PID/exe whose file was removed; it is no part of the path.
void RemoveDeletedMark(std::string* path) {
  constexpr std::string_view kMark = " (deleted)";
  if (path->ends_with(kMark)) path->resize(path->size() - kMark.size());
}

}  // namespace

std::optional<ProcProcess> ProcFilesystem::Read(uint32_t pid) const {
  const std::string directory = root_ + "/" + std::to_string(pid);
  const std::string stat = ReadAll(directory + "/stat");
  // The name (field 2) is in parentheses and may contain anything, so the last ')' ends it.
  const size_t name_end = stat.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  const std::vector<std::string_view> fields = Words(std::string_view(stat).substr(name_end + 1));
  // proc(5) counts fields from 1; the first word behind the name is field 3.
  constexpr size_t kParent = 4 - 3;
  constexpr size_t kStart = 22 - 3;
  constexpr size_t kStartStack = 28 - 3;
  if (fields.size() <= kStart) return std::nullopt;
  const auto parent = ParseNumber<uint32_t>(fields[kParent]);
  const auto start = ParseNumber<uint64_t>(fields[kStart]);
  if (!parent || !start) return std::nullopt;

  ProcProcess process;
  process.pid = pid;
  process.parent_pid = *parent;
  process.start_ticks = *start;
  if (fields.size() > kStartStack) {
    process.start_stack = ParseNumber<uint64_t>(fields[kStartStack]).value_or(0);
  }
  const std::string status = ReadAll(directory + "/status");
  if (const auto uids = StatusValues(status, "Uid"); !uids.empty()) {
    process.uid = ParseNumber<uint32_t>(uids.front()).value_or(0);
  }
  if (const auto pids = StatusValues(status, "NSpid"); !pids.empty()) {
    process.ns_pid = ParseNumber<uint32_t>(pids.back()).value_or(0);
  }
  constexpr uint32_t kNeverSet = 0xffffffff;
  process.auid = ParseNumber<uint32_t>(ReadAll(directory + "/loginuid")).value_or(kNeverSet);
  process.binary = ReadLink(directory + "/exe");
  RemoveDeletedMark(&process.binary);
  process.cwd = ReadLink(directory + "/cwd");
  process.args = ReadAll(directory + "/cmdline");
  while (process.args.ends_with('\0')) process.args.pop_back();
  return process;
}

std::vector<uint32_t> ProcFilesystem::Pids() const {
  std::vector<uint32_t> pids;
  std::error_code error;
  for (fs::directory_iterator it(root_, error), end; !error && it != end; it.increment(error)) {
    if (const auto pid = ParseNumber<uint32_t>(it->path().filename().native())) {
      pids.push_back(*pid);
    }
  }
  return pids;
}

}  // namespace gatehouse::event
