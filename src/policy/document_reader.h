// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <string_view>
#include <thread>
#include <vector>

#include "policy/diagnostics.h"
#include "policy/source.h"
#include "policy/yaml_tree.h"

namespace gatehouse::policy {

/// A document of a text, read.
struct ReadDocument {
  RawDocument raw;
  YamlTree tree;
  YamlOutcome outcome = YamlOutcome::kNothing;
};

/// Reads the documents of a text in their order, of a large text several at once: other threads
/// read those that come next meanwhile, as yaml-cpp takes longer than all that is done with what it
/// reads. What comes out is the same with any number of threads. To be used from one thread.
class DocumentReader {
 public:
  /// `text`, `limits` and `diagnostics` must outlive the reader. `helpers`: how many threads read
  /// ahead; fewer if the system does not give so many.
  DocumentReader(std::string_view text, const ParseLimits& limits, Diagnostics& diagnostics,
                 size_t helpers);
  ~DocumentReader();
  DocumentReader(const DocumentReader&) = delete;
  DocumentReader& operator=(const DocumentReader&) = delete;

  /// The next document, until the next call; null at the end. What is wrong with it goes to the
  /// diagnostics; its nodes count for the whole text.
  [[nodiscard]] const ReadDocument* Next();
  /// Whether documents have used up what the text may have of nodes: what follows is not to be
  /// read.
  [[nodiscard]] bool exhausted() const { return nodes_left_ == 0; }
  /// What the text may still have of nodes.
  [[nodiscard]] size_t nodes_left() const { return nodes_left_; }
  /// For what is read again: `nodes_left` is what is left after it.
  void set_nodes_left(size_t nodes_left) { nodes_left_ = nodes_left; }

 private:
  /// A document that is being read, or waits to be taken.
  struct Slot {
    ReadDocument document;
    Diagnostics diagnostics{""};
    size_t nodes_left = 0;  // as if it were the first
    bool done = false;
  };
  using Lock = std::unique_lock<std::mutex>;

  Slot& SlotOf(uint64_t number) { return slots_[number % slots_.size()]; }
  /// Takes the next document that nobody reads yet, if there is one and it may be read now. A slot
  /// belongs to who claimed it until it is done, and then to Next.
  [[nodiscard]] Slot* Claim();
  void Read(Slot& slot, Lock& lock);
  void Help();
  /// Counts the document's nodes, and hands on what is wrong with it.
  void Settle(Slot& slot);

  const ParseLimits& limits_;
  Diagnostics& diagnostics_;
  size_t nodes_left_;
  bool holds_ = false;  // the document `taken_` is given out

  std::mutex mutex_;  // for all that follows
  std::condition_variable changed_;
  DocumentSplitter splitter_;
  std::optional<RawDocument> next_;  // to be claimed
  std::vector<Slot> slots_;
  uint64_t claimed_ = 0;  // documents
  uint64_t taken_ = 0;    // by Next, and done with
  size_t bytes_ = 0;      // of the documents claimed and not done with
  bool stopped_ = false;
  std::vector<std::jthread> helpers_;
};

}  // namespace gatehouse::policy
