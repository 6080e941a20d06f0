// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>

#include "policy/catalog.h"

/// Which operators apply to which values: for the catalog alone.
namespace gatehouse::policy {

extern const std::span<const Operator> kTextOperators;
extern const std::span<const Operator> kPathOperators;
extern const std::span<const Operator> kNumberOperators;
/// Of a set of capabilities as a whole.
extern const std::span<const Operator> kCapabilityMaskOperators;
extern const std::span<const Operator> kMembershipOperators;
extern const std::span<const Operator> kSocketOperators;
/// Of a packet, all but the state of a connection; of an address, what it has of a source.
extern const std::span<const Operator> kPacketOperators;
extern const std::span<const Operator> kSockaddrOperators;
/// Of an address of AF_UNIX.
extern const std::span<const Operator> kSockaddrUnOperators;

/// Of a value whose type is not known yet: all.
extern const std::span<const Operator> kAllOperators;

/// An operator on a field of a socket, or on what is known of a file beside its path.
struct FieldOperator {
  Operator op;
  gh_field field;
  ArgumentType operand;
  bool negated;
};
/// Null: `op` looks at the value itself.
[[nodiscard]] const FieldOperator* FindField(Operator op);

}  // namespace gatehouse::policy
