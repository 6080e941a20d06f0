// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <vector>

#include "policy/model.h"

namespace gatehouse::policy {

enum class Severity {
  kError,    ///< the text is refused
  kWarning,  ///< it is taken, but part of it surely has no effect
  kNote,     ///< what a field is about: see ParseLimits::explains
};

/// One thing that is wrong with a text, for a person to act on; or a note.
struct Diagnostic {
  std::string file;  ///< "" prints as <input>
  Position position;
  std::string
      path;  ///< where in the document: `spec.kprobes[0].selectors[1].matchArgs[0].operator`
  std::string cause;   ///< `unknown operator "Equals"`
  std::string remedy;  ///< `did you mean "Equal"? known here: Equal, NotEqual, …`
  Severity severity = Severity::kError;

  /// "file:line:column: path: cause; remedy", of a warning with "warning: " before it.
  [[nodiscard]] std::string ToString() const;
};

[[nodiscard]] bool HasErrors(const std::vector<Diagnostic>& diagnostics);

/// More errors are not reported for one text, and no more warnings.
inline constexpr size_t kDiagnosticsMax = 100;

/// Bounds on what a text may make the agent do. A text over a bound is refused by name.
struct ParseLimits {
  bool explains = false;          ///< a note on each field, beside what is wrong
  size_t text_bytes = 64u << 20;  ///< never more than 1 GiB
  size_t documents = 20'000;
  size_t depth = 32;
  size_t nodes = 4'000'000;  ///< in all documents together, after expansion of aliases
  size_t values_per_filter = 1'000'000;
  /// The text of one scalar with the comments before it, or of one flow collection (`[a, b]`):
  /// these are held in memory token by token, unlike collections in block style.
  size_t element_bytes = 1u << 20;
  size_t element_indicators = 100'000;  ///< of `[`, `{` and `,` in such an element
};

/// Parses all documents of a text; strict: an unknown or duplicate key, a wrong type, a value over
/// a limit, anything that this version does not support is an error. Either every document is good,
/// or the result is all diagnostics found, in the order of the text. Warnings alone are not handed
/// out: ParseEach does. A document of another API (a Pod) is left out, with a warning. Pure; any
/// thread.
[[nodiscard]] tl::expected<std::vector<Document>, std::vector<Diagnostic>> Parse(
    std::string_view text, std::string_view file, const ParseLimits& limits = {});

/// Takes over one good document.
using DocumentSink = std::function<void(Document)>;

/// As Parse, but hands each document to `sink` as soon as it is read, so that a large text is never
/// in memory as documents as a whole. Nothing is handed over after the first error, but what was
/// handed over before is: a caller that gets errors back discards it. Returns the diagnostics:
/// errors and warnings, or warnings of a text that is taken.
[[nodiscard]] std::vector<Diagnostic> ParseEach(std::string_view text, std::string_view file,
                                                const ParseLimits& limits,
                                                const DocumentSink& sink);

}  // namespace gatehouse::policy
