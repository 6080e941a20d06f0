// SPDX-License-Identifier: Apache-2.0
// YamlTree::Read: yaml-cpp's events become a tree. The only file that calls yaml-cpp.
#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <istream>
#include <unordered_map>

#include "policy/scalar.h"
#include "policy/yaml_input.h"
#include "policy/yaml_tree.h"

namespace gatehouse::policy {
namespace {

constexpr std::string_view kStandardTag = "tag:yaml.org,2002:";
constexpr std::string_view kNoTag = "?";           // yaml-cpp's, of a plain scalar or a collection
constexpr std::string_view kNonSpecificTag = "!";  // and of a quoted scalar

/// What yaml-cpp says, and what a reader can do about it.
struct SyntaxError {
  std::string_view message;  // its beginning
  std::string_view cause;    // "": the message itself
  std::string_view remedy;
};

const std::array kSyntaxErrors{
    SyntaxError{YAML::ErrorMsg::END_OF_MAP, "this line does not belong to the mapping above it",
                "indent it as the other fields, and write each as `name: value`"},
    SyntaxError{YAML::ErrorMsg::END_OF_SEQ, "this line does not belong to the list above it",
                "indent it as the other entries, and begin each with `- `"},
    SyntaxError{YAML::ErrorMsg::TAB_IN_INDENTATION, "a tab is used for indentation",
                "indent with spaces"},
    SyntaxError{YAML::ErrorMsg::MAP_VALUE, "a `: ` where no field can be",
                "put a text that contains `: ` in quotes, and indent with spaces"},
    SyntaxError{YAML::ErrorMsg::BLOCK_ENTRY, "a list entry in a place where none can be",
                "begin the list on the line after its field's name"},
    SyntaxError{YAML::ErrorMsg::UNKNOWN_ANCHOR, "an alias of an anchor that is not defined before",
                "define it with &name, or write the value out"},
    SyntaxError{YAML::ErrorMsg::INVALID_ESCAPE, "",
                "in double quotes, write a backslash twice, or use single quotes"},
    SyntaxError{YAML::ErrorMsg::INVALID_UNICODE, "", "write the character itself"},
    SyntaxError{YAML::ErrorMsg::YAML_MAJOR_VERSION, "", "remove the line %YAML"},
    SyntaxError{YAML::ErrorMsg::UNKNOWN_TOKEN, "a character that cannot begin a value",
                "put the text in quotes"},
};

Position PositionOf(const YAML::Mark& mark, uint32_t first_line) {
  return {first_line + static_cast<uint32_t>(std::max(mark.line, 0)),
          1 + static_cast<uint32_t>(std::max(mark.column, 0))};
}

}  // namespace

/// Builds the entries of a tree. After a fatal error it ignores what yaml-cpp still has in its
/// queue.
class YamlTreeBuilder : public YAML::EventHandler {
 public:
  YamlTreeBuilder(YamlTree& tree, YamlInput& input, uint32_t first_line, const ParseLimits& limits,
                  size_t nodes_left, Diagnostics& diagnostics)
      : tree_(tree),
        input_(input),
        first_line_(first_line),
        limits_(limits),
        nodes_left_(nodes_left),
        diagnostics_(diagnostics),
        last_position_{first_line, 1} {}

  [[nodiscard]] bool failed() const { return failed_; }
  /// What is wrong with a tree that was read to its end.
  [[nodiscard]] std::vector<Diagnostic> TakeFaults() { return std::move(faults_); }
  [[nodiscard]] size_t nodes_left() const { return nodes_left_; }

  /// Reports what ends the reading of this document, and nothing else: where a bracket is not
  /// closed, yaml-cpp's last events are guesses.
  void Fail(Position position, std::string path, std::string cause, std::string_view remedy) {
    if (failed_) return;
    diagnostics_.Add(position, std::move(path), std::move(cause), std::string(remedy));
    failed_ = true;
    input_.Stop();
  }

  void FailSyntax(const YAML::Exception& error) {
    // yaml-cpp tells where such a text should have ended, which is the end of the document.
    if (error.msg == YAML::ErrorMsg::EOF_IN_SCALAR || error.msg == YAML::ErrorMsg::DOC_IN_SCALAR) {
      return Fail(last_position_, "", "not valid YAML: a text in quotes after this is not closed",
                  "close it with the same quote");
    }
    if (!frames_.empty() && (error.msg == YAML::ErrorMsg::END_OF_SEQ_FLOW ||
                             error.msg == YAML::ErrorMsg::END_OF_MAP_FLOW)) {
      return Fail(YamlNode(tree_, frames_.back().id).position(), "",
                  "not valid YAML: brackets or braces that begin here are not closed",
                  "close them, and separate entries by commas");
    }
    for (const SyntaxError& known : kSyntaxErrors) {
      if (!error.msg.starts_with(known.message)) continue;
      const std::string_view cause = known.cause.empty() ? error.msg : known.cause;
      return Fail(PositionOf(error.mark, first_line_), "", fmt::format("not valid YAML: {}", cause),
                  known.remedy);
    }
    Fail(PositionOf(error.mark, first_line_), "", fmt::format("not valid YAML: {}", error.msg),
         "correct what stands here, or put the text in quotes");
  }

  void FailExhausted() {
    Fail(
        last_position_, "",
        fmt::format("what follows here is one text or list in brackets of more than {} bytes or {} "
                    "entries",
                    limits_.element_bytes, limits_.element_indicators),
        "write a long list with one `- value` on a line");
  }

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      Fail(PositionOf(mark, first_line_), "", "not valid YAML: text after the end of the document",
           "begin a new document with a line `---`");
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    AddScalar(mark, anchor, YamlTree::EntryKind::kNull, {});
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    if (Ended()) return;
    AddScalar(mark, anchor, KindByTag(mark, tag, value), value);
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlTree::EntryKind::kSequence, "seq");
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlTree::EntryKind::kMapping, "map");
  }
  void OnMapEnd() override {
    if (Ended()) return;
    CheckKeys();
    Close();
  }

 private:
  using Entry = YamlTree::Entry;
  using EntryKind = YamlTree::EntryKind;

  /// A collection that is not complete yet.
  struct Frame {
    uint32_t id = 0;
    uint32_t last_child = 0;
    uint32_t children = 0;
    uint32_t key = 0;     // of a mapping: the last key
    size_t expanded = 1;  // nodes below and here, after expansion of aliases
    size_t height = 1;    // levels of collections, this one included
    YAML::anchor_t anchor = YAML::NullAnchor;
  };

  /// A node that an alias can refer to.
  struct Anchored {
    uint32_t id = 0;
    size_t expanded = 1;
    size_t height = 0;
    bool open = false;
  };

  /// Whether events are to be ignored: those still in yaml-cpp's queue after the end.
  [[nodiscard]] bool Ended() const { return failed_ || input_.exhausted(); }
  /// Notes what is wrong without ending the reading.
  void Fault(Position position, std::string path, std::string cause, std::string remedy) {
    if (faults_.size() >= kDiagnosticsMax) return;
    faults_.push_back({"", position, std::move(path), std::move(cause), std::move(remedy)});
  }

  [[nodiscard]] bool InMapping() const {
    return !frames_.empty() && tree_.entries_[frames_.back().id].kind == EntryKind::kMapping;
  }
  [[nodiscard]] bool ExpectsKey() const { return InMapping() && frames_.back().children % 2 == 0; }

  [[nodiscard]] std::string Path() const;
  EntryKind KindByTag(const YAML::Mark& mark, const std::string& tag, std::string_view value);
  void AddScalar(const YAML::Mark& mark, YAML::anchor_t anchor, EntryKind kind,
                 std::string_view value);
  void Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, EntryKind kind,
            std::string_view standard);
  void Close();
  uint32_t Add(Position position, EntryKind kind, size_t expanded);
  void SetAnchor(YAML::anchor_t anchor, const Anchored& anchored);
  void CheckKeys();

  YamlTree& tree_;
  YamlInput& input_;
  uint32_t first_line_;
  const ParseLimits& limits_;
  size_t nodes_left_;
  Diagnostics& diagnostics_;
  Position last_position_;
  std::vector<Frame> frames_;
  std::vector<Anchored> anchors_;  // by anchor_t
  std::vector<Diagnostic> faults_;
  size_t documents_ = 0;
  bool failed_ = false;
};

std::string YamlTreeBuilder::Path() const {
  std::string path;
  for (size_t i = 0; i < frames_.size(); ++i) {
    const Frame& frame = frames_[i];
    if (tree_.entries_[frame.id].kind == EntryKind::kSequence) {
      // An inner frame is the last child; at the innermost, it is about the next one.
      const bool innermost = i + 1 == frames_.size();
      path += fmt::format("[{}]", innermost ? frame.children : frame.children - 1);
    } else if (frame.key != 0 && frame.children % 2 == (i + 1 == frames_.size() ? 1 : 0)) {
      if (!path.empty()) path += '.';
      path += PathKey(YamlNode(tree_, frame.key).text());
    }
  }
  return path;
}

YamlTree::EntryKind YamlTreeBuilder::KindByTag(const YAML::Mark& mark, const std::string& tag,
                                               std::string_view value) {
  if (tag == kNoTag) return EntryKind::kPlain;
  if (tag == kNonSpecificTag) return EntryKind::kString;
  const std::string_view name =
      tag.starts_with(kStandardTag) ? std::string_view(tag).substr(kStandardTag.size()) : "";
  if (name == "str") return EntryKind::kString;
  const ScalarType type = TypeOfPlain(value);
  if (name == "null" && type == ScalarType::kNull) return EntryKind::kNull;
  if ((name == "bool" && type == ScalarType::kBool) ||
      (name == "int" && type == ScalarType::kInteger) ||
      (name == "float" && (type == ScalarType::kInteger || type == ScalarType::kFloat))) {
    return EntryKind::kPlain;
  }
  Fault(PositionOf(mark, first_line_), Path(),
        fmt::format("tag {} does not fit this value", Quote(tag)), "remove the tag");
  return EntryKind::kString;
}

uint32_t YamlTreeBuilder::Add(Position position, EntryKind kind, size_t expanded) {
  if (expanded > nodes_left_) {
    Fail(position, Path(), fmt::format("the text has more than {} nodes", limits_.nodes),
         "split it into several files; an alias counts as all that it stands for");
    nodes_left_ = 0;
    return 0;
  }
  nodes_left_ -= expanded;
  input_.Progress();
  last_position_ = position;
  const auto id = static_cast<uint32_t>(tree_.entries_.size());
  tree_.entries_.push_back({position.line, position.column, 0, 0, 0, kind});
  if (frames_.empty()) return id;
  Frame& parent = frames_.back();
  Entry& parent_entry = tree_.entries_[parent.id];
  const bool key = ExpectsKey();
  (parent.last_child == 0 ? parent_entry.first : tree_.entries_[parent.last_child].next) = id;
  parent.last_child = id;
  parent.expanded += expanded;
  ++parent.children;
  if (key) parent.key = id;
  if (key || parent_entry.kind == EntryKind::kSequence) ++parent_entry.count;
  return id;
}

void YamlTreeBuilder::SetAnchor(YAML::anchor_t anchor, const Anchored& anchored) {
  if (anchor == YAML::NullAnchor) return;
  if (anchors_.size() <= anchor) anchors_.resize(anchor + 1);
  anchors_[anchor] = anchored;
}

void YamlTreeBuilder::AddScalar(const YAML::Mark& mark, YAML::anchor_t anchor, EntryKind kind,
                                std::string_view value) {
  if (Ended()) return;
  Position position = PositionOf(mark, first_line_);
  // A missing value has no place of its own; yaml-cpp says where the next thing is.
  if (kind == EntryKind::kNull && InMapping() && !ExpectsKey()) {
    position = YamlNode(tree_, frames_.back().key).position();
  }
  if (ExpectsKey() && kind == EntryKind::kNull) {
    Fault(position, Path(), "a field has no name", "write `name: value`");
  }
  const uint32_t id = Add(position, kind, 1);
  if (id == 0) return;
  tree_.entries_[id].first = static_cast<uint32_t>(tree_.texts_.size());
  tree_.entries_[id].count = static_cast<uint32_t>(value.size());
  tree_.texts_ += value;
  SetAnchor(anchor, {id, 1, 0, false});
}

void YamlTreeBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  if (Ended()) return;
  const Position position = PositionOf(mark, first_line_);
  if (anchor >= anchors_.size() || anchors_[anchor].id == 0) {
    return Fail(position, Path(), "an alias of an anchor that is not defined before",
                "define it with &name, or write the value out");
  }
  const Anchored target = anchors_[anchor];
  if (target.open) {
    return Fail(position, Path(), "an alias of the list or mapping that it stands in", "remove it");
  }
  if (frames_.size() + target.height > limits_.depth) {
    return Fail(position, Path(),
                fmt::format("more than {} levels of lists and mappings", limits_.depth),
                "an alias counts as all that it stands for");
  }
  if (ExpectsKey() && target.height > 0) {
    Fault(position, Path(), "the name of a field is not a text", "write `name: value`");
  }
  const uint32_t id = Add(position, EntryKind::kAlias, target.expanded);
  if (id == 0) return;
  tree_.entries_[id].first = target.id;
  if (!frames_.empty()) {
    frames_.back().height = std::max(frames_.back().height, target.height + 1);
  }
}

void YamlTreeBuilder::Open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                           EntryKind kind, std::string_view standard) {
  if (Ended()) return;
  const Position position = PositionOf(mark, first_line_);
  if (frames_.size() >= limits_.depth) {
    return Fail(position, Path(),
                fmt::format("more than {} levels of lists and mappings", limits_.depth),
                "no policy needs that many; check the brackets and the indentation");
  }
  if (ExpectsKey()) {
    Fault(position, Path(), "the name of a field is not a text", "write `name: value`");
  }
  const bool fits = tag.empty() || tag == kNoTag || tag == kNonSpecificTag ||
                    (tag.starts_with(kStandardTag) && tag.substr(kStandardTag.size()) == standard);
  if (!fits) {
    Fault(position, Path(), fmt::format("tag {} does not fit this value", Quote(tag)),
          "remove the tag");
  }
  const uint32_t id = Add(position, kind, 1);
  if (id == 0) return;
  SetAnchor(anchor, {id, 1, 0, true});
  Frame frame;
  frame.id = id;
  frame.anchor = anchor;
  frames_.push_back(frame);
}

void YamlTreeBuilder::Close() {
  if (Ended()) return;
  const Frame frame = frames_.back();
  frames_.pop_back();
  SetAnchor(frame.anchor, {frame.id, frame.expanded, frame.height, false});
  if (frames_.empty()) return;
  Frame& parent = frames_.back();
  parent.expanded += frame.expanded - 1;  // its own node was counted when it was opened
  parent.height = std::max(parent.height, frame.height + 1);
}

void YamlTreeBuilder::CheckKeys() {
  std::unordered_map<std::string_view, uint32_t> lines;
  YamlNode(tree_, frames_.back().id).EachPair([&](YamlNode key, YamlNode) {
    if (!key.IsScalar()) return;
    const auto [first, added] = lines.try_emplace(key.text(), key.position().line);
    if (added) return;
    std::string path = Path();
    path += (path.empty() ? "" : ".") + PathKey(key.text());
    Fault(
        key.position(), std::move(path),
        fmt::format("field {} is there twice, first on line {}", Quote(key.text()), first->second),
        "remove one of the two");
  });
}

YamlOutcome YamlTree::Read(const RawDocument& document, const ParseLimits& limits,
                           size_t& nodes_left, Diagnostics& diagnostics) {
  entries_.assign(1, {});
  texts_.clear();
  YamlInput input(document.text, limits);
  YamlTreeBuilder builder(*this, input, document.first_line, limits, nodes_left, diagnostics);
  try {
    std::istream stream(&input);
    YAML::Parser parser(stream);
    while (!builder.failed() && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {
    if (!input.exhausted()) builder.FailSyntax(error);
  }
  if (input.exhausted()) builder.FailExhausted();
  nodes_left = builder.nodes_left();
  if (builder.failed()) {
    entries_.resize(1);
    return YamlOutcome::kFailed;
  }
  for (Diagnostic& fault : builder.TakeFaults()) {
    diagnostics.Add(fault.position, std::move(fault.path), std::move(fault.cause),
                    std::move(fault.remedy));
  }
  const bool nothing = entries_.size() == 1 || root().kind() == YamlKind::kNull;
  return nothing ? YamlOutcome::kNothing : YamlOutcome::kTree;
}

}  // namespace gatehouse::policy
