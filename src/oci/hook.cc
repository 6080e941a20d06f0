// SPDX-License-Identifier: Apache-2.0
#include "oci/hook.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <ctime>
#include <string_view>

#include "base/fd.h"
#include "base/result.h"
#include "oci/container.h"
#include "oci/deadline.h"
#include "oci/failure_record.h"
#include "oci/unary_call.h"

namespace gatehouse::oci {
namespace {

constexpr const char* kMethod = "/tetragon.FineGuidanceSensors/RuntimeHook";
/// A log that is longer becomes FILE.1.
constexpr off_t kLogBytesMax = 1 << 20;

std::string UtcNow() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  gmtime_r(&now, &parts);
  std::array<char, 32> text{};
  const size_t bytes = std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
  return {text.data(), bytes};
}

/// What others named cannot forge a line.
std::string Escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= ' ' && byte != 0x7f) {
      escaped += c;
      continue;
    }
    constexpr std::string_view kDigits = "0123456789abcdef";
    escaped += "\\x";
    escaped += kDigits[byte >> 4u];
    escaped += kDigits[byte & 0xfu];
  }
  return escaped;
}

void Log(const Options& options, const std::string& text) {
  const std::string line = Escaped(text) + "\n";
  std::fputs(("gatehouse-oci-hook: " + line).c_str(), stderr);
  if (options.log.empty()) return;
  struct stat status{};
  if (lstat(options.log.c_str(), &status) == 0 && status.st_size >= kLogBytesMax) {
    (void)rename(options.log.c_str(), (options.log + ".1").c_str());
  }
  const Fd fd(open(options.log.c_str(),
                   O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
  const std::string dated = UtcNow() + " " + line;
  if (!fd.valid() || write(fd.get(), dated.data(), dated.size()) < 0) {
    std::fputs(("gatehouse-oci-hook: " + options.log + ": cannot write the log\n").c_str(), stderr);
  }
}

Result<std::string> ReadState(int fd, const Deadline& deadline) {
  std::string text;
  std::array<char, 16u << 10> buffer{};
  for (;;) {
    if (!deadline.Wait(fd, POLLIN)) {
      return Fail(ErrorCode::kSystem, "standard input", "does not end in time");
    }
    const ssize_t bytes = read(fd, buffer.data(), buffer.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return FailErrno("standard input", "cannot read", errno);
    if (bytes == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(bytes));
    if (text.size() > kStateBytesMax) return text;  // and it is refused for that
  }
}

Result<void> Announce(const Options& options, int input_fd, Container& container) {
  const Deadline deadline(options.timeout);
  GH_ASSIGN(const std::string state, ReadState(input_fd, deadline));
  GH_TRY(ReadContainer(state, container));
  return CallUnary(options.control_socket, kMethod, RuntimeHookRequest(container), deadline);
}

}  // namespace

int RunHook(const Options& options, int input_fd) {
  Container container;
  const auto announced = Announce(options, input_fd, container);
  const std::string who = container.id.empty() ? "container" : "container " + container.id;
  if (announced) {
    if (!options.log.empty()) Log(options, who + ": its policies are in the kernel");
    return 0;
  }
  const std::string ns = workload::NamespaceOf(container.annotations);
  const auto exception = options.allow_by_namespace.find(ns);
  const bool allowed =
      exception == options.allow_by_namespace.end() ? options.allow_on_failure : exception->second;
  const std::string reason = announced.error().Message();
  Log(options, who + (ns.empty() ? "" : " of namespace " + ns) +
                   (allowed ? ": starts without its policies: " : ": must not start: ") + reason);
  const auto left =
      AppendFailure(FailureDirectory(options.control_socket),
                    {.time = UtcNow(),
                     .container = container.id,
                     .ns = ns,
                     .pod = workload::FirstOf(container.annotations, workload::kCriSandboxName,
                                              workload::kKubePodName, workload::kCrioPodName),
                     .reason = reason,
                     .allowed = allowed});
  if (!left) Log(options, "the failure is not counted: " + left.error().Message());
  return allowed ? 0 : 1;
}

}  // namespace gatehouse::oci
