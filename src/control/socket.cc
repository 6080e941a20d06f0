// SPDX-License-Identifier: Apache-2.0
#include "control/socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

namespace gatehouse::control {
namespace {

constexpr mode_t kOwnerOnlyMask = 0177;

struct Listener {
  pid_t pid = 0;  ///< 0: in another pid namespace
};

/// The process that listens on `path`, if there is one. unix(7), SO_PEERCRED: the credentials of
/// the process that called listen(2).
Result<std::optional<Listener>> FindListener(const std::string& path, const sockaddr_un& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return FailErrno(path, "no unix socket can be made", errno);
  std::optional<Listener> listener;
  int failure = 0;
  // EAGAIN: somebody listens, with a full queue.
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ||
      errno == EAGAIN) {
    ucred credentials{};
    socklen_t size = sizeof(credentials);
    (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size);
    listener = Listener{credentials.pid};
  } else if (errno != ECONNREFUSED && errno != ENOENT) {
    failure = errno;
  }
  close(fd);
  if (failure != 0) return FailErrno(path, "the socket cannot be tried", failure);
  return listener;
}

}  // namespace

Result<void> ClaimSocket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return Fail(ErrorCode::kInvalid, path,
                "the path of a unix socket has 1 to " +
                    std::to_string(sizeof(address.sun_path) - 1) + " bytes",
                "choose a shorter --control-socket");
  }
  std::memcpy(address.sun_path, path.data(), path.size());

  const std::filesystem::path directory = std::filesystem::path(path).parent_path();
  std::error_code error;
  if (!directory.empty()) std::filesystem::create_directories(directory, error);
  if (error) {
    return FailErrno(directory, "the socket's directory cannot be made", error.value(),
                     "start as root, or choose another --control-socket");
  }
  struct stat status{};
  if (lstat(path.c_str(), &status) != 0) {
    if (errno == ENOENT) return {};
    return FailErrno(path, "cannot be looked at", errno);
  }
  if (!S_ISSOCK(status.st_mode)) {
    return Fail(ErrorCode::kRefused, path, "something that is no socket is there",
                "remove it, or choose another --control-socket");
  }
  GH_ASSIGN(const std::optional<Listener> listener, FindListener(path, address));
  if (listener) {
    return Fail(ErrorCode::kRefused, path,
                "another daemon listens there" +
                    (listener->pid > 0 ? " (pid " + std::to_string(listener->pid) + ")" : ""),
                "stop it first, or choose another --control-socket");
  }
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    return FailErrno(path, "the stale socket cannot be removed", errno);
  }
  return {};
}

OwnerOnly::OwnerOnly() : previous_(umask(kOwnerOnlyMask)) {}

OwnerOnly::~OwnerOnly() { umask(static_cast<mode_t>(previous_)); }

}  // namespace gatehouse::control
