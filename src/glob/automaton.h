// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "glob/pattern.h"

namespace gatehouse::glob {

/// The deterministic automaton of a set of patterns, as words of the image (layout: enum
/// gh_state, abi/gatehouse.h), with offsets from its own beginning, so that it can lie anywhere.
///
/// One table step takes one byte, whatever the number of patterns; it says whether any pattern
/// takes the text, not which. Made by subset construction (Rabin and Scott, 1959) over a graph of
/// the patterns; of states that take the same texts one is kept (Moore, 1956).
///
/// Errors: kInvalid, if it would have more than GH_AUTOMATON_WORDS_MAX words: patterns with several
/// `*` in one name, or `**` in the middle, multiply each other.
[[nodiscard]] Result<std::vector<uint32_t>> MakeAutomaton(std::span<const Pattern> patterns);

/// Whether the automaton takes the whole text: the same steps as the kernel's.
[[nodiscard]] bool Takes(std::span<const uint32_t> automaton, std::string_view text);

}  // namespace gatehouse::glob
