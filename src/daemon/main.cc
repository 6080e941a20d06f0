// SPDX-License-Identifier: Apache-2.0
// gatehoused: the daemon.
#include <fmt/core.h>
#include <malloc.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <exception>

#include "daemon/daemon.h"
#include "daemon/log.h"
#include "daemon/options.h"
#include "kernel/kernel.h"

namespace gatehouse::daemon {
namespace {

constexpr int kFailed = 1;

/// Signals as requests. Made before any thread, so that none of them takes a signal away.
class SignalRequests {
 public:
  SignalRequests() {
    sigset_t signals;
    sigemptyset(&signals);
    for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    fd_ = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    std::signal(SIGPIPE, SIG_IGN);  // a reader that has gone is an error of write(2)
  }
  ~SignalRequests() {
    if (fd_ >= 0) close(fd_);
  }
  SignalRequests(const SignalRequests&) = delete;
  SignalRequests& operator=(const SignalRequests&) = delete;

  [[nodiscard]] bool good() const { return fd_ >= 0; }
  [[nodiscard]] Requests requests() const {
    return {.fd = fd_, .take = [fd = fd_] {
              signalfd_siginfo info{};
              if (read(fd, &info, sizeof(info)) != sizeof(info)) return Request::kNone;
              return info.ssi_signo == SIGHUP ? Request::kReread : Request::kStop;
            }};
  }

 private:
  int fd_ = -1;
};

/// Which backends work here, one line each; fails if none does.
int Probe() {
  int status = kFailed;
  for (const kernel::BackendProbe& probe : kernel::ProbeBackends()) {
    fmt::print("{}: {}\n", kernel::BackendName(probe.backend),
               probe.available ? "works" : probe.absent_because);
    if (probe.available) status = 0;
  }
  return status;
}

/// As many heaps as threads would each keep what they once needed.
constexpr int kHeaps = 2;
/// What is larger has pages of its own, which go when it goes. Unless it is set, glibc raises the
/// limit to the size of the largest text ever read, and its successors leave gaps in the heap.
constexpr int kOwnPagesBytes = 1 << 20;

int Main(int argc, const char* const* argv) {
  const auto options = ParseCommandLine(argc, argv);
  if (!options) {
    fmt::print(options.error().status == 0 ? stdout : stderr, "{}", options.error().text);
    return options.error().status;
  }
  if (options->probe_only) return Probe();
  mallopt(M_ARENA_MAX, kHeaps);
  mallopt(M_MMAP_THRESHOLD, kOwnPagesBytes);
  const SignalRequests signals;
  const auto log = MakeLogger(options->log_level, options->log_format);
  if (!signals.good()) {
    log->error("signals cannot be waited for; raise the limit of open files");
    return kFailed;
  }
  log->info("gatehoused {} starts on node {}", GATEHOUSE_VERSION, options->node_name);
  const auto daemon = Daemon::Start(*options, SystemPlatform(), log);
  if (!daemon) {
    log->error("cannot start: {}", daemon.error().Message());
    return kFailed;
  }
  (*daemon)->Run(signals.requests());
  return 0;
}

}  // namespace
}  // namespace gatehouse::daemon

int main(int argc, char** argv) {
  try {
    return gatehouse::daemon::Main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "gatehoused: {}\n", error.what());
    return 1;
  }
}
