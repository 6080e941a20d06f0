// SPDX-License-Identifier: Apache-2.0
#include "policy/diagnostics.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <numeric>
#include <tuple>

namespace gatehouse::policy {
namespace {

constexpr size_t kQuotedBytesMax = 64;
constexpr size_t kComparedBytesMax = 64;

bool NameCharacter(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-';
}

bool Printable(char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; }

/// Cuts at a character's first byte, so that the rest stays UTF-8.
std::string_view Shorten(std::string_view text, size_t bytes) {
  constexpr unsigned char kContinuationMask = 0xc0;
  constexpr unsigned char kContinuation = 0x80;
  if (text.size() <= bytes) return text;
  while (bytes > 0 &&
         (static_cast<unsigned char>(text[bytes]) & kContinuationMask) == kContinuation) {
    --bytes;
  }
  return text.substr(0, bytes);
}

/// Levenshtein's distance, upper and lower case being the same.
size_t Distance(std::string_view a, std::string_view b) {
  auto lower = [](char c) { return std::tolower(static_cast<unsigned char>(c)); };
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 0; i < a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i + 1;
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t substituted = diagonal + (lower(a[i]) == lower(b[j]) ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({substituted, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string Diagnostic::ToString() const {
  std::string text = severity == Severity::kWarning ? "warning: " : "";
  text += file.empty() ? "<input>" : file;
  if (position.line != 0) text += fmt::format(":{}:{}", position.line, position.column);
  text += ": ";
  if (!path.empty()) text += path + ": ";
  text += cause;
  if (!remedy.empty()) text += "; " + remedy;
  return text;
}

bool HasErrors(const std::vector<Diagnostic>& diagnostics) {
  return std::ranges::find(diagnostics, Severity::kError, &Diagnostic::severity) !=
         diagnostics.end();
}

void Diagnostics::Add(Position position, std::string path, std::string cause, std::string remedy,
                      Severity severity) {
  if (severity != Severity::kNote) {
    size_t& count = severity == Severity::kError ? errors_ : warnings_;
    if (count >= kDiagnosticsMax) return;
    ++count;
  }
  const auto before = [](const Position& a, const Position& b) {
    return std::tie(a.line, a.column) < std::tie(b.line, b.column);
  };
  list_.insert(std::ranges::upper_bound(list_, position, before, &Diagnostic::position),
               {file_, position, std::move(path), std::move(cause), std::move(remedy), severity});
}

std::vector<Diagnostic> Diagnostics::Take() {
  errors_ = 0;
  warnings_ = 0;
  return std::exchange(list_, {});
}

std::string Quote(std::string_view text) {
  const std::string_view shown = Shorten(text, kQuotedBytesMax);
  std::string quoted = "\"";
  for (const char c : shown) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (Printable(c)) {
      quoted += c;
    } else {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  quoted += shown.size() < text.size() ? "…\"" : "\"";
  return quoted;
}

std::string PathKey(std::string_view text) {
  const bool plain =
      !text.empty() && text.size() <= kQuotedBytesMax && std::ranges::all_of(text, NameCharacter);
  return plain ? std::string(text) : Quote(text);
}

std::string_view Nearest(std::string_view name, const std::vector<std::string_view>& near) {
  constexpr size_t kLettersPerError = 3;
  std::string_view nearest;
  size_t nearest_distance = name.size() / kLettersPerError + 2;
  if (name.size() <= kComparedBytesMax) {
    for (const std::string_view candidate : near) {
      const size_t distance = Distance(name, candidate);
      // A name of which less than half is right is not a typing error.
      if (distance < nearest_distance && distance * 2 <= candidate.size()) {
        nearest = candidate;
        nearest_distance = distance;
      }
    }
  }
  return nearest;
}

std::string NameRemedy(std::string_view name, const std::vector<std::string_view>& known,
                       const std::vector<std::string_view>& near) {
  const std::string_view nearest = Nearest(name, near);
  const std::string list = fmt::format("known here: {}", fmt::join(known, ", "));
  return nearest.empty() ? list : fmt::format("did you mean {}? {}", Quote(nearest), list);
}

}  // namespace gatehouse::policy
