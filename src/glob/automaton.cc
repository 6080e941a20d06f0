// SPDX-License-Identifier: Apache-2.0
#include "glob/automaton.h"

#include <fmt/format.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <map>
#include <unordered_map>
#include <utility>

#include "abi/gatehouse.h"

namespace gatehouse::glob {
namespace {

constexpr size_t kByteCount = 256;
constexpr size_t kWorkMax = size_t{1} << 23;  // places in all states together: a second or two,
constexpr size_t kWorkOfState = 32;           // with what each state costs by itself
constexpr uint8_t kSlash = '/';

struct WordsHash {
  size_t operator()(const std::vector<uint32_t>& words) const {
    return XXH3_64bits(words.data(), words.size() * sizeof(uint32_t));
  }
};

/// The patterns as one graph: those with the same beginning go one way, and those with the same end
/// come together again, so that what they have in common is there once.
class Graph {
 public:
  struct Node {
    Step::Kind kind = Step::Kind::kByte;  ///< of the steps that lead here
    bool takes = false;                   ///< a pattern ends here
    std::vector<std::pair<Step, uint32_t>> next;
  };

  explicit Graph(std::span<const Pattern> patterns) : nodes_(1) {
    for (const Pattern& pattern : patterns) {
      uint32_t node = kRoot;
      for (const Step& step : pattern) node = Next(node, step);
      nodes_[node].takes = true;
    }
    JoinEnds();
  }
  [[nodiscard]] const Node& at(uint32_t node) const { return nodes_[node]; }

  static constexpr uint32_t kRoot = 0;

 private:
  uint32_t Next(uint32_t node, const Step& step) {
    for (const auto& [known, next] : nodes_[node].next) {
      if (known == step) return next;
    }
    const auto next = static_cast<uint32_t>(nodes_.size());
    nodes_[node].next.emplace_back(step, next);
    nodes_.push_back({.kind = step.kind, .takes = false, .next = {}});
    return next;
  }

  /// From the ends to the root: what a node leads to has a greater number.
  void JoinEnds() {
    std::unordered_map<Bytes, uint32_t> numbers;  // of sets of bytes
    std::unordered_map<std::vector<uint32_t>, uint32_t, WordsHash> known;
    std::vector<uint32_t> joined(nodes_.size());
    for (auto node = static_cast<uint32_t>(nodes_.size()); node-- > 0;) {
      const auto kind_of = [](Step::Kind kind) { return static_cast<uint32_t>(kind); };
      std::vector<std::array<uint32_t, 3>> ways;
      for (auto& [step, next] : nodes_[node].next) {
        next = joined[next];
        const auto number = static_cast<uint32_t>(numbers.size());
        ways.push_back(
            {kind_of(step.kind), numbers.try_emplace(step.bytes, number).first->second, next});
      }
      std::ranges::sort(ways);
      std::vector<uint32_t> key{kind_of(nodes_[node].kind), nodes_[node].takes ? 1U : 0U};
      for (const auto& way : ways) key.insert(key.end(), way.begin(), way.end());
      joined[node] = known.try_emplace(std::move(key), node).first->second;
    }
  }

  std::vector<Node> nodes_;
};

/// Where the patterns can be after some bytes, sorted: nodes, and nodes of kDirectories
/// that wait for the `/` before them.
class Places {
 public:
  explicit Places(const Graph& graph) : graph_(graph) {}

  /// The node, and those behind it that need no byte.
  void Enter(uint32_t node) {
    members_.push_back(node * 2);
    for (const auto& [step, next] : graph_.at(node).next) {
      if (step.kind == Step::Kind::kByte) continue;
      if (step.kind == Step::Kind::kDirectories) Wait(next);
      Enter(next);
    }
  }
  void Wait(uint32_t node) { members_.push_back(node * 2 + 1); }
  void Add(const Places& other) {
    members_.insert(members_.end(), other.members_.begin(), other.members_.end());
  }

  static bool Waits(uint32_t member) { return member % 2 != 0; }
  static uint32_t NodeOf(uint32_t member) { return member / 2; }

  /// Sorted, each once.
  [[nodiscard]] std::vector<uint32_t> Take() && {
    std::ranges::sort(members_);
    members_.erase(std::ranges::unique(members_).begin(), members_.end());
    return std::move(members_);
  }

 private:
  const Graph& graph_;
  std::vector<uint32_t> members_;
};

struct State {
  bool takes = false;
  uint32_t otherwise = GH_STATE_NEVER;
  uint32_t slash = GH_STATE_NEVER;
  std::vector<std::pair<uint8_t, uint32_t>> row;  ///< ascending: bytes that lead elsewhere

  /// For the table: the row without gaps.
  [[nodiscard]] size_t row_words() const {
    return row.empty() ? 0 : size_t{row.back().first} - row.front().first + 1;
  }
  [[nodiscard]] size_t words() const { return GH_STATE_ROW + row_words(); }
};

tl::unexpected<Error> TooLarge(size_t patterns) {
  return Fail(
      ErrorCode::kInvalid, {},
      fmt::format("{} would need a table of more than {} MB",
                  patterns == 1 ? "the pattern" : fmt::format("the {} patterns together", patterns),
                  GH_AUTOMATON_WORDS_MAX * sizeof(uint32_t) >> 20),
      "use fewer * in one name, ** at the end alone, or several selectors");
}

/// Subset construction: a state is a set of places.
class Builder {
 public:
  explicit Builder(std::span<const Pattern> patterns)
      : patterns_(patterns.size()), graph_(patterns) {}

  /// The states from 2 on, with the numbers of gh_state before them. The first one is the start,
  /// unless that is one of these.
  Result<uint32_t> Build() {
    Places start(graph_);
    start.Enter(Graph::kRoot);
    const uint32_t first = Intern(std::move(start).Take());
    while (states_.size() < sets_.size()) {
      states_.push_back(Expand(*sets_[states_.size()]));
      words_ += states_.back().words();
      if (words_ > GH_AUTOMATON_WORDS_MAX * kSpare || work_ > kWorkMax) {
        return TooLarge(patterns_);
      }
    }
    return first;
  }

  [[nodiscard]] const State& at(uint32_t state) const { return states_[state - kFirst]; }
  [[nodiscard]] uint32_t end() const { return kFirst + static_cast<uint32_t>(states_.size()); }
  static constexpr uint32_t kFirst = 2;  // behind those of gh_state

 private:
  static constexpr size_t kSpare = 2;  // for states that will turn out to be the same

  uint32_t Intern(std::vector<uint32_t> set) {
    if (set.empty()) return GH_STATE_NEVER;
    for (const uint32_t member : set) {
      const Graph::Node& node = graph_.at(Places::NodeOf(member));
      if (!Places::Waits(member) && node.takes && node.kind == Step::Kind::kAnything) {
        return GH_STATE_ALWAYS;
      }
    }
    const auto [known, is_new] =
        numbers_.try_emplace(std::move(set), kFirst + static_cast<uint32_t>(sets_.size()));
    if (is_new) {
      sets_.push_back(&known->first);
      work_ += known->first.size() + kWorkOfState;
    }
    return known->second;
  }

  State Expand(const std::vector<uint32_t>& set) {
    State state;
    Places stay(graph_), slash(graph_);
    std::array<std::vector<uint32_t>, kByteCount> after;  // the nodes that a byte leads to
    for (const uint32_t member : set) {
      const uint32_t number = Places::NodeOf(member);
      const Graph::Node& node = graph_.at(number);
      if (Places::Waits(member)) {
        stay.Wait(number);
        slash.Wait(number);
        slash.Enter(number);
        continue;
      }
      state.takes |= node.takes;
      const bool anything = node.kind == Step::Kind::kAnything;
      if (number != Graph::kRoot && (anything || node.kind == Step::Kind::kName))
        stay.Enter(number);
      if (number != Graph::kRoot && anything) slash.Enter(number);
      for (const auto& [step, next] : node.next) {
        if (step.kind != Step::Kind::kByte) continue;
        for (size_t b = step.bytes._Find_first(); b < kByteCount; b = step.bytes._Find_next(b)) {
          after.at(b).push_back(next);
        }
      }
    }
    for (const uint32_t next : after[kSlash]) slash.Enter(next);
    state.slash = Intern(std::move(slash).Take());
    FillRow(stay, after, state);
    return state;
  }

  uint32_t Enter(const Places& stay, const std::vector<uint32_t>& nodes) {
    Places places(graph_);
    places.Add(stay);
    for (const uint32_t node : nodes) places.Enter(node);
    return Intern(std::move(places).Take());
  }

  /// What most bytes lead to is left out of the row.
  void FillRow(const Places& stay, const std::array<std::vector<uint32_t>, kByteCount>& after,
               State& state) {
    std::map<std::vector<uint32_t>, uint32_t> known;  // of bytes that lead to the same nodes
    std::map<uint32_t, size_t> uses;
    std::array<uint32_t, kByteCount> targets{};
    const std::vector<uint32_t>* last = nullptr;  // nodes of the byte before
    uint32_t target = GH_STATE_NEVER;
    for (size_t b = 0; b < kByteCount; ++b) {
      if (b == kSlash) continue;
      if (last == nullptr || *last != after.at(b)) {
        const auto [entry, is_new] = known.try_emplace(after.at(b));
        if (is_new) entry->second = Enter(stay, after.at(b));
        target = entry->second;
        last = &after.at(b);
      }
      targets.at(b) = target;
      ++uses[target];
    }
    state.otherwise =
        std::ranges::max_element(uses, {}, [](const auto& use) { return use.second; })->first;
    for (size_t b = 0; b < kByteCount; ++b) {
      if (b == kSlash || targets.at(b) == state.otherwise) continue;
      state.row.emplace_back(static_cast<uint8_t>(b), targets.at(b));
    }
  }

  size_t patterns_;
  Graph graph_;
  std::unordered_map<std::vector<uint32_t>, uint32_t, WordsHash> numbers_;
  std::vector<const std::vector<uint32_t>*> sets_;  // by number
  std::vector<State> states_;
  size_t words_ = 0;
  size_t work_ = 0;
};

/// Which states take the same texts: classes of those that may, which are split until no byte leads
/// from one class to two (Moore, 1956). What is looked at again is what leads to a state that has
/// changed its class, and the larger part of a class keeps its number (Hopcroft, 1971).
class Classes {
 public:
  explicit Classes(const Builder& builder) : builder_(builder), class_of_(builder.end()) {
    for (uint32_t state = 0; state < kOthers; ++state) class_of_[state] = state;
    std::vector<uint32_t> states;
    for (uint32_t state = Builder::kFirst; state < builder.end(); ++state) {
      class_of_[state] = builder.at(state).takes ? kOthers + 1 : kOthers;
      states.push_back(state);
    }
    keys_.resize(kOthers + 2);
    sizes_.resize(kOthers + 2);
    for (const uint32_t state : states) ++sizes_[of(state)];
    FindWaysBack();
    while (!states.empty()) states = Split(std::move(states));
    Renumber();
  }

  [[nodiscard]] uint32_t of(uint32_t state) const { return class_of_[state]; }
  /// A state of each class from Builder::kFirst on.
  [[nodiscard]] const std::vector<uint32_t>& examples() const { return examples_; }

 private:
  using Key = std::vector<uint32_t>;
  static constexpr uint32_t kOthers = Builder::kFirst;  // behind those of gh_state

  template <typename F>
  static void ForEachNext(const State& state, F&& call) {
    call(state.otherwise);
    call(state.slash);
    for (const auto& [byte, next] : state.row) call(next);
  }

  void FindWaysBack() {
    first_way_.assign(builder_.end() + 1, 0);
    const auto for_each_way = [&](auto&& call) {
      for (uint32_t from = Builder::kFirst; from < builder_.end(); ++from) {
        ForEachNext(builder_.at(from), [&](uint32_t to) { call(from, to); });
      }
    };
    for_each_way([&](uint32_t, uint32_t to) { ++first_way_[to + 1]; });
    for (size_t i = 1; i < first_way_.size(); ++i) first_way_[i] += first_way_[i - 1];
    ways_back_.resize(first_way_.back());
    std::vector<uint32_t> next = first_way_;
    for_each_way([&](uint32_t from, uint32_t to) { ways_back_[next[to]++] = from; });
  }

  /// Which classes a state leads to.
  [[nodiscard]] Key KeyOf(uint32_t state) const {
    const State& s = builder_.at(state);
    const uint32_t otherwise = of(s.otherwise);
    Key key{otherwise, of(s.slash)};
    for (const auto& [byte, next] : s.row) {
      if (of(next) != otherwise) key.insert(key.end(), {byte, of(next)});
    }
    return key;
  }

  /// Splits the classes of `states`, whose keys may have changed; the states to look at then.
  std::vector<uint32_t> Split(std::vector<uint32_t> states) {
    std::ranges::sort(states, {}, [&](uint32_t state) { return std::pair(of(state), state); });
    std::vector<uint32_t> moved;
    for (auto begin = states.begin(); begin != states.end();) {
      const uint32_t number = of(*begin);
      const auto end =
          std::find_if(begin, states.end(), [&](uint32_t state) { return of(state) != number; });
      SplitClass(number, std::span(begin, end), moved);
      begin = end;
    }
    std::vector<uint32_t> again;
    for (const uint32_t state : moved) {
      again.insert(again.end(), ways_back_.begin() + first_way_[state],
                   ways_back_.begin() + first_way_[state + 1]);
    }
    std::ranges::sort(again);
    again.erase(std::ranges::unique(again).begin(), again.end());
    return again;
  }

  void SplitClass(uint32_t number, std::span<const uint32_t> states, std::vector<uint32_t>& moved) {
    std::unordered_map<Key, std::vector<uint32_t>, WordsHash> parts;
    for (const uint32_t state : states) parts[KeyOf(state)].push_back(state);
    if (states.size() == sizes_[number]) {
      keys_[number] = std::ranges::max_element(parts, {}, [](const auto& part) {
                        return part.second.size();
                      })->first;
    }
    for (auto& [key, members] : parts) {
      if (key == keys_[number]) continue;
      const auto split = static_cast<uint32_t>(sizes_.size());
      for (const uint32_t state : members) class_of_[state] = split;
      sizes_.push_back(members.size());
      sizes_[number] -= members.size();
      keys_.push_back(key);
      moved.insert(moved.end(), members.begin(), members.end());
    }
  }

  /// In the order of their first states.
  void Renumber() {
    std::vector<uint32_t> number(sizes_.size(), 0);
    for (uint32_t state = Builder::kFirst; state < builder_.end(); ++state) {
      uint32_t& renumbered = number[of(state)];
      if (renumbered == 0) {
        renumbered = kOthers + static_cast<uint32_t>(examples_.size());
        examples_.push_back(state);
      }
      class_of_[state] = renumbered;
    }
  }

  const Builder& builder_;
  std::vector<uint32_t> class_of_;
  std::vector<Key> keys_;      // by class: of its states
  std::vector<size_t> sizes_;  // by class
  std::vector<uint32_t> first_way_, ways_back_;
  std::vector<uint32_t> examples_;
};

/// The table of one state of each class.
class Table {
 public:
  Table(const Builder& builder, uint32_t start) : classes_(builder), offsets_{0, GH_STATE_ALWAYS} {
    std::vector<State> states;
    size_t words = kHeaderWords;
    for (const uint32_t example : classes_.examples()) {
      const State& state = states.emplace_back(WithoutWhatIsTheSame(builder.at(example)));
      offsets_.push_back(static_cast<uint32_t>(words));
      words += state.words();
    }
    words_.reserve(words);
    words_ = {OffsetOf(start), 0};
    for (const State& state : states) Add(state);
  }
  [[nodiscard]] std::vector<uint32_t> Take() && { return std::move(words_); }

 private:
  static constexpr size_t kHeaderWords = 2;  // no state lies where those of gh_state would

  [[nodiscard]] uint32_t OffsetOf(uint32_t state) const { return offsets_[classes_.of(state)]; }

  [[nodiscard]] State WithoutWhatIsTheSame(State state) const {
    std::erase_if(state.row, [&](const auto& entry) {
      return classes_.of(entry.second) == classes_.of(state.otherwise);
    });
    return state;
  }

  void Add(const State& state) {
    const uint32_t first = state.row.empty() ? 0 : state.row.front().first;
    const uint32_t otherwise = OffsetOf(state.otherwise);
    words_.push_back(
        gh_state_info(first, static_cast<uint32_t>(state.row_words()), state.takes ? 1 : 0));
    words_.push_back(otherwise);
    words_.push_back(OffsetOf(state.slash));
    const size_t row = words_.size();
    words_.resize(row + state.row_words(), otherwise);
    for (const auto& [byte, next] : state.row) words_[row + byte - first] = OffsetOf(next);
  }

  Classes classes_;
  std::vector<uint32_t> offsets_;  // by class
  std::vector<uint32_t> words_;
};

}  // namespace

Result<std::vector<uint32_t>> MakeAutomaton(std::span<const Pattern> patterns) {
  Builder builder(patterns);
  GH_ASSIGN(const uint32_t start, builder.Build());
  std::vector<uint32_t> words = Table(builder, start).Take();
  if (words.size() > GH_AUTOMATON_WORDS_MAX) return TooLarge(patterns.size());
  return words;
}

bool Takes(std::span<const uint32_t> automaton, std::string_view text) {
  uint32_t state = automaton[0];
  for (const char c : text) {
    if (state <= GH_STATE_ALWAYS) break;
    const auto byte = static_cast<uint8_t>(c);
    const uint32_t info = automaton[state];
    const uint32_t place = byte - gh_state_first(info);
    const uint32_t word = byte == kSlash             ? uint32_t{GH_STATE_SLASH}
                          : place < gh_state_n(info) ? GH_STATE_ROW + place
                                                     : uint32_t{GH_STATE_OTHERWISE};
    state = automaton[state + word];
  }
  return state <= GH_STATE_ALWAYS ? state == GH_STATE_ALWAYS
                                  : gh_state_takes(automaton[state]) != 0;
}

}  // namespace gatehouse::glob
