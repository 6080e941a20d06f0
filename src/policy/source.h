// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string_view>

#include "policy/diagnostics.h"
#include "policy/parse.h"

/// A text before it is YAML: is it text at all, and where are its documents?
namespace gatehouse::policy {

/// One document's part of a text, from its `---` on, if it has one.
struct RawDocument {
  std::string_view text;
  uint32_t first_line = 1;  ///< the line of the whole text that it begins at
};

/// Whether `text` is short enough and only of characters that YAML allows (YAML 1.2.2, 5.1), in
/// UTF-8. If not, says so in `diagnostics`. What passes has no NUL and no U+0004, which yaml-cpp
/// takes for the end of the text.
[[nodiscard]] bool CheckText(std::string_view text, const ParseLimits& limits,
                             Diagnostics& diagnostics);

/// Cuts a text at its document markers, `---` and `...` at the beginning of a line: no scalar can
/// contain one there. So an error in one document does not hide those in the next.
class DocumentSplitter {
 public:
  /// `text` must outlive the splitter and what it gives out. A byte order mark is left out.
  explicit DocumentSplitter(std::string_view text);

  /// The next part with more than blank lines, comments and markers; nullopt at the end.
  [[nodiscard]] std::optional<RawDocument> Next();

 private:
  std::string_view rest_;
  uint32_t line_ = 1;
};

/// The text of a document without its markers.
[[nodiscard]] std::string_view WithoutMarkers(std::string_view text);

}  // namespace gatehouse::policy
