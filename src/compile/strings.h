// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "abi/gatehouse.h"
#include "base/result.h"
#include "compile/resolved.h"

namespace gatehouse::compile {

/// Sorts, and joins ranges that overlap or touch.
void Normalize(std::vector<gh_range>& ranges);
void Normalize(std::vector<gh_address_range>& ranges);

/// Number of an interned string, the same in the agent and in the kernel; 0 is no string.
using StringId = uint32_t;

/// Every string that any policy compares with, once, counted. Ids are dense and are reused only
/// after Erase: a string nobody refers to any more keeps its id until the image says that no
/// program can still be looking for it. Not thread-safe: belongs to the control thread.
class StringPool {
 public:
  StringPool();
  StringPool(const StringPool&) = delete;
  StringPool& operator=(const StringPool&) = delete;

  /// The id of `text`, with one more reference.
  [[nodiscard]] StringId Intern(std::string_view text);
  void Retain(StringId id);
  /// Gives one reference back; the string stays until Erase.
  void Release(StringId id);
  [[nodiscard]] std::string_view Text(StringId id) const;
  [[nodiscard]] uint32_t References(StringId id) const { return entries_.at(id).references; }
  /// One above the largest id ever given out.
  [[nodiscard]] uint32_t id_limit() const { return static_cast<uint32_t>(entries_.size()); }
  [[nodiscard]] size_t size() const { return by_text_.size(); }

  /// Ids interned since the last call, that still exist.
  [[nodiscard]] std::vector<StringId> TakeAdded();
  /// Ids whose last reference went since the last call and did not come back.
  [[nodiscard]] std::vector<StringId> TakeIdle();
  /// Forgets the string if nobody refers to it; false, and unchanged, if somebody does again.
  bool Erase(StringId id);

 private:
  struct Entry {
    std::string text;
    uint32_t references = 0;
    bool live = false;
  };
  std::deque<Entry> entries_;  // by id; a deque: views of texts stay valid
  std::unordered_map<std::string_view, StringId> by_text_;
  std::vector<StringId> free_;
  std::vector<StringId> added_;
  std::vector<StringId> idle_;
};

/// What a set consists of: interned strings, or ranges of numbers or of addresses; the other lists
/// are empty.
struct SetContent {
  std::vector<StringId> ids = {};                ///< ascending, distinct
  std::vector<uint32_t> automaton = {};          ///< of the ids, if they are patterns
  std::vector<gh_range> ranges = {};             ///< ascending, neither overlapping nor touching
  std::vector<gh_address_range> addresses = {};  ///< as ranges
};

/// An immutable set of values, as one filter searches it. Holds a reference on each string: the
/// pool must outlive it. Made by ValueSets.
class ValueSet {
 public:
  /// The set takes references of its own.
  ValueSet(StringPool& pool, gh_match match, SetContent content);
  ~ValueSet();
  ValueSet(const ValueSet&) = delete;
  ValueSet& operator=(const ValueSet&) = delete;

  [[nodiscard]] gh_match match() const { return match_; }
  /// Ascending, distinct. With GH_MATCH_POSTFIX they name byte-reversed strings, with
  /// GH_MATCH_PATTERN patterns.
  [[nodiscard]] std::span<const StringId> ids() const { return content_.ids; }
  /// With GH_MATCH_PATTERN: of all of them together, see glob::MakeAutomaton.
  [[nodiscard]] std::span<const uint32_t> automaton() const { return content_.automaton; }
  /// With GH_MATCH_RANGE. With GH_MATCH_MASK one, whose `first` is the mask.
  [[nodiscard]] std::span<const gh_range> ranges() const { return content_.ranges; }
  /// With GH_MATCH_ADDRESS.
  [[nodiscard]] std::span<const gh_address_range> addresses() const { return content_.addresses; }
  /// Values: ids or ranges.
  [[nodiscard]] size_t size() const {
    return content_.ids.size() + content_.ranges.size() + content_.addresses.size();
  }
  /// What they take in the image.
  [[nodiscard]] size_t bytes() const {
    if (match_ == GH_MATCH_PATTERN) return GH_WORD_BYTES + automaton().size_bytes();
    return ids().size_bytes() + ranges().size_bytes() + addresses().size_bytes();
  }

 private:
  StringPool& pool_;
  gh_match match_;
  SetContent content_;
};

using ValueSetPtr = std::shared_ptr<const ValueSet>;

/// The identity (GH_FIELD_FILE) of the file at an absolute path; none, if there is none.
using FileFinder = std::function<std::optional<gh_address_range>(const std::string& path)>;

/// Makes value sets, interned by content: equal sets are the same object while anyone holds it. So
/// are the values that paths lead to.
/// Thread: the pool's.
class ValueSets {
 public:
  /// `find_file`: see FindFile.
  explicit ValueSets(StringPool& pool, FileFinder find_file = {})
      : pool_(pool), find_file_(std::move(find_file)) {}

  /// The set of `values` for searching by `match`. Prefixes (postfixes) that another one of the set
  /// covers are dropped, so that a value has at most one of them as its head (tail).
  [[nodiscard]] ValueSetPtr Make(gh_match match, std::span<const std::string_view> values);
  /// The numbers in any of `ranges`, which may overlap; with GH_MATCH_MASK: the masks in their
  /// `first` together.
  [[nodiscard]] ValueSetPtr MakeNumbers(gh_match match, std::vector<gh_range> ranges);
  /// The addresses in any of `ranges`, which may overlap.
  [[nodiscard]] ValueSetPtr MakeAddresses(std::vector<gh_address_range> ranges);
  /// The texts that any of `patterns` (glob/pattern.h) takes. Errors: kInvalid, a pattern that is
  /// none, or too much of them.
  [[nodiscard]] Result<ValueSetPtr> MakePatterns(std::span<const std::string> patterns);
  /// The union of exact sets.
  [[nodiscard]] ValueSetPtr Union(std::span<const ValueSetPtr> exact);
  /// The strings of an exact set, in no order; they stay as long as the set.
  [[nodiscard]] std::vector<std::string_view> Views(const ValueSet& exact) const;
  /// The strings of a set as they were written, in no order.
  [[nodiscard]] std::vector<std::string> Texts(const ValueSet& set) const;

  [[nodiscard]] ResolvedValues& resolved() { return resolved_; }
  /// The file that has this absolute path now, if any. Where nobody is to be asked, as when a
  /// policy is only checked, there is none.
  [[nodiscard]] std::optional<gh_address_range> FindFile(const std::string& path) const {
    return find_file_ ? find_file_(path) : std::nullopt;
  }

 private:
  /// Drops duplicates; takes over one reference for each of `ids`.
  [[nodiscard]] ValueSetPtr InternIds(gh_match match, std::vector<StringId> ids);
  /// The set with that content that is there, or null. An automaton follows from its ids. `hash`:
  /// of the content.
  [[nodiscard]] ValueSetPtr Find(uint64_t hash, gh_match match, const SetContent& content) const;
  /// A new one.
  [[nodiscard]] ValueSetPtr Add(uint64_t hash, gh_match match, SetContent content);
  /// Either.
  [[nodiscard]] ValueSetPtr Intern(gh_match match, SetContent content);

  StringPool& pool_;
  FileFinder find_file_;
  ResolvedValues resolved_;
  size_t sweep_at_ = 64;  // entries of by_content_ at which those of dead sets are dropped
  std::unordered_multimap<uint64_t, std::weak_ptr<const ValueSet>> by_content_;
};

}  // namespace gatehouse::compile
