// SPDX-License-Identifier: Apache-2.0
#include "policy/source.h"

#include <fmt/format.h>

#include <algorithm>

namespace gatehouse::policy {
namespace {

constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
constexpr std::string_view kStartMarker = "---";
constexpr std::string_view kEndMarker = "...";
constexpr std::string_view kBlanks = " \t\r";
constexpr size_t kTextBytesMax = 1u << 30;  // offsets in a tree are 32 bits wide

/// A character and the bytes that it takes; no bytes: not UTF-8.
struct Decoded {
  char32_t code = 0;
  size_t bytes = 0;
};

/// RFC 3629: shortest form only, no surrogates, at most U+10FFFF.
Decoded Decode(std::string_view text) {
  struct Form {
    unsigned char mask, lead;
    size_t bytes;
    char32_t least;
  };
  constexpr Form kForms[] = {
      {0x80, 0x00, 1, 0}, {0xe0, 0xc0, 2, 0x80}, {0xf0, 0xe0, 3, 0x800}, {0xf8, 0xf0, 4, 0x10000}};
  constexpr unsigned char kContinuationMask = 0xc0;
  constexpr unsigned char kContinuation = 0x80;
  constexpr int kContinuationBits = 6;
  const auto lead = static_cast<unsigned char>(text.front());
  for (const Form& form : kForms) {
    if ((lead & form.mask) != form.lead) continue;
    if (text.size() < form.bytes) return {};
    char32_t code = lead & static_cast<unsigned char>(~form.mask);
    for (size_t i = 1; i < form.bytes; ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      if ((byte & kContinuationMask) != kContinuation) return {};
      code = code << kContinuationBits | (byte & static_cast<unsigned char>(~kContinuationMask));
    }
    const bool surrogate = code >= 0xd800 && code <= 0xdfff;
    if (code < form.least || code > 0x10ffff || surrogate) return {};
    return {code, form.bytes};
  }
  return {};
}

/// YAML 1.2.2, production c-printable.
bool YamlPrintable(char32_t code) {
  if (code < 0x20) return code == '\t' || code == '\n' || code == '\r';
  if (code >= 0x7f && code < 0xa0) return code == 0x85;
  return code != 0xfffe && code != 0xffff;
}

Position PositionAt(std::string_view text, size_t offset) {
  const std::string_view before = text.substr(0, offset);
  const size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0
  return {static_cast<uint32_t>(1 + std::count(before.begin(), before.end(), '\n')),
          static_cast<uint32_t>(1 + offset - line_start)};
}

bool IsMarker(std::string_view line, std::string_view marker) {
  return line.starts_with(marker) &&
         (line.size() == marker.size() || kBlanks.find(line[marker.size()]) != kBlanks.npos);
}

bool IsBlankOrComment(std::string_view line) {
  const size_t first = line.find_first_not_of(kBlanks);
  return first == line.npos || line[first] == '#';
}

std::string_view FirstLine(std::string_view text) { return text.substr(0, text.find('\n')); }

/// What follows the first line of a text.
std::string_view AfterLine(std::string_view text, std::string_view line) {
  return text.substr(std::min(text.size(), line.size() + 1));
}

}  // namespace

bool CheckText(std::string_view text, const ParseLimits& limits, Diagnostics& diagnostics) {
  const size_t bytes_max = std::min(limits.text_bytes, kTextBytesMax);
  if (text.size() > bytes_max) {
    diagnostics.Add({}, "",
                    fmt::format("the text has {} bytes, more than {}", text.size(), bytes_max),
                    "split it into several files");
    return false;
  }
  size_t offset = 0;
  while (offset < text.size()) {
    const char c = text[offset];
    if ((c >= ' ' && c <= '~') || c == '\n') {
      ++offset;
      continue;
    }
    const Decoded decoded = Decode(text.substr(offset));
    if (decoded.bytes == 0) {
      diagnostics.Add(PositionAt(text, offset), "",
                      fmt::format("byte 0x{:02x} is not UTF-8", static_cast<unsigned char>(c)),
                      "save the file as UTF-8 text");
      return false;
    }
    if (!YamlPrintable(decoded.code)) {
      diagnostics.Add(
          PositionAt(text, offset), "",
          fmt::format("character U+{:04X} is not allowed", static_cast<uint32_t>(decoded.code)),
          R"(remove it, or write it in double quotes as an escape like "\x1b")");
      return false;
    }
    offset += decoded.bytes;
  }
  return true;
}

DocumentSplitter::DocumentSplitter(std::string_view text) : rest_(text) {
  if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
}

std::optional<RawDocument> DocumentSplitter::Next() {
  RawDocument document{rest_, line_};
  bool blank = true;
  while (!rest_.empty()) {
    const std::string_view line = FirstLine(rest_);
    const bool start = IsMarker(line, kStartMarker);
    if (start && !blank) break;
    if (start) document = {rest_, line_};
    const bool end = IsMarker(line, kEndMarker);
    const bool marker = start || end;
    blank = blank && IsBlankOrComment(marker ? line.substr(kStartMarker.size()) : line);
    rest_ = AfterLine(rest_, line);
    ++line_;
    if (end && !blank) break;
    if (end) document = {rest_, line_};
  }
  if (blank) return std::nullopt;
  document.text.remove_suffix(rest_.size());
  return document;
}

std::string_view WithoutMarkers(std::string_view text) {
  const std::string_view first = FirstLine(text);
  if (IsMarker(first, kStartMarker)) {
    const std::string_view after = first.substr(kStartMarker.size());
    text = IsBlankOrComment(after)
               ? AfterLine(text, first)
               : text.substr(text.find_first_not_of(kBlanks, kStartMarker.size()));
  }
  const std::string_view body = text.substr(0, text.find_last_not_of('\n') + 1);
  const size_t last_line = body.rfind('\n') + 1;
  return IsMarker(body.substr(last_line), kEndMarker) ? text.substr(0, last_line) : text;
}

}  // namespace gatehouse::policy
