// SPDX-License-Identifier: Apache-2.0
#include "policy/parse.h"

#include <fmt/format.h>

#include <map>
#include <memory_resource>

#include "policy/kinds.h"
#include "policy/scan.h"

namespace gatehouse::policy {
namespace {

/// From here on a text is scanned ahead.
constexpr size_t kLargeTextBytes = 1U << 20;

/// Reads one text, document by document.
class TextParser {
 public:
  TextParser(std::string_view file, const ParseLimits& limits, const DocumentSink& sink)
      : file_(file), limits_(limits), sink_(sink), diagnostics_(file) {}

  std::vector<Diagnostic> Run(std::string_view text) {
    if (!CheckText(text, limits_, diagnostics_)) return diagnostics_.Take();
    DocumentScanner scanner(text, file_, limits_);
    if (text.size() < kLargeTextBytes) {
      ScannedDocument scanned;
      while (scanner.Next(scanned) && !diagnostics_.full()) Take(scanned);
    } else {
      ScanAhead ahead(scanner);
      while (ScannedDocument* const scanned = ahead.Next()) {
        Take(*scanned);
        if (diagnostics_.full()) break;
      }
    }
    return diagnostics_.Take();
  }

 private:
  /// Makes a document of what is in the tree.
  void Take(const ScannedDocument& scanned) {
    for (const Diagnostic& each : scanned.diagnostics) {
      diagnostics_.Add(each.position, each.path, each.cause, each.remedy);
    }
    if (scanned.outcome != YamlOutcome::kTree) return;
    const YamlNode root = scanned.tree.root();
    Reader reader(limits_, diagnostics_);
    std::optional<Object> object = ReadObject(reader, root);
    if (!object) return;
    Document document{std::move(*object), {}, file_, root.position()};
    CheckUnique(document);
    if (diagnostics_.size() != 0) return;
    document.text = WithoutMarkers(scanned.raw.text);
    sink_(std::move(document));
  }

  /// Policies, templates and bindings share their names: commands and events name them by these
  /// alone.
  void CheckUnique(const Document& document) {
    const auto [first, added] = lines_.try_emplace(document.key(), document.position.line);
    if (added) return;
    diagnostics_.Add(document.position, "metadata.name",
                     fmt::format("{} is there twice, first in the document on line {}",
                                 Quote(document.key().ToString()), first->second),
                     "give one of the two another name");
  }

  std::string file_;
  const ParseLimits& limits_;
  const DocumentSink& sink_;
  Diagnostics diagnostics_;
  // In memory of its own: what is here for a moment shall leave no gaps among what the sink keeps.
  std::pmr::monotonic_buffer_resource memory_;
  std::pmr::map<Key, uint32_t> lines_{&memory_};
};

}  // namespace

std::vector<Diagnostic> ParseEach(std::string_view text, std::string_view file,
                                  const ParseLimits& limits, const DocumentSink& sink) {
  return TextParser(file, limits, sink).Run(text);
}

tl::expected<std::vector<Document>, std::vector<Diagnostic>> Parse(std::string_view text,
                                                                   std::string_view file,
                                                                   const ParseLimits& limits) {
  std::vector<Document> documents;
  std::vector<Diagnostic> diagnostics = ParseEach(
      text, file, limits, [&](Document document) { documents.push_back(std::move(document)); });
  if (!diagnostics.empty()) return tl::unexpected(std::move(diagnostics));
  return documents;
}

}  // namespace gatehouse::policy
