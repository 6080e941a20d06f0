// SPDX-License-Identifier: Apache-2.0
#include "glob/pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>

namespace gatehouse::glob {
namespace {

constexpr unsigned char kAsciiEnd = 0x80;

unsigned char ByteOf(char c) { return static_cast<unsigned char>(c); }

Bytes AllButSlash() {
  Bytes bytes;
  bytes.set();
  bytes.reset(ByteOf('/'));
  return bytes;
}

struct NamedClass {
  std::string_view name;
  int (*has)(int);
};
constexpr std::array kNamedClasses{
    NamedClass{"alnum", std::isalnum}, NamedClass{"alpha", std::isalpha},
    NamedClass{"blank", std::isblank}, NamedClass{"cntrl", std::iscntrl},
    NamedClass{"digit", std::isdigit}, NamedClass{"graph", std::isgraph},
    NamedClass{"lower", std::islower}, NamedClass{"print", std::isprint},
    NamedClass{"punct", std::ispunct}, NamedClass{"space", std::isspace},
    NamedClass{"upper", std::isupper}, NamedClass{"xdigit", std::isxdigit},
};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<Pattern> Parse() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '*') {
        AddStars();
        continue;
      }
      ++at_;
      switch (c) {
        case '?':
          pattern_.push_back({Step::Kind::kByte, AllButSlash()});
          break;
        case '[': {
          GH_ASSIGN(const Bytes bytes, ReadClass());
          pattern_.push_back({Step::Kind::kByte, bytes});
          break;
        }
        case '\\':
          if (at_ == text_.size()) {
            return Error("ends with a backslash", "write \\\\ for a backslash");
          }
          AddByte(text_[at_++]);
          break;
        default:
          AddByte(c);
      }
    }
    return std::move(pattern_);
  }

 private:
  tl::unexpected<gatehouse::Error> Error(std::string_view what, std::string remedy) const {
    return Fail(ErrorCode::kInvalid, {}, fmt::format("the pattern \"{}\" {}", text_, what),
                std::move(remedy));
  }

  void AddByte(char c) {
    Bytes bytes;
    bytes.set(ByteOf(c));
    pattern_.push_back({Step::Kind::kByte, bytes});
  }

  void AddStars() {
    const size_t begin = at_;
    at_ = std::min(text_.find_first_not_of('*', at_), text_.size());
    if (at_ - begin == 1) {
      pattern_.push_back({Step::Kind::kName, {}});
      return;
    }
    const bool is_component = begin == 0 || text_[begin - 1] == '/';
    if (is_component && at_ < text_.size() && text_[at_] == '/') {
      ++at_;
      pattern_.push_back({Step::Kind::kDirectories, {}});
    } else {
      pattern_.push_back({Step::Kind::kAnything, {}});
    }
  }

  /// From behind `[` to behind its `]`.
  Result<Bytes> ReadClass() {
    Bytes bytes;
    const bool negated = at_ < text_.size() && (text_[at_] == '!' || text_[at_] == '^');
    if (negated) ++at_;
    for (bool first = true; first || at_ >= text_.size() || text_[at_] != ']'; first = false) {
      if (at_ >= text_.size()) {
        return Error("has a [ without its ]", "close it, or write \\[ for the character");
      }
      if (text_.substr(at_).starts_with("[:")) {
        GH_TRY(ReadNamedClass(bytes));
      } else {
        GH_TRY(ReadRange(bytes));
      }
    }
    ++at_;
    if (negated) bytes.flip();
    bytes.reset(ByteOf('/'));
    return bytes;
  }

  Result<void> ReadNamedClass(Bytes& bytes) {
    const size_t begin = at_ + 2;
    const size_t end = text_.find(":]", begin);
    const std::string_view name = text_.substr(begin, end == text_.npos ? 0 : end - begin);
    const auto* const known = std::ranges::find(kNamedClasses, name, &NamedClass::name);
    if (known == kNamedClasses.end()) {
      return Error(fmt::format("has no class [:{}:]", name),
                   "use alnum, alpha, blank, cntrl, digit, graph, lower, print, punct, space, "
                   "upper or xdigit");
    }
    for (int byte = 0; byte < kAsciiEnd; ++byte) {
      if (known->has(byte) != 0) bytes.set(static_cast<size_t>(byte));
    }
    at_ = end + 2;
    return {};
  }

  Result<unsigned char> ReadMember() {
    char c = text_[at_++];
    if (c == '\\' && at_ < text_.size()) c = text_[at_++];
    if (ByteOf(c) < kAsciiEnd) return ByteOf(c);
    return Error("has a character in [] that is more than one byte",
                 "write a pattern for each of the characters");
  }

  Result<void> ReadRange(Bytes& bytes) {
    GH_ASSIGN(const unsigned char first, ReadMember());
    unsigned char last = first;
    if (at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
      ++at_;
      GH_ASSIGN(last, ReadMember());
      if (last < first) {
        return Error(fmt::format("has a range {}-{} that holds nothing", static_cast<char>(first),
                                 static_cast<char>(last)),
                     "write its lower end first");
      }
    }
    for (size_t byte = first; byte <= last; ++byte) bytes.set(byte);
    return {};
  }

  std::string_view text_;
  size_t at_ = 0;
  Pattern pattern_;
};

bool IsSpecial(char c) { return c == '*' || c == '?' || c == '[' || c == '\\'; }

}  // namespace

Result<Pattern> Parse(std::string_view text) { return Parser(text).Parse(); }

std::string Literally(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (IsSpecial(c)) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

std::string Containing(std::string_view text, bool ignoring_case) {
  std::string pattern = "**";
  for (const char c : text) {
    if (ignoring_case && std::isalpha(ByteOf(c)) != 0) {
      pattern += fmt::format("[{}{}]", static_cast<char>(std::tolower(ByteOf(c))),
                             static_cast<char>(std::toupper(ByteOf(c))));
      continue;
    }
    if (IsSpecial(c) || c == '/') pattern += '\\';  // "**/" would be directories
    pattern += c;
  }
  return pattern + "**";
}

std::string Below(std::string_view path) {
  return Literally(path) + (path.ends_with('/') ? "**" : "/**");
}

bool Matches(const Pattern& pattern, std::string_view text) {
  std::vector<size_t> taken{0};  // how many bytes the steps so far can take, ascending
  for (const Step& step : pattern) {
    std::vector<size_t> next;
    const auto add = [&](size_t bytes) {
      if (next.empty() || next.back() < bytes) next.push_back(bytes);
    };
    for (const size_t from : taken) {
      if (step.kind == Step::Kind::kByte) {
        if (from < text.size() && step.bytes[ByteOf(text[from])]) add(from + 1);
        continue;
      }
      // As far as a later one comes, an earlier one has come before.
      for (size_t to = std::max(from, next.empty() ? 0 : next.back()); to <= text.size(); ++to) {
        const bool at_slash = to > from && text[to - 1] == '/';
        if (step.kind == Step::Kind::kName && at_slash) break;
        if (step.kind != Step::Kind::kDirectories || to == from || at_slash) add(to);
      }
    }
    taken = std::move(next);
  }
  return !taken.empty() && taken.back() == text.size();
}

}  // namespace gatehouse::glob
