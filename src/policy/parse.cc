// SPDX-License-Identifier: Apache-2.0
#include "policy/parse.h"

#include <fmt/format.h>

#include <map>
#include <memory_resource>

#include "policy/kinds.h"
#include "policy/source.h"
#include "policy/yaml_tree.h"

namespace gatehouse::policy {
namespace {

/// Reads one text, document by document.
class TextParser {
 public:
  TextParser(std::string_view file, const ParseLimits& limits, const DocumentSink& sink)
      : file_(file), limits_(limits), sink_(sink), diagnostics_(file), nodes_left_(limits.nodes) {}

  std::vector<Diagnostic> Run(std::string_view text) {
    if (!CheckText(text, limits_, diagnostics_)) return diagnostics_.Take();
    DocumentSplitter splitter(text);
    size_t documents = 0;
    while (const std::optional<RawDocument> raw = splitter.Next()) {
      if (++documents > limits_.documents) {
        diagnostics_.Add({raw->first_line, 1}, "",
                         fmt::format("more than {} documents", limits_.documents),
                         "split the text into several files");
        break;
      }
      const YamlOutcome outcome = tree_.Read(*raw, limits_, nodes_left_, diagnostics_);
      if (outcome == YamlOutcome::kTree) ReadDocument(*raw);
      const bool too_many_nodes = outcome == YamlOutcome::kFailed && nodes_left_ == 0;
      if (too_many_nodes || diagnostics_.full()) break;
    }
    return diagnostics_.Take();
  }

 private:
  /// Makes a document of what is in the tree.
  void ReadDocument(const RawDocument& raw) {
    Reader reader(limits_, diagnostics_);
    std::optional<Object> object = ReadObject(reader, tree_.root());
    if (!object) return;
    Document document{std::move(*object), {}, file_, tree_.root().position()};
    CheckUnique(document);
    if (diagnostics_.size() != 0) return;
    document.text = WithoutMarkers(raw.text);
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
  size_t nodes_left_;
  YamlTree tree_;
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
