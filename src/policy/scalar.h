// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

/// What a scalar without quotes means.
namespace gatehouse::policy {

enum class ScalarType { kNull, kBool, kInteger, kFloat, kString };

/// The type that YAML readers give to a plain scalar. Where YAML 1.1 and 1.2 differ (`yes`, `on`,
/// `0x1f`), the type that is not a string: such a text has to be quoted to be one.
[[nodiscard]] ScalarType TypeOfPlain(std::string_view text);

/// true or false in their YAML 1.2 spellings; nullopt for anything else.
[[nodiscard]] std::optional<bool> ReadBool(std::string_view text);

/// A decimal integer without superfluous zeros, or a hexadecimal one with `0x` in front: what
/// YAML 1.1 and 1.2 read alike. nullopt for anything else, and if it does not fit.
[[nodiscard]] std::optional<int64_t> ReadInteger(std::string_view text);

}  // namespace gatehouse::policy
