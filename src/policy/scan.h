// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <string_view>
#include <thread>

#include "policy/diagnostics.h"
#include "policy/parse.h"
#include "policy/source.h"
#include "policy/yaml_tree.h"

/// The documents of a text as trees, one after the other.
namespace gatehouse::policy {

struct ScannedDocument {
  RawDocument raw;
  YamlTree tree;  ///< with kTree
  YamlOutcome outcome = YamlOutcome::kNothing;
  std::vector<Diagnostic> diagnostics;
};

/// Reads a text that CheckText has found good. Not thread-safe.
class DocumentScanner {
 public:
  /// What is given outlives the scanner.
  DocumentScanner(std::string_view text, std::string_view file, const ParseLimits& limits)
      : file_(file), limits_(limits), splitter_(text), nodes_left_(limits.nodes) {}

  /// Puts the next document in the place of what `into` holds; false: there is none. After the
  /// diagnostic that a limit of all documents is reached there is none.
  [[nodiscard]] bool Next(ScannedDocument& into);

 private:
  std::string_view file_;
  const ParseLimits& limits_;
  DocumentSplitter splitter_;
  size_t documents_ = 0;
  size_t nodes_left_;
  bool at_limit_ = false;
};

/// Scans some documents ahead in a thread of its own: in a large text, scanning takes about as long
/// as all that is done with the documents. Next belongs to one thread.
class ScanAhead {
 public:
  explicit ScanAhead(DocumentScanner& scanner);
  /// Stops the thread, wherever in the text it is.
  ~ScanAhead();
  ScanAhead(const ScanAhead&) = delete;
  ScanAhead& operator=(const ScanAhead&) = delete;

  /// The next document, valid until the next call; null: there is none.
  [[nodiscard]] ScannedDocument* Next();

 private:
  static constexpr size_t kAhead = 16;

  void Scan();

  DocumentScanner& scanner_;
  std::array<ScannedDocument, kAhead> ring_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t scanned_ = 0;  // documents in all; each is in ring_ at its number
  size_t taken_ = 0;    // by Next; the last of them may still be in use
  bool ended_ = false;  // the scanner has no more
  bool stopped_ = false;
  std::thread thread_;  // last: it uses the others
};

}  // namespace gatehouse::policy
