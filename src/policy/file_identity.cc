// SPDX-License-Identifier: Apache-2.0
#include "policy/file_identity.h"

#include <array>
#include <charconv>
#include <string>
#include <system_error>

#include "policy/diagnostics.h"

namespace gatehouse::policy {
namespace {

/// MINORBITS of the kernel, include/linux/kdev_t.h.
constexpr uint32_t kMinorBits = 20;
constexpr uint64_t kMajorMax = (uint64_t{1} << 12) - 1;
constexpr uint64_t kMinorMax = (uint64_t{1} << kMinorBits) - 1;

}  // namespace

gh_address_range FileIdentity(uint32_t major, uint32_t minor, uint64_t inode) {
  const uint64_t device = uint64_t{major} << kMinorBits | minor;
  return {.first = device, .first_low = inode, .last = device, .last_low = inode};
}

Result<gh_address_range> ReadFileIdentity(std::string_view value) {
  std::array<uint64_t, 3> numbers{};
  const char* at = value.data();
  const char* const end = at + value.size();
  bool good = true;
  for (uint64_t& number : numbers) {
    if (&number != &numbers.front()) {
      good = good && at != end && *at == ':';
      if (good) ++at;
    }
    const auto [stop, error] = std::from_chars(at, end, number);
    good = good && error == std::errc();
    at = stop;
  }
  const auto [major, minor, inode] = numbers;
  if (good && at == end && major <= kMajorMax && minor <= kMinorMax) {
    return FileIdentity(static_cast<uint32_t>(major), static_cast<uint32_t>(minor), inode);
  }
  return Fail(ErrorCode::kInvalid, {}, Quote(std::string(value)) + " names no file",
              "write its absolute path, or MAJOR:MINOR:INODE, as 254:1:1234");
}

}  // namespace gatehouse::policy
