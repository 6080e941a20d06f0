// SPDX-License-Identifier: Apache-2.0
#include "policy/operators.h"

#include <algorithm>
#include <array>

#include "policy/catalog.h"

namespace gatehouse::policy {
namespace {

using OperatorName = NameRow<Operator>;
constexpr std::array kOperators{
    OperatorName{"Equal", "eq", Operator::kEqual},
    OperatorName{"NotEqual", "neq", Operator::kNotEqual},
    OperatorName{"In", "", Operator::kIn},
    OperatorName{"NotIn", "", Operator::kNotIn},
    OperatorName{"Prefix", "prefix", Operator::kPrefix},
    OperatorName{"NotPrefix", "notprefix", Operator::kNotPrefix},
    OperatorName{"Postfix", "postfix", Operator::kPostfix},
    OperatorName{"NotPostfix", "notpostfix", Operator::kNotPostfix},
    OperatorName{"GT", "GreaterThan", Operator::kGreater},
    OperatorName{"LT", "LessThan", Operator::kLess},
    OperatorName{"Mask", "", Operator::kMask},
    OperatorName{"NotMask", "", Operator::kNotMask},
    OperatorName{"InRange", "", Operator::kInRange},
    OperatorName{"NotInRange", "", Operator::kNotInRange},
    OperatorName{"InMap", "", Operator::kInMap},
    OperatorName{"NotInMap", "", Operator::kNotInMap},
    OperatorName{"Glob", "", Operator::kGlob},
    OperatorName{"NotGlob", "", Operator::kNotGlob},
    OperatorName{"InDir", "", Operator::kInDirectory},
    OperatorName{"NotInDir", "", Operator::kNotInDirectory},
    OperatorName{"SubString", "", Operator::kSubString},
    OperatorName{"SubStringIgnCase", "", Operator::kSubStringIgnoringCase},
    OperatorName{"SAddr", "", Operator::kSourceAddress},
    OperatorName{"NotSAddr", "", Operator::kNotSourceAddress},
    OperatorName{"DAddr", "", Operator::kDestinationAddress},
    OperatorName{"NotDAddr", "", Operator::kNotDestinationAddress},
    OperatorName{"SPort", "", Operator::kSourcePort},
    OperatorName{"NotSPort", "", Operator::kNotSourcePort},
    OperatorName{"DPort", "", Operator::kDestinationPort},
    OperatorName{"NotDPort", "", Operator::kNotDestinationPort},
    OperatorName{"SPortPriv", "SportPriv", Operator::kSourcePortPrivileged},
    OperatorName{"NotSPortPriv", "NotSportPriv", Operator::kNotSourcePortPrivileged},
    OperatorName{"DPortPriv", "DportPriv", Operator::kDestinationPortPrivileged},
    OperatorName{"NotDPortPriv", "NotDportPriv", Operator::kNotDestinationPortPrivileged},
    OperatorName{"Protocol", "protocol", Operator::kProtocol},
    OperatorName{"Family", "family", Operator::kFamily},
    OperatorName{"State", "state", Operator::kState},
    OperatorName{"FileType", "", Operator::kFileType},
    OperatorName{"NotFileType", "", Operator::kNotFileType},
    OperatorName{"SameFile", "", Operator::kSameFile},
    OperatorName{"NotSameFile", "", Operator::kNotSameFile},
    OperatorName{"CapabilitiesGained", "", Operator::kCapabilitiesGained},
    OperatorName{"CelExpr", "", Operator::kExpression},
};

constexpr std::array kText{
    Operator::kEqual,  Operator::kNotEqual,  Operator::kIn,        Operator::kNotIn,
    Operator::kPrefix, Operator::kNotPrefix, Operator::kPostfix,   Operator::kNotPostfix,
    Operator::kGlob,   Operator::kNotGlob,   Operator::kSubString, Operator::kSubStringIgnoringCase,
};

/// Those of texts, and some more.
template <size_t N>
constexpr auto WithTextOperators(const std::array<Operator, N>& more) {
  std::array<Operator, kText.size() + N> operators{};
  std::ranges::copy(more, std::ranges::copy(kText, operators.begin()).out);
  return operators;
}

constexpr auto kPath = WithTextOperators(
    std::array{Operator::kInDirectory, Operator::kNotInDirectory, Operator::kFileType,
               Operator::kNotFileType, Operator::kSameFile, Operator::kNotSameFile});

constexpr std::array kNumber{
    Operator::kEqual,   Operator::kNotEqual,   Operator::kIn,    Operator::kNotIn,
    Operator::kGreater, Operator::kLess,       Operator::kMask,  Operator::kNotMask,
    Operator::kInRange, Operator::kNotInRange, Operator::kInMap, Operator::kNotInMap,
};

/// Of a set of capabilities as a whole.
constexpr std::array kCapabilityMask{
    Operator::kEqual, Operator::kNotEqual, Operator::kIn,
    Operator::kNotIn, Operator::kMask,     Operator::kCapabilitiesGained,
};

constexpr std::array kMembership{Operator::kIn, Operator::kNotIn};

constexpr std::array kFieldOperators{
    FieldOperator{Operator::kSourceAddress, GH_FIELD_SOURCE, ArgumentType::kAddress, false},
    FieldOperator{Operator::kNotSourceAddress, GH_FIELD_SOURCE, ArgumentType::kAddress, true},
    FieldOperator{Operator::kDestinationAddress, GH_FIELD_DESTINATION, ArgumentType::kAddress,
                  false},
    FieldOperator{Operator::kNotDestinationAddress, GH_FIELD_DESTINATION, ArgumentType::kAddress,
                  true},
    FieldOperator{Operator::kSourcePort, GH_FIELD_SOURCE_PORT, ArgumentType::kPort, false},
    FieldOperator{Operator::kNotSourcePort, GH_FIELD_SOURCE_PORT, ArgumentType::kPort, true},
    FieldOperator{Operator::kDestinationPort, GH_FIELD_DESTINATION_PORT, ArgumentType::kPort,
                  false},
    FieldOperator{Operator::kNotDestinationPort, GH_FIELD_DESTINATION_PORT, ArgumentType::kPort,
                  true},
    FieldOperator{Operator::kSourcePortPrivileged, GH_FIELD_SOURCE_PORT, ArgumentType::kPort,
                  false},
    FieldOperator{Operator::kNotSourcePortPrivileged, GH_FIELD_SOURCE_PORT, ArgumentType::kPort,
                  true},
    FieldOperator{Operator::kDestinationPortPrivileged, GH_FIELD_DESTINATION_PORT,
                  ArgumentType::kPort, false},
    FieldOperator{Operator::kNotDestinationPortPrivileged, GH_FIELD_DESTINATION_PORT,
                  ArgumentType::kPort, true},
    FieldOperator{Operator::kProtocol, GH_FIELD_PROTOCOL, ArgumentType::kProtocol, false},
    FieldOperator{Operator::kFamily, GH_FIELD_FAMILY, ArgumentType::kFamily, false},
    FieldOperator{Operator::kState, GH_FIELD_STATE, ArgumentType::kState, false},
};

constexpr auto kSocket = [] {
  std::array<Operator, kFieldOperators.size()> operators{};
  std::ranges::transform(kFieldOperators, operators.begin(), &FieldOperator::op);
  return operators;
}();

/// Of a packet, all but the state of a connection; of an address, what it has of a source.
constexpr std::array kPacket{
    Operator::kSourceAddress,
    Operator::kNotSourceAddress,
    Operator::kDestinationAddress,
    Operator::kNotDestinationAddress,
    Operator::kSourcePort,
    Operator::kNotSourcePort,
    Operator::kDestinationPort,
    Operator::kNotDestinationPort,
    Operator::kSourcePortPrivileged,
    Operator::kNotSourcePortPrivileged,
    Operator::kDestinationPortPrivileged,
    Operator::kNotDestinationPortPrivileged,
    Operator::kProtocol,
    Operator::kFamily,
};
constexpr std::array kSockaddr{
    Operator::kSourceAddress, Operator::kNotSourceAddress,     Operator::kSourcePort,
    Operator::kNotSourcePort, Operator::kSourcePortPrivileged, Operator::kNotSourcePortPrivileged,
    Operator::kFamily,
};

/// What is known of a file beside its path: see read_inode in bpf/inputs.h.
constexpr std::array kFileOperators{
    FieldOperator{Operator::kFileType, GH_FIELD_WHOLE, ArgumentType::kFileType, false},
    FieldOperator{Operator::kNotFileType, GH_FIELD_WHOLE, ArgumentType::kFileType, true},
    FieldOperator{Operator::kSameFile, GH_FIELD_FILE, ArgumentType::kFileIdentity, false},
    FieldOperator{Operator::kNotSameFile, GH_FIELD_FILE, ArgumentType::kFileIdentity, true},
};

const FieldOperator* FindIn(std::span<const FieldOperator> operators, Operator op) {
  const auto found = std::ranges::find(operators, op, &FieldOperator::op);
  return found == operators.end() ? nullptr : &*found;
}

constexpr auto kAll = [] {
  std::array<Operator, kOperators.size() - 1> operators{};  // an expression is of no value
  size_t n = 0;
  for (const OperatorName& row : kOperators) {
    if (row.value != Operator::kExpression) operators[n++] = *row.value;
  }
  return operators;
}();

/// Of an address of AF_UNIX.
constexpr auto kSockaddrUn = WithTextOperators(std::array{Operator::kFamily});

}  // namespace

const std::span<const Operator> kTextOperators = kText;
const std::span<const Operator> kPathOperators = kPath;
const std::span<const Operator> kNumberOperators = kNumber;
const std::span<const Operator> kCapabilityMaskOperators = kCapabilityMask;
const std::span<const Operator> kMembershipOperators = kMembership;
const std::span<const Operator> kSocketOperators = kSocket;
const std::span<const Operator> kPacketOperators = kPacket;
const std::span<const Operator> kSockaddrOperators = kSockaddr;
const std::span<const Operator> kSockaddrUnOperators = kSockaddrUn;

const std::span<const Operator> kAllOperators = kAll;

const FieldOperator* FindField(Operator op) {
  const FieldOperator* const of_socket = FindIn(kFieldOperators, op);
  return of_socket != nullptr ? of_socket : FindIn(kFileOperators, op);
}

std::span<const NameRow<Operator>> Operators() { return kOperators; }

bool AsksForOthers(Operator op, ValueKind values) {
  return op == Operator::kNotIn && values == ValueKind::kNamespaceKinds;
}

OperatorTraits TraitsOf(Operator op, ValueKind values) {
  const gh_match whole = IsSet(values)      ? GH_MATCH_MASK
                         : IsPair(values)   ? GH_MATCH_ADDRESS
                         : IsNumber(values) ? GH_MATCH_RANGE
                                            : GH_MATCH_EXACT;
  if (const FieldOperator* const of_field = FindField(op)) return {whole, of_field->negated};
  if (AsksForOthers(op, values)) return {whole, false};
  switch (op) {
    case Operator::kEqual:
    case Operator::kIn:
      return {whole, false};
    case Operator::kNotEqual:
    case Operator::kNotIn:
      return {whole, true};
    case Operator::kPrefix:
      return {GH_MATCH_PREFIX, false};
    case Operator::kNotPrefix:
      return {GH_MATCH_PREFIX, true};
    case Operator::kPostfix:
      return {GH_MATCH_POSTFIX, false};
    case Operator::kNotPostfix:
      return {GH_MATCH_POSTFIX, true};
    case Operator::kGlob:
    case Operator::kSubString:
    case Operator::kSubStringIgnoringCase:
    case Operator::kInDirectory:
      return {GH_MATCH_PATTERN, false};
    case Operator::kNotGlob:
    case Operator::kNotInDirectory:
      return {GH_MATCH_PATTERN, true};
    case Operator::kMask:
      return {GH_MATCH_MASK, false};
    case Operator::kNotMask:
      return {GH_MATCH_MASK, true};
    case Operator::kCapabilitiesGained:
      return {GH_MATCH_GAINED, false};
    case Operator::kGreater:
    case Operator::kLess:
    case Operator::kInRange:
    case Operator::kInMap:
      return {GH_MATCH_RANGE, false};
    case Operator::kNotInRange:
    case Operator::kNotInMap:
      return {GH_MATCH_RANGE, true};
    default:
      return {};
  }
}

bool TakesRanges(Operator op) {
  const FieldOperator* const of_field = FindField(op);
  return op == Operator::kInRange || op == Operator::kNotInRange || op == Operator::kInMap ||
         op == Operator::kNotInMap ||
         (of_field != nullptr && !IsPair(TraitsOf(of_field->operand).values) &&
          of_field->operand != ArgumentType::kFileType);
}

std::string_view DefaultOf(Operator op) {
  return op == Operator::kCapabilitiesGained ? "0xffffffffffffffff" : std::string_view();
}

std::string_view ValueOf(Operator op) {
  constexpr std::string_view kPrivilegedPorts = "0:1023";
  switch (op) {
    case Operator::kSourcePortPrivileged:
    case Operator::kNotSourcePortPrivileged:
    case Operator::kDestinationPortPrivileged:
    case Operator::kNotDestinationPortPrivileged:
      return kPrivilegedPorts;
    default:
      return {};
  }
}

}  // namespace gatehouse::policy
