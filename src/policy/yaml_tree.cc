// SPDX-License-Identifier: Apache-2.0
#include "policy/yaml_tree.h"

namespace gatehouse::policy {

YamlNode::YamlNode(const YamlTree& tree, uint32_t id) : tree_(&tree), id_(id) {
  const YamlTree::Entry& entry = tree.entries_[id];
  if (entry.kind == YamlTree::EntryKind::kAlias) id_ = entry.first;
}

YamlKind YamlNode::kind() const {
  switch (tree_->entries_[id_].kind) {
    case YamlTree::EntryKind::kPlain:
      return YamlKind::kPlain;
    case YamlTree::EntryKind::kString:
      return YamlKind::kString;
    case YamlTree::EntryKind::kSequence:
      return YamlKind::kSequence;
    case YamlTree::EntryKind::kMapping:
      return YamlKind::kMapping;
    case YamlTree::EntryKind::kNull:
    case YamlTree::EntryKind::kAlias:  // resolved by the constructor
      break;
  }
  return YamlKind::kNull;
}

Position YamlNode::position() const {
  const YamlTree::Entry& entry = tree_->entries_[id_];
  return {entry.line, entry.column};
}

bool YamlNode::IsScalar() const {
  return kind() == YamlKind::kPlain || kind() == YamlKind::kString;
}

std::string_view YamlNode::text() const {
  if (!IsScalar()) return {};
  const YamlTree::Entry& entry = tree_->entries_[id_];
  return std::string_view(tree_->texts_).substr(entry.first, entry.count);
}

size_t YamlNode::size() const {
  const bool collection = kind() == YamlKind::kSequence || kind() == YamlKind::kMapping;
  return collection ? tree_->entries_[id_].count : 0;
}

uint32_t YamlNode::FirstChild() const { return tree_->entries_[id_].first; }

uint32_t YamlNode::NextSibling(uint32_t id) const { return tree_->entries_[id].next; }

}  // namespace gatehouse::policy
