// SPDX-License-Identifier: Apache-2.0
#include "oci/read_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/fd.h"

namespace gatehouse::oci {

Result<std::string> ReadFile(const std::string& path, size_t bytes_max) {
  // A fifo or a device is not waited for.
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat status{};
  if (!fd.valid() || fstat(fd.get(), &status) != 0) return FailErrno(path, "cannot read", errno);
  if (!S_ISREG(status.st_mode)) return Fail(ErrorCode::kInvalid, path, "is no file");
  std::string text;
  std::array<char, 32u << 10> buffer{};
  for (;;) {
    const ssize_t bytes = read(fd.get(), buffer.data(), buffer.size());
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return FailErrno(path, "cannot read", errno);
    if (bytes == 0) return text;
    if (text.size() + static_cast<size_t>(bytes) > bytes_max) {
      return Fail(ErrorCode::kInvalid, path,
                  "is longer than " + std::to_string(bytes_max) + " bytes");
    }
    text.append(buffer.data(), static_cast<size_t>(bytes));
  }
}

}  // namespace gatehouse::oci
