// SPDX-License-Identifier: Apache-2.0
#include "oci/failure_record.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <thread>

#include "base/fd.h"

namespace gatehouse::oci {
namespace {

using nlohmann::json;

constexpr const char* kFile = "/records";
constexpr std::chrono::milliseconds kLockAgain{5};
constexpr int kLockTries = 100;

Result<Fd> OpenRecords(const std::string& path, int flags) {
  Fd fd(open(path.c_str(), flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
  if (!fd.valid()) return FailErrno(path, "cannot open", errno);
  struct stat status{};
  if (fstat(fd.get(), &status) != 0) return FailErrno(path, "cannot look at it", errno);
  if (!S_ISREG(status.st_mode) || status.st_uid != geteuid() || status.st_nlink != 1) {
    return Fail(ErrorCode::kRefused, path, "is no file of this user's own", "remove it");
  }
  return fd;
}

/// Closing gives the lock back.
Result<void> Lock(const Fd& fd, const std::string& path, int tries) {
  for (int i = 0; flock(fd.get(), LOCK_EX | LOCK_NB) != 0; ++i) {
    if (errno != EWOULDBLOCK && errno != EINTR) return FailErrno(path, "cannot lock", errno);
    if (i + 1 >= tries) return FailErrno(path, "somebody keeps the lock", errno);
    std::this_thread::sleep_for(kLockAgain);
  }
  return {};
}

std::string Line(const Failure& failure, bool with_details) {
  nlohmann::ordered_json line;
  if (with_details) {
    for (const auto& [key, text] : {std::pair{"time", &failure.time},
                                    {"container", &failure.container},
                                    {"namespace", &failure.ns},
                                    {"pod", &failure.pod},
                                    {"reason", &failure.reason}}) {
      line[key] = text->substr(0, kFailureTextMax);
    }
  }
  line["allowed"] = failure.allowed;
  return line.dump(-1, ' ', false, json::error_handler_t::replace) + "\n";
}

std::optional<Failure> ParseLine(std::string_view text) {
  const json line = json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto allowed = line.is_object() ? line.find("allowed") : line.end();
  if (allowed == line.end() || !allowed->is_boolean()) return std::nullopt;
  Failure failure{.allowed = allowed->get<bool>()};
  for (const auto& [key, into] : {std::pair{"time", &failure.time},
                                  {"container", &failure.container},
                                  {"namespace", &failure.ns},
                                  {"pod", &failure.pod},
                                  {"reason", &failure.reason}}) {
    const auto at = line.find(key);
    if (at == line.end()) continue;
    if (!at->is_string()) return std::nullopt;
    *into = at->get<std::string>().substr(0, kFailureTextMax);
  }
  return failure;
}

}  // namespace

std::string FailureDirectory(const std::string& socket_path) {
  return (std::filesystem::path(socket_path).parent_path() / "hook-failures").string();
}

Result<void> AppendFailure(const std::string& directory, const Failure& failure) {
  std::error_code error;
  if (std::filesystem::create_directories(directory, error)) {
    std::filesystem::permissions(directory, std::filesystem::perms::owner_all, error);
  }
  if (error) return FailErrno(directory, "cannot make the directory", error.value());
  const std::string path = directory + kFile;
  GH_ASSIGN(const Fd fd, OpenRecords(path, O_WRONLY | O_APPEND | O_CREAT));
  GH_TRY(Lock(fd, path, kLockTries));
  struct stat status{};
  if (fstat(fd.get(), &status) != 0) return FailErrno(path, "cannot look at it", errno);
  const auto bytes = static_cast<size_t>(status.st_size);
  if (bytes >= 2 * kFailureBytesMax) {
    return Fail(ErrorCode::kRefused, path, "is full", "start gatehoused, which reads it");
  }
  const std::string line = Line(failure, bytes < kFailureBytesMax);
  if (write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size())) {
    return FailErrno(path, "cannot write", errno);
  }
  return {};
}

Result<Failures> TakeFailures(const std::string& directory) {
  const std::string path = directory + kFile;
  if (access(path.c_str(), F_OK) != 0 && errno == ENOENT) return Failures{};
  GH_ASSIGN(const Fd fd, OpenRecords(path, O_RDWR));
  GH_TRY(Lock(fd, path, 1));
  // A hook writes no more than this and one line; what is beyond was put there by somebody else.
  std::string text(2 * kFailureBytesMax + 8 * kFailureTextMax, '\0');
  const ssize_t bytes = pread(fd.get(), text.data(), text.size(), 0);
  if (bytes < 0) return FailErrno(path, "cannot read", errno);
  text.resize(static_cast<size_t>(bytes));
  if (ftruncate(fd.get(), 0) != 0) return FailErrno(path, "cannot empty it", errno);
  Failures failures;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    auto failure = ParseLine(std::string_view(text).substr(begin, end - begin));
    if (failure) {
      failures.read.push_back(std::move(*failure));
    } else {
      ++failures.unreadable;
    }
    begin = end + 1;
  }
  return failures;
}

}  // namespace gatehouse::oci
