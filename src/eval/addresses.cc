// SPDX-License-Identifier: Apache-2.0
#include "eval/addresses.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

namespace gatehouse::eval {
namespace {

constexpr size_t kBitsOfByte = 8;
constexpr std::array<unsigned char, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

using Bits = std::vector<bool>;  // 32 of IPv4, 128 of IPv6

std::optional<Bits> ReadBits(const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  size_t length = sizeof(in_addr);
  if (inet_pton(AF_INET, text.c_str(), bytes.data()) != 1) {
    if (inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return std::nullopt;
    length = bytes.size();
  }
  Bits bits;
  for (size_t i = 0; i < length * kBitsOfByte; ++i) {
    bits.push_back((bytes.at(i / kBitsOfByte) >> (kBitsOfByte - 1 - i % kBitsOfByte) & 1) != 0);
  }
  return bits;
}

/// The bits of ::ffff:0:0/96.
Bits MappedBits() {
  Bits bits;
  for (const unsigned char byte : kMapped) bits.insert(bits.end(), kBitsOfByte, byte != 0);
  return bits;
}

struct Prefix {
  Bits bits;  // of the address, not only those of the prefix
  size_t length = 0;
};

/// As IPv4 if it is of IPv4, however it is written.
Prefix Unmapped(Prefix prefix) {
  const Bits mapped = MappedBits();
  if (prefix.length < mapped.size() || prefix.bits.size() <= mapped.size() ||
      !std::equal(mapped.begin(), mapped.end(), prefix.bits.begin())) {
    return prefix;
  }
  prefix.bits.erase(prefix.bits.begin(), prefix.bits.begin() + static_cast<long>(mapped.size()));
  prefix.length -= mapped.size();
  return prefix;
}

std::optional<Prefix> ReadPrefix(const std::string& text) {
  const size_t slash = text.find('/');
  const std::optional<Bits> bits = ReadBits(text.substr(0, slash));
  if (!bits) return std::nullopt;
  if (slash == std::string::npos) return Unmapped({*bits, bits->size()});
  const std::string digits = text.substr(slash + 1);
  constexpr size_t kDigitsMax = 3;
  if (digits.empty() || digits.size() > kDigitsMax ||
      digits.find_first_not_of("0123456789") != std::string::npos) {
    return std::nullopt;
  }
  const size_t length = std::stoul(digits);
  if (length > bits->size()) return std::nullopt;
  return Unmapped({*bits, length});
}

}  // namespace

bool IsPrefix(const std::string& text) { return ReadPrefix(text).has_value(); }

bool HasPrefix(const std::string& address, const std::string& prefix) {
  const std::optional<Prefix> of = ReadPrefix(address);
  const std::optional<Prefix> wanted = ReadPrefix(prefix);
  return of && wanted && of->bits.size() == wanted->bits.size() &&
         std::equal(wanted->bits.begin(), wanted->bits.begin() + static_cast<long>(wanted->length),
                    of->bits.begin());
}

}  // namespace gatehouse::eval
