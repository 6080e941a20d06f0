// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "policy/diagnostics.h"
#include "policy/model.h"
#include "policy/source.h"

/// A YAML document as a tree with positions, in little memory. yaml-cpp reads the text; its own
/// tree (YAML::Node) is not used: it takes about 500 bytes for each node, keeps the last of two
/// equal keys, and expands aliases without bound.
namespace gatehouse::policy {

enum class YamlKind : uint8_t {
  kNull,
  kPlain,   ///< a scalar without quotes: what it means is for the reader to decide
  kString,  ///< a scalar in quotes or block style, or with the tag !!str
  kSequence,
  kMapping,
};

class YamlTree;

/// A node of a YamlTree: a reference, valid until the tree reads the next document.
class YamlNode {
 public:
  [[nodiscard]] YamlKind kind() const;
  [[nodiscard]] Position position() const;
  /// Of a scalar; "" of all others.
  [[nodiscard]] std::string_view text() const;
  /// Entries of a sequence, pairs of a mapping, 0 of all others.
  [[nodiscard]] size_t size() const;
  [[nodiscard]] bool IsScalar() const;

  /// Calls `visit(YamlNode entry)` for each entry of a sequence.
  template <typename Visit>
  void EachEntry(Visit visit) const {
    if (kind() != YamlKind::kSequence) return;
    for (uint32_t id = FirstChild(); id != 0; id = NextSibling(id)) visit(YamlNode(*tree_, id));
  }

  /// Calls `visit(YamlNode key, YamlNode value)` for each pair of a mapping, in the order of the
  /// text.
  template <typename Visit>
  void EachPair(Visit visit) const {
    if (kind() != YamlKind::kMapping) return;
    for (uint32_t id = FirstChild(); id != 0; id = NextSibling(NextSibling(id))) {
      visit(YamlNode(*tree_, id), YamlNode(*tree_, NextSibling(id)));
    }
  }

 private:
  friend class YamlTree;
  friend class YamlTreeBuilder;
  YamlNode(const YamlTree& tree, uint32_t id);
  [[nodiscard]] uint32_t FirstChild() const;
  [[nodiscard]] uint32_t NextSibling(uint32_t id) const;

  const YamlTree* tree_;
  uint32_t id_;
};

/// What became of one document's text.
enum class YamlOutcome {
  kTree,
  kNothing,  ///< only null
  kFailed,   ///< not YAML, or over a limit; the tree is empty
};

/// The tree of one document at a time; the memory is used again for the next. Not thread-safe.
class YamlTree {
 public:
  /// Reads `document` in the place of what the tree held. `nodes_left` is how many nodes it may
  /// have after expansion of aliases, and is reduced by them; 0 if it had more. What is wrong goes
  /// to `diagnostics`; there may be some with kTree, too (duplicate keys, bad tags).
  [[nodiscard]] YamlOutcome Read(const RawDocument& document, const ParseLimits& limits,
                                 size_t& nodes_left, Diagnostics& diagnostics);

  /// The top of the document, after kTree.
  [[nodiscard]] YamlNode root() const { return {*this, 1}; }

 private:
  friend class YamlNode;
  friend class YamlTreeBuilder;

  enum class EntryKind : uint8_t { kNull, kPlain, kString, kSequence, kMapping, kAlias };

  struct Entry {
    uint32_t line = 0;
    uint32_t column = 0;
    uint32_t first = 0;  // scalar: offset in texts_; collection: first child; alias: its target
    uint32_t count = 0;  // scalar: bytes; collection: entries or pairs
    uint32_t next = 0;   // next sibling, 0: none
    EntryKind kind = EntryKind::kNull;
  };

  std::vector<Entry> entries_;  // by id; 0 is no node
  std::string texts_;
};

}  // namespace gatehouse::policy
