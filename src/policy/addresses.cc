// SPDX-License-Identifier: Apache-2.0
#include "policy/addresses.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "policy/diagnostics.h"

namespace gatehouse::policy {
namespace {

__extension__ using Number = unsigned __int128;

constexpr uint32_t kBits = 128;
constexpr uint32_t kBitsOfIpv4 = 32;
constexpr uint32_t kBitsOfHalf = 64;
constexpr uint32_t kBitsOfByte = 8;
/// ::ffff:0:0/96, RFC 4291, 2.5.5.2.
constexpr Number kMapped = Number{0xffff} << kBitsOfIpv4;
constexpr Number kMappedLast = kMapped + std::numeric_limits<uint32_t>::max();

struct Address {
  Number number = 0;
  uint32_t bits = kBits;  ///< that its family has
};

std::optional<Address> ParseAddress(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  const bool ipv4 = inet_pton(AF_INET, text.c_str(), bytes.data()) == 1;
  if (!ipv4 && inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return std::nullopt;
  const size_t length = ipv4 ? sizeof(in_addr) : bytes.size();
  Number number = 0;
  for (size_t i = 0; i < length; ++i) number = number << kBitsOfByte | bytes.at(i);
  return ipv4 ? Address{kMapped | number, kBitsOfIpv4} : Address{number, kBits};
}

std::optional<uint32_t> ParseLength(std::string_view text, uint32_t most) {
  uint32_t length = 0;
  const char* const end = std::to_address(text.end());
  const auto [parsed, error] = std::from_chars(std::to_address(text.begin()), end, length);
  const bool good = parsed == end && error == std::errc() && length <= most;
  return good ? std::optional(length) : std::nullopt;
}

gh_address_range RangeOf(Number first, Number last) {
  return {.first = static_cast<uint64_t>(first >> kBitsOfHalf),
          .first_low = static_cast<uint64_t>(first),
          .last = static_cast<uint64_t>(last >> kBitsOfHalf),
          .last_low = static_cast<uint64_t>(last)};
}

}  // namespace

Result<std::vector<gh_address_range>> ReadAddresses(std::string_view value) {
  const size_t slash = value.find('/');
  const std::optional<Address> address = ParseAddress(std::string(value.substr(0, slash)));
  if (!address) {
    return Fail(ErrorCode::kInvalid, {}, fmt::format("{} is not an address", Quote(value)),
                "write an IPv4 or IPv6 address, alone or with a prefix as 10.0.0.0/8");
  }
  uint32_t free_bits = 0;
  if (slash != value.npos) {
    const auto length = ParseLength(value.substr(slash + 1), address->bits);
    if (!length) {
      return Fail(ErrorCode::kInvalid, {},
                  fmt::format("{} has no prefix length from 0 to {}", Quote(value), address->bits),
                  fmt::format("write it behind the slash, as /{}", address->bits));
    }
    free_bits = address->bits - *length;
  }
  const Number free = free_bits == kBits ? ~Number{0} : (Number{1} << free_bits) - 1;
  const Number first = address->number & ~free;
  const Number last = address->number | free;
  if (first >= kMapped || last < kMappedLast) return std::vector{RangeOf(first, last)};
  std::vector ranges{RangeOf(first, kMapped - 1)};
  if (last > kMappedLast) ranges.push_back(RangeOf(kMappedLast + 1, last));
  return ranges;
}

}  // namespace gatehouse::policy
