// SPDX-License-Identifier: Apache-2.0
#include "eval/numbers.h"

#include <optional>
#include <sstream>

#include "eval/addresses.h"
#include "policy/catalog.h"

namespace gatehouse::eval {
namespace {

__extension__ using Number = __int128;  // holds the numbers of all types, and more

constexpr int kBitsOfByte = 8;

struct Range {
  Number first = 0;
  Number last = 0;
};

Range LimitsOf(policy::ArgumentType type) {
  const policy::ArgumentTypeTraits traits = policy::TraitsOf(type);
  const Number count = Number{1} << (traits.bytes * kBitsOfByte);
  return traits.is_signed ? Range{-count / 2, count / 2 - 1} : Range{0, count - 1};
}

std::optional<int> ReadDigit(char c) {
  constexpr int kTen = 10;
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + kTen;
  if (c >= 'A' && c <= 'F') return c - 'A' + kTen;
  return std::nullopt;
}

/// The digits of a number that fits into 64 bits.
std::optional<Number> ReadDigits(const std::string& digits, int base) {
  if (digits.empty()) return std::nullopt;
  Number number = 0;
  for (const char c : digits) {
    const std::optional<int> digit = ReadDigit(c);
    if (!digit || *digit >= base) return std::nullopt;
    number = number * base + *digit;
    if (number > UINT64_MAX) return std::nullopt;
  }
  return number;
}

/// A set of capabilities, written as the names of all of them.
std::optional<Number> ReadMask(const std::string& text) {
  Number mask = 0;
  std::istringstream names(text);
  for (std::string name; std::getline(names, name, ',');) {
    bool known = false;
    for (const auto& capability : policy::Capabilities()) {
      if (capability.name != name) continue;
      mask |= Number{1} << *capability.value;
      known = true;
    }
    if (!known) return std::nullopt;
  }
  return text.empty() || text.ends_with(',') ? std::nullopt : std::optional(mask);
}

std::optional<Number> ReadNumber(policy::ArgumentType type, std::string text) {
  constexpr int kDecimal = 10;
  constexpr int kHexadecimal = 16;
  if (policy::TraitsOf(type).values == policy::ValueKind::kCapabilityMask) {
    if (const std::optional<Number> mask = ReadMask(text)) return mask;
  }
  for (const auto& named : policy::NumberNames(policy::TraitsOf(type).values)) {
    if (named.name == text) return *named.value;
  }
  const bool negative = text.starts_with('-');
  if (negative) text.erase(0, 1);
  std::optional<Number> number;
  if (text.starts_with("0x")) {
    number = ReadDigits(text.substr(2), kHexadecimal);
  } else if (text == "0" || !text.starts_with('0')) {
    number = ReadDigits(text, kDecimal);
  }
  if (!number) return std::nullopt;
  if (negative) number = -*number;
  const Range limits = LimitsOf(type);
  return *number < limits.first || *number > limits.last ? std::nullopt : number;
}

/// A number is a range of one.
std::optional<Range> ReadRange(policy::ArgumentType type, policy::Operator op,
                               const std::string& text) {
  const size_t colon = policy::TakesRanges(op) ? text.find(':') : std::string::npos;
  const std::optional<Number> first = ReadNumber(type, text.substr(0, colon));
  const std::optional<Number> last =
      colon == std::string::npos ? first : ReadNumber(type, text.substr(colon + 1));
  if (!first || !last || *first > *last) return std::nullopt;
  return Range{*first, *last};
}

std::optional<int> ReadMember(policy::ArgumentType type, const std::string& text) {
  const int last = type == policy::ArgumentType::kNamespaceKinds ? GH_NAMESPACE_COUNT - 1 : 63;
  const auto number = ReadNumber(type, text);
  return number && *number <= last ? std::optional(static_cast<int>(*number)) : std::nullopt;
}

/// A namespace is its number, with a mark on the host's.
bool NamespaceIs(uint64_t value, const std::string& text) {
  if (text == policy::kHostNamespace) return value >= GH_HOST_NAMESPACE;
  const auto number = ReadNumber(policy::ArgumentType::kNamespace, text);
  return number && *number == static_cast<uint32_t>(value);
}

/// A path, or three numbers with colons between them.
bool IsFile(const std::string& text) {
  constexpr size_t kNumbers = 3;
  if (text.starts_with('/')) return true;
  size_t digits = 0, numbers = 1;
  for (const char c : text) {
    if (c == ':' && digits == 0) return false;
    if (c != ':' && (c < '0' || c > '9')) return false;
    numbers += c == ':' ? 1 : 0;
    digits = c == ':' ? 0 : digits + 1;
  }
  return numbers == kNumbers && digits != 0;
}

}  // namespace

bool IsComparable(policy::ArgumentType type, policy::Operator op, const std::string& text) {
  if (type == policy::ArgumentType::kAddress) return IsPrefix(text);
  if (type == policy::ArgumentType::kFileIdentity) return IsFile(text);
  if (type == policy::ArgumentType::kNamespace && text == policy::kHostNamespace) return true;
  if (policy::IsSet(policy::TraitsOf(type).values)) return ReadMember(type, text).has_value();
  return ReadRange(type, op, text).has_value();
}

bool NumberCompares(policy::ArgumentType type, policy::Operator op, uint64_t value,
                    const std::string& text) {
  if (type == policy::ArgumentType::kNamespace) return NamespaceIs(value, text);
  if (policy::IsSet(policy::TraitsOf(type).values)) {
    const std::optional<int> member = ReadMember(type, text);
    return member && (value >> *member & 1) != 0;
  }
  const std::optional<Range> range = ReadRange(type, op, text);
  if (!range) return false;
  const bool is_signed = policy::TraitsOf(type).is_signed;
  const Number number = is_signed ? Number{static_cast<int64_t>(value)} : Number{value};
  switch (op) {
    case policy::Operator::kGreater:
      return number > range->first;
    case policy::Operator::kLess:
      return number < range->first;
    case policy::Operator::kMask:
    case policy::Operator::kNotMask:
    case policy::Operator::kCapabilitiesGained:
      return (number & range->first) != 0;
    default:
      return range->first <= number && number <= range->last;
  }
}

}  // namespace gatehouse::eval
