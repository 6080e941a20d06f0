// SPDX-License-Identifier: Apache-2.0
#include "policy/scalar.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <initializer_list>
#include <memory>

namespace gatehouse::policy {
namespace {

constexpr size_t kWordBytesMax = 5;

/// Whether `text` is the lower-case `word` as YAML spells words: `true`, `True` or `TRUE`.
bool IsWord(std::string_view text, std::string_view word) {
  if (text.size() != word.size()) return false;
  bool lower = true;
  bool upper = true;
  for (size_t i = 0; i < word.size(); ++i) {
    const char capital = static_cast<char>(std::toupper(static_cast<unsigned char>(word[i])));
    upper = upper && text[i] == capital;
    lower = lower && (text[i] == word[i] || (i == 0 && text[i] == capital));
  }
  return lower || upper;
}

bool IsOneOf(std::string_view text, std::initializer_list<std::string_view> words) {
  return text.size() <= kWordBytesMax &&
         std::ranges::any_of(words, [&](std::string_view word) { return IsWord(text, word); });
}

bool AllOf(std::string_view text, std::string_view characters) {
  return !text.empty() && text.find_first_not_of(characters) == text.npos;
}

bool IsInteger(std::string_view unsigned_text) {
  constexpr std::string_view kDigits = "0123456789abcdefABCDEF";
  constexpr size_t kDecimal = 10;
  constexpr size_t kOctal = 8;
  constexpr size_t kBinary = 2;
  constexpr size_t kBasePrefix = 2;  // bytes of "0x"
  if (AllOf(unsigned_text, kDigits.substr(0, kDecimal))) return true;
  if (unsigned_text.size() <= kBasePrefix) return false;
  const std::string_view digits = unsigned_text.substr(kBasePrefix);
  if (unsigned_text.starts_with("0x")) return AllOf(digits, kDigits);
  if (unsigned_text.starts_with("0o")) return AllOf(digits, kDigits.substr(0, kOctal));
  return unsigned_text.starts_with("0b") && AllOf(digits, kDigits.substr(0, kBinary));
}

bool IsFloat(std::string_view unsigned_text) {
  if (IsOneOf(unsigned_text, {".inf", ".nan"})) return true;
  if (unsigned_text.find_first_of("0123456789") > 1) return false;  // "1", ".1"
  double value = 0;
  const char* end = std::to_address(unsigned_text.end());
  const auto [parsed, error] = std::from_chars(std::to_address(unsigned_text.begin()), end, value);
  // What is out of range is still a number.
  return parsed == end && error != std::errc::invalid_argument;
}

}  // namespace

ScalarType TypeOfPlain(std::string_view text) {
  if (text.empty() || text == "~" || IsOneOf(text, {"null"})) return ScalarType::kNull;
  if (IsOneOf(text, {"true", "false", "yes", "no", "on", "off"})) return ScalarType::kBool;
  const bool sign = text.front() == '-' || text.front() == '+';
  const std::string_view unsigned_text = text.substr(sign ? 1 : 0);
  if (unsigned_text.empty()) return ScalarType::kString;
  const char first = unsigned_text.front();
  if (first != '.' && (first < '0' || first > '9')) return ScalarType::kString;
  if (IsInteger(unsigned_text)) return ScalarType::kInteger;
  return IsFloat(unsigned_text) ? ScalarType::kFloat : ScalarType::kString;
}

std::optional<bool> ReadBool(std::string_view text) {
  if (IsOneOf(text, {"true"})) return true;
  if (IsOneOf(text, {"false"})) return false;
  return std::nullopt;
}

std::optional<int64_t> ReadInteger(std::string_view text) {
  if (text.starts_with('+')) {
    text.remove_prefix(1);
    if (text.starts_with('-')) return std::nullopt;
  }
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.size() > 1 && digits.front() == '0' && !text.starts_with("0x")) return std::nullopt;
  constexpr int kDecimal = 10;
  constexpr int kHexadecimal = 16;
  const bool hexadecimal = text.starts_with("0x");
  if (hexadecimal) text.remove_prefix(2);
  int64_t value = 0;
  const char* end = std::to_address(text.end());
  const auto [parsed, error] = std::from_chars(std::to_address(text.begin()), end, value,
                                               hexadecimal ? kHexadecimal : kDecimal);
  if (text.empty() || (hexadecimal && text.front() == '-') || parsed != end || error != std::errc())
    return std::nullopt;
  return value;
}

}  // namespace gatehouse::policy
