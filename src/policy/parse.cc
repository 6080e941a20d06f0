// SPDX-License-Identifier: Apache-2.0
#include "policy/parse.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory_resource>
#include <thread>

#include "policy/document_reader.h"
#include "policy/kinds.h"

namespace gatehouse::policy {
namespace {

/// A text that takes less than some milliseconds is not worth a thread; and a host that starts has
/// other work, too.
constexpr size_t kTextBytesForHelp = 1u << 20;
constexpr size_t kHelpersMax = 3;

size_t HelpersFor(std::string_view text) {
  const size_t others = std::max(std::thread::hardware_concurrency(), 1u) - 1;
  return text.size() < kTextBytesForHelp ? 0 : std::min(others, kHelpersMax);
}

/// Reads one text, document by document.
class TextParser {
 public:
  TextParser(std::string_view file, const ParseLimits& limits, const DocumentSink& sink)
      : file_(file), limits_(limits), sink_(sink), diagnostics_(file) {}

  std::vector<Diagnostic> Run(std::string_view text) {
    if (!CheckText(text, limits_, diagnostics_)) return diagnostics_.Take();
    DocumentReader documents(text, limits_, diagnostics_, HelpersFor(text));
    size_t count = 0;
    while (const ReadDocument* document = documents.Next()) {
      if (++count > limits_.documents) {
        diagnostics_.Add({document->raw.first_line, 1}, "",
                         fmt::format("more than {} documents", limits_.documents),
                         "split the text into several files");
        break;
      }
      if (document->outcome == YamlOutcome::kTree) {
        documents.set_nodes_left(Hand(*document, documents.nodes_left()));
      }
      const bool too_many_nodes = documents.exhausted() && diagnostics_.errors() != 0;
      if (too_many_nodes || diagnostics_.full()) break;
    }
    return diagnostics_.Take();
  }

 private:
  /// Makes a document of a tree, for the sink. Returns what is left of `nodes_left`.
  size_t Hand(const ReadDocument& read, size_t nodes_left) {
    Reader reader(limits_, diagnostics_, nodes_left);
    std::optional<Object> object = ReadObject(reader, read.tree.root());
    if (!object) return reader.nodes_left();
    Document document{std::move(*object), {}, file_, read.tree.root().position()};
    CheckUnique(document);
    if (diagnostics_.errors() == 0) {
      document.text = WithoutMarkers(read.raw.text);
      sink_(std::move(document));
    }
    return reader.nodes_left();
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
  if (HasErrors(diagnostics)) return tl::unexpected(std::move(diagnostics));
  return documents;
}

}  // namespace gatehouse::policy
