// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "policy/catalog.h"
#include "policy/diagnostics.h"
#include "policy/parse.h"
#include "policy/yaml_tree.h"

/// Reads mappings by tables of fields. A reading function takes a node, fills in a draft and
/// reports what is wrong; it goes on after an error, so that all errors of a text are reported.
namespace gatehouse::policy {

enum class Need : uint8_t {
  kRequired,
  kOptional,
  kIgnored,      ///< belongs to Kubernetes; any value
  kUnsupported,  ///< known, but refused by name
  kOnlyFalse,    ///< a switch that is known and not supported, but accepted when it is off
  kMisplaced,    ///< belongs elsewhere; the hint says where
};

/// What a reader of mappings knows about a field without its draft.
struct FieldName {
  std::string_view name;
  Need need = Need::kOptional;
  std::string_view hint =
      {};  ///< required: an example of its value; misplaced: why, and what to do
};

class Reader;

/// Reads a field into `Member` of a draft as it is, for what can be read only when others are.
template <typename Draft, std::optional<YamlNode> Draft::* Member>
void Keep(Reader&, YamlNode node, Draft& draft) {
  draft.*Member = node;
}

/// One row of a table of fields. `read` gets the field's value, never null; it is there for
/// kRequired and kOptional, and with it what the field is about, for people.
template <typename Draft>
struct Field {
  using Read = void (*)(Reader&, YamlNode, Draft&);

  constexpr Field() = default;
  constexpr explicit Field(FieldName name) : field(name) {}
  constexpr Field(FieldName name, Read reads, std::string_view tells)
      : field(name), read(reads), about(tells) {}

  FieldName field;
  Read read = nullptr;
  std::string_view about = {};
};

/// The rows of two tables.
template <typename Draft, size_t M, size_t N>
constexpr std::array<Field<Draft>, M + N> Join(const std::array<Field<Draft>, M>& a,
                                               const std::array<Field<Draft>, N>& b) {
  std::array<Field<Draft>, M + N> joined{};
  std::copy(a.begin(), a.end(), joined.begin());
  std::copy(b.begin(), b.end(), joined.begin() + M);
  return joined;
}

/// Where in a document we are, and what is wrong there. Not thread-safe.
class Reader {
  struct Step {
    std::string_view field;  // empty: an entry
    size_t entry = 0;
  };

 public:
  Reader(const ParseLimits& limits, Diagnostics& diagnostics)
      : Reader(limits, diagnostics, limits.nodes) {}
  /// `nodes_left`: how many nodes of the document may be read again, where something is used that
  /// is written elsewhere.
  Reader(const ParseLimits& limits, Diagnostics& diagnostics, size_t nodes_left)
      : limits_(limits), diagnostics_(diagnostics), nodes_left_(nodes_left) {}
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  [[nodiscard]] const ParseLimits& limits() const { return limits_; }
  /// How many reports there are on the whole text; warnings are none.
  [[nodiscard]] size_t reports() const { return diagnostics_.errors(); }

  /// Counts nodes that are to be read again for a use at `position`. False, reported
  /// once, if the text may not have that many more.
  [[nodiscard]] bool Expand(size_t nodes, Position position);
  [[nodiscard]] size_t nodes_left() const { return nodes_left_; }

  /// While it lives, reports are about a field or an entry of where we are. The name must outlive
  /// it.
  class Scope {
   public:
    Scope(Reader& reader, std::string_view field) : reader_(reader) {
      reader_.path_.push_back({field, 0});
    }
    Scope(Reader& reader, size_t entry) : reader_(reader) { reader_.path_.push_back({{}, entry}); }
    ~Scope() { reader_.path_.pop_back(); }
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;

   private:
    Reader& reader_;
  };

  /// While it lives, reports are about what is written at `path` and used at `use`, which is where
  /// we are: they name both. The names must outlive it.
  class Detour {
   public:
    Detour(Reader& reader, std::initializer_list<std::string_view> path, Position use);
    ~Detour();
    Detour(const Detour&) = delete;
    Detour& operator=(const Detour&) = delete;

   private:
    Reader& reader_;
    std::vector<Step> path_;  // that of the use
  };

  void Report(Position position, std::string cause, std::string remedy = {});
  /// As Report, of what is taken all the same.
  void Warn(Position position, std::string cause, std::string remedy = {});
  /// As Report, about a field of where we are.
  void ReportField(std::string_view field, Position position, std::string cause,
                   std::string remedy = {});

  /// Reads a mapping into `draft` by a table of at most 64 rows: what is not in the table, is
  /// missing, or is null, is reported. Returns false if the node is no mapping.
  template <typename Draft>
  bool Fields(YamlNode node, std::span<const Field<Draft>> table, Draft& draft) {
    if (!ExpectMapping(node)) return false;
    uint64_t present = 0;
    node.EachPair([&](YamlNode key, YamlNode value) {
      size_t row = 0;
      while (row < table.size() && table[row].field.name != key.text()) ++row;
      if (row == table.size()) return ReportUnknownField(key, NamesOf(table));
      present |= uint64_t{1} << row;
      if (!Accept(table[row].field, key, value)) return;
      const Scope scope(*this, table[row].field.name);
      if (limits_.explains) Explain(key.position(), table[row].about);
      table[row].read(*this, value, draft);
    });
    for (size_t row = 0; row < table.size(); ++row) {
      const bool missing = (present >> row & 1) == 0;
      if (missing && table[row].field.need == Need::kRequired) {
        ReportMissing(table[row].field, node.position());
      }
    }
    return true;
  }

  /// Calls `read(YamlNode)` for each entry of a sequence, which has 1 to `entries_max`.
  template <typename Read>
  void Entries(YamlNode node, size_t entries_max, Read read) {
    if (!ExpectEntries(node, entries_max)) return;
    size_t index = 0;
    node.EachEntry([&](YamlNode entry) {
      const Scope scope(*this, index++);
      read(entry);
    });
  }

  /// The value of a scalar, if it is of that type; else reports it. A string has no NUL bytes;
  /// bytes are a string that may have them.
  [[nodiscard]] std::optional<std::string> String(YamlNode node);
  [[nodiscard]] std::optional<std::string> Bytes(YamlNode node);
  [[nodiscard]] std::optional<bool> Bool(YamlNode node);
  [[nodiscard]] std::optional<int64_t> Integer(YamlNode node, int64_t least, int64_t most);

  /// What a name of the language stands for; reports one that is unknown or not supported yet.
  /// `noun` is what it is called: "operator".
  template <typename Value>
  [[nodiscard]] std::optional<Value> Name(YamlNode node, std::string_view noun,
                                          std::span<const NameRow<Value>> rows) {
    const std::optional<std::string> name = String(node);
    if (!name) return std::nullopt;
    bool unsupported = false;
    for (const NameRow<Value>& row : rows) {
      if (*name != row.name && (row.alias.empty() || *name != row.alias)) continue;
      if (row.value) return row.value;
      unsupported = true;
    }
    std::vector<std::string_view> known;
    std::vector<std::string_view> all;
    for (const NameRow<Value>& row : rows) {
      all.push_back(row.name);
      if (row.value) known.push_back(row.name);
    }
    if (unsupported) {
      ReportUnsupportedName(node.position(), noun, *name, known);
    } else {
      ReportUnknownName(node.position(), noun, *name, known, all);
    }
    return std::nullopt;
  }

  void ReportUnsupportedName(Position position, std::string_view noun, std::string_view name,
                             const std::vector<std::string_view>& known);
  void ReportUnknownName(Position position, std::string_view noun, std::string_view name,
                         const std::vector<std::string_view>& known,
                         const std::vector<std::string_view>& near);

  [[nodiscard]] bool ExpectMapping(YamlNode node);

 private:
  [[nodiscard]] std::string Path() const;
  template <typename Draft>
  static std::vector<FieldName> NamesOf(std::span<const Field<Draft>> table) {
    std::vector<FieldName> names;
    for (const Field<Draft>& row : table) names.push_back(row.field);
    return names;
  }
  /// Whether the value of a field in the table is to be read; if it must not be there, says so.
  [[nodiscard]] bool Accept(const FieldName& field, YamlNode key, YamlNode value);
  void Explain(Position position, std::string_view about);
  void ReportUnknownField(YamlNode key, const std::vector<FieldName>& names);
  void ReportMissing(const FieldName& field, Position position);
  [[nodiscard]] bool ExpectEntries(YamlNode node, size_t entries_max);
  void ReportType(YamlNode node, std::string_view expected, std::string remedy);

  const ParseLimits& limits_;
  Diagnostics& diagnostics_;
  size_t nodes_left_;
  bool expanded_enough_ = false;  // it is reported
  std::vector<Step> path_;
  std::string use_;  // on a detour: what reports end with
};

}  // namespace gatehouse::policy
