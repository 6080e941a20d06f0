// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <bitset>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

/// Patterns of texts, and one automaton for all patterns of a set.
namespace gatehouse::glob {

/// A set of bytes.
using Bytes = std::bitset<256>;

/// What a part of a pattern takes from a text.
struct Step {
  enum class Kind : uint8_t {
    kByte,         ///< one byte, of `bytes`
    kName,         ///< `*`: any number of bytes that are no `/`
    kAnything,     ///< `**`: any number of bytes
    kDirectories,  ///< `**/`: nothing, or anything that ends in `/`
  };
  Kind kind = Kind::kByte;
  Bytes bytes = {};  ///< of kByte
  bool operator==(const Step&) const = default;
};

/// A whole text is taken step by step. Patterns are about bytes, as the kernel's names are: `?` is
/// one byte, whatever the encoding.
using Pattern = std::vector<Step>;

/// Reads a pattern as glob(7) and gitignore(5) write them:
/// - `*` and `?` are any bytes, and one byte, of a name: no `/`;
/// - `[abc]`, `[a-z]`, `[!a-z]` (or `[^a-z]`), `[[:digit:]]` are one byte of a set, no `/`;
/// - `**` is anything, `/` included; a component `**` is any number of directories, none as well:
///   `/a/**/b` takes `/a/b`; at the end, `/a/**` is everything below /a;
/// - a backslash takes the byte after it as it is.
/// All else stands for itself, braces too. Errors: kInvalid, with the byte at which it goes wrong.
[[nodiscard]] Result<Pattern> Parse(std::string_view text);

/// The pattern that takes `text` and nothing else.
[[nodiscard]] std::string Literally(std::string_view text);
/// The pattern of all texts that contain `text`; letters of ASCII in either case with
/// `ignoring_case`.
[[nodiscard]] std::string Containing(std::string_view text, bool ignoring_case);
/// The pattern of all that lies below the directory `path`, without itself.
[[nodiscard]] std::string Below(std::string_view path);

/// Whether `pattern` takes the whole text. Slow and obvious: what the automaton is held to.
[[nodiscard]] bool Matches(const Pattern& pattern, std::string_view text);

}  // namespace gatehouse::glob
