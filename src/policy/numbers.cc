// SPDX-License-Identifier: Apache-2.0
#include "policy/numbers.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <memory>

#include "policy/catalog.h"
#include "policy/diagnostics.h"
#include "policy/format.h"

namespace gatehouse::policy {
namespace {

constexpr uint64_t kSignBit = uint64_t{1} << 63;
constexpr uint64_t kAllBits = std::numeric_limits<uint64_t>::max();
constexpr uint64_t kBitsOfSet = 64;  // of capabilities

enum class Fault { kNoNumber, kDoesNotFit, kReversed };
template <typename T>
using Parsed = tl::expected<T, Fault>;

/// A number of any type as it is written.
struct Literal {
  bool negative = false;
  uint64_t magnitude = 0;
};

/// The bits of capabilities whose names stand with commas between them.
std::optional<uint64_t> FindMask(std::string_view names) {
  uint64_t mask = 0;
  while (true) {
    const std::string_view name = names.substr(0, names.find(','));
    const auto row = std::ranges::find(Capabilities(), name, &NameRow<int32_t>::name);
    if (row == Capabilities().end()) return std::nullopt;
    mask |= uint64_t{1} << *row->value;
    if (name.size() == names.size()) return mask;
    names.remove_prefix(name.size() + 1);
  }
}

std::optional<int32_t> FindName(ValueKind values, std::string_view name) {
  for (const NameRow<int32_t>& row : NumberNames(values)) {
    if (row.name == name) return row.value;
  }
  return std::nullopt;
}

/// Decimal without superfluous zeros, or hexadecimal after 0x; with a minus before it if need be.
Parsed<Literal> ReadLiteral(std::string_view text) {
  constexpr int kDecimal = 10;
  constexpr int kHexadecimal = 16;
  constexpr std::string_view kHexadecimalPrefix = "0x";
  Literal literal{.negative = text.starts_with('-')};
  if (literal.negative) text.remove_prefix(1);
  const bool hexadecimal = text.starts_with(kHexadecimalPrefix);
  if (hexadecimal) text.remove_prefix(kHexadecimalPrefix.size());
  if (!hexadecimal && text.size() > 1 && text.front() == '0') {
    return tl::unexpected(Fault::kNoNumber);
  }
  const char* end = std::to_address(text.end());
  const auto [parsed, error] = std::from_chars(
      std::to_address(text.begin()), end, literal.magnitude, hexadecimal ? kHexadecimal : kDecimal);
  if (parsed != end || error == std::errc::invalid_argument) {
    return tl::unexpected(Fault::kNoNumber);
  }
  if (error != std::errc()) return tl::unexpected(Fault::kDoesNotFit);
  return literal;
}

/// The numbers of a type in their order. Each has a rank, which is ascending and without gaps: of
/// an unsigned type the number itself, of a signed one its 64 bits with the sign bit turned over.
class Order {
 public:
  explicit Order(ArgumentType type) : type_(type), traits_(TraitsOf(type)) {
    constexpr unsigned kBitsOfByte = 8;
    const uint64_t all = kAllBits >> (kBitsOfByte * (sizeof(uint64_t) - traits_.bytes));
    least_ = traits_.is_signed ? kSignBit - all / 2 - 1 : 0;
    most_ = least_ + all;
  }

  [[nodiscard]] uint64_t least() const { return least_; }
  [[nodiscard]] uint64_t most() const { return most_; }

  [[nodiscard]] Parsed<uint64_t> RankOf(std::string_view text) const {
    if (const auto number = FindName(traits_.values, text)) {
      return Zero() + static_cast<uint64_t>(*number);
    }
    if (traits_.values == ValueKind::kCapabilityMask) {
      if (const auto mask = FindMask(text)) return *mask;
    }
    const Parsed<Literal> literal = ReadLiteral(text);
    if (!literal) return tl::unexpected(literal.error());
    const uint64_t magnitude = literal->magnitude;
    if (magnitude > (literal->negative ? Zero() - least_ : most_ - Zero())) {
      return tl::unexpected(Fault::kDoesNotFit);
    }
    return literal->negative ? Zero() - magnitude : Zero() + magnitude;
  }

  /// 64 bits, extended by the sign.
  [[nodiscard]] uint64_t BitsOf(uint64_t rank) const { return rank ^ Zero(); }

  [[nodiscard]] std::vector<gh_range> RangesOf(uint64_t first, uint64_t last) const {
    if (first < Zero() && last >= Zero()) {
      return {{0, BitsOf(last)}, {BitsOf(first), kAllBits}};
    }
    return {{BitsOf(first), BitsOf(last)}};
  }

  /// `from 0 to 255`
  [[nodiscard]] std::string Limits() const {
    if (traits_.values == ValueKind::kCapabilities)
      return fmt::format("from 0 to {}", kBitsOfSet - 1);
    if (!traits_.is_signed) return fmt::format("from {} to {}", least_, most_);
    return fmt::format("from {} to {}", static_cast<int64_t>(BitsOf(least_)),
                       static_cast<int64_t>(BitsOf(most_)));
  }
  [[nodiscard]] std::string_view Name() const { return NameOf(type_); }
  [[nodiscard]] ValueKind values() const { return traits_.values; }

 private:
  [[nodiscard]] uint64_t Zero() const { return traits_.is_signed ? kSignBit : 0; }

  ArgumentType type_;
  ArgumentTypeTraits traits_;
  uint64_t least_ = 0;
  uint64_t most_ = 0;
};

using Ranges = std::vector<gh_range>;

/// A namespace is compared by its number, whether it is the host's or not; or by that alone.
Parsed<Ranges> ParseNamespace(const Order& order, std::string_view value) {
  if (value == kHostNamespace) return Ranges{{GH_HOST_NAMESPACE, kAllBits}};
  const Parsed<uint64_t> number = order.RankOf(value);
  if (!number) return tl::unexpected(number.error());
  const uint64_t of_host = GH_HOST_NAMESPACE + *number;
  return Ranges{{*number, *number}, {of_host, of_host}};
}

/// The bit of a member of a set.
Parsed<Ranges> ParseMember(const Order& order, std::string_view value) {
  const Parsed<uint64_t> number = order.RankOf(value);
  if (!number) return tl::unexpected(number.error());
  const bool of_kinds = order.values() == ValueKind::kNamespaceKinds;
  if (*number >= (of_kinds ? uint64_t{GH_NAMESPACE_COUNT} : kBitsOfSet))
    return tl::unexpected(Fault::kDoesNotFit);
  const uint64_t bit = uint64_t{1} << *number;
  return Ranges{{bit, bit}};
}

Parsed<Ranges> Parse(const Order& order, Operator op, std::string_view value) {
  if (order.values() == ValueKind::kNamespace) return ParseNamespace(order, value);
  if (IsSet(order.values())) return ParseMember(order, value);
  const size_t colon = TakesRanges(op) ? value.find(':') : value.npos;
  const Parsed<uint64_t> first = order.RankOf(value.substr(0, colon));
  if (!first) return tl::unexpected(first.error());
  const Parsed<uint64_t> last = colon == value.npos ? first : order.RankOf(value.substr(colon + 1));
  if (!last) return tl::unexpected(last.error());
  if (*last < *first) return tl::unexpected(Fault::kReversed);
  if (op == Operator::kMask || op == Operator::kNotMask || op == Operator::kCapabilitiesGained) {
    return Ranges{{order.BitsOf(*first), order.BitsOf(*first)}};
  }
  if (op == Operator::kGreater) {
    if (*first == order.most()) return Ranges{};
    return order.RangesOf(*first + 1, order.most());
  }
  if (op == Operator::kLess) {
    if (*first == order.least()) return Ranges{};
    return order.RangesOf(order.least(), *first - 1);
  }
  return order.RangesOf(*first, *last);
}

/// What a value is called, and how it is written.
struct Wording {
  std::string_view noun;
  std::string_view form;
};

Wording WordingOf(ValueKind values) {
  switch (values) {
    case ValueKind::kCapability:
    case ValueKind::kCapabilities:
      return {"capability", "a name such as CAP_SYS_ADMIN, or its number"};
    case ValueKind::kCapabilityMask:
      return {"set of capabilities",
              "names such as CAP_SYS_ADMIN,CAP_NET_RAW, or a number as /proc/PID/status shows it, "
              "with 0x"};
    case ValueKind::kBpfCommand:
      return {"command of bpf(2)", "a name such as BPF_PROG_LOAD, or its number"};
    case ValueKind::kNamespace:
      return {"namespace", "host_ns, or a number as /proc/PID/ns shows it"};
    case ValueKind::kNamespaceKinds:
      return {"kind of namespaces", "one of Uts, Ipc, Mnt, Pid, Net, Cgroup, User, …"};
    case ValueKind::kProtocol:
      return {"protocol", "a name such as IPPROTO_TCP, or its number"};
    case ValueKind::kFamily:
      return {"family of addresses", "a name such as AF_INET, or its number"};
    case ValueKind::kFileType:
      return {"type of a file", "one of reg, dir, lnk, chr, blk, fifo, sock"};
    case ValueKind::kState:
      return {"state of a connection", "a name such as TCP_ESTABLISHED, or its number"};
    default:
      return {"number", "it in decimal, or in hexadecimal with 0x"};
  }
}

Error Explain(Fault fault, const Order& order, Operator op, std::string_view value) {
  Error error{.code = ErrorCode::kInvalid, .object = {}, .cause = {}, .remedy = {}};
  const Wording wording = WordingOf(order.values());
  switch (fault) {
    case Fault::kNoNumber:
      error.cause = fmt::format("{} is not a {}", Quote(value), wording.noun);
      error.remedy = fmt::format("write {}{}", wording.form,
                                 TakesRanges(op) ? ", or a range as first:last" : "");
      break;
    case Fault::kDoesNotFit:
      error.cause = fmt::format("{} does not fit into {}", Quote(value), order.Name());
      error.remedy = "write a number " + order.Limits();
      break;
    case Fault::kReversed:
      error.cause = fmt::format("the range {} ends before it begins", Quote(value));
      error.remedy = "write the lesser number first";
      break;
  }
  return error;
}

}  // namespace

std::optional<std::vector<gh_range>> RangesOf(ArgumentType type, Operator op,
                                              std::string_view value) {
  Parsed<Ranges> ranges = Parse(Order(type), op, value);
  if (!ranges) return std::nullopt;
  return std::move(*ranges);
}

Result<std::vector<gh_range>> ReadRanges(ArgumentType type, Operator op, std::string_view value) {
  const Order order(type);
  Parsed<Ranges> ranges = Parse(order, op, value);
  if (!ranges) return tl::unexpected(Explain(ranges.error(), order, op, value));
  return std::move(*ranges);
}

}  // namespace gatehouse::policy
