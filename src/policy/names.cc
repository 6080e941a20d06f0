// SPDX-License-Identifier: Apache-2.0
#include "policy/names.h"

#include <fmt/format.h>

#include <algorithm>

namespace gatehouse::policy {
namespace {

constexpr size_t kSubdomainBytesMax = 253;
constexpr size_t kLabelBytesMax = 63;
constexpr size_t kLabelKeyBytesMax = 512;
constexpr size_t kKernelNameBytesMax = 127;  // KSYM_NAME_LEN before 6.1, commit b8a94bfb3395

bool IsLowerAlphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool IsAlphanumeric(char c) { return IsLowerAlphanumeric(c) || (c >= 'A' && c <= 'Z'); }

/// RFC 1123, with the lower case that Kubernetes asks for.
bool IsDnsLabel(std::string_view text) {
  return !text.empty() && IsLowerAlphanumeric(text.front()) && IsLowerAlphanumeric(text.back()) &&
         std::ranges::all_of(text, [](char c) { return IsLowerAlphanumeric(c) || c == '-'; });
}

bool IsDnsSubdomain(std::string_view text) {
  for (size_t dot = text.find('.'); dot != text.npos; dot = text.find('.')) {
    if (!IsDnsLabel(text.substr(0, dot))) return false;
    text.remove_prefix(dot + 1);
  }
  return IsDnsLabel(text);
}

bool IsVariableName(std::string_view text) {
  return !text.empty() && (IsAlphanumeric(text.front()) || text.front() == '_') &&
         std::ranges::all_of(text,
                             [](char c) { return IsAlphanumeric(c) || c == '_' || c == '-'; });
}

/// Of a function; compilers add parts like `.isra.0`.
bool IsKernelName(std::string_view text) {
  const auto begins = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
  };
  return !text.empty() && begins(text.front()) && std::ranges::all_of(text, [](char c) {
    return IsAlphanumeric(c) || c == '_' || c == '.';
  });
}

/// With the ABI of a system call before it, or without.
bool IsListedName(std::string_view text) {
  for (const std::string_view abi : {"x64/", "i386/"}) {
    if (text.starts_with(abi)) return IsKernelName(text.substr(abi.size()));
  }
  return IsKernelName(text);
}

struct Form {
  bool (*fits)(std::string_view);
  size_t bytes_max;
  std::string_view noun;
  std::string_view remedy;
};

std::optional<std::string> ReadForm(Reader& reader, YamlNode node, const Form& form) {
  std::optional<std::string> text = reader.String(node);
  if (!text || (form.fits(*text) && text->size() <= form.bytes_max)) return text;
  reader.Report(node.position(), fmt::format("{} is not {}", Quote(*text), form.noun),
                fmt::format("use at most {} {}", form.bytes_max, form.remedy));
  return std::nullopt;
}

}  // namespace

std::optional<std::string> ReadObjectName(Reader& reader, YamlNode node) {
  return ReadForm(reader, node,
                  {IsDnsSubdomain, kSubdomainBytesMax, "a name of an object",
                   "lower-case letters, digits, - and ., with a letter or digit at each end"});
}

std::optional<std::string> ReadNamespaceName(Reader& reader, YamlNode node) {
  return ReadForm(reader, node,
                  {IsDnsLabel, kLabelBytesMax, "a name of a namespace",
                   "lower-case letters, digits and -, with a letter or digit at each end"});
}

std::optional<std::string> ReadVariableName(Reader& reader, YamlNode node) {
  return ReadForm(reader, node,
                  {IsVariableName, kLabelBytesMax, "a name of a variable",
                   "letters, digits, _ and -, with a letter, digit or _ first"});
}

std::optional<std::string> ReadKernelName(Reader& reader, YamlNode node) {
  return ReadForm(reader, node,
                  {IsKernelName, kKernelNameBytesMax, "a name in the kernel",
                   "letters, digits, _ and ., with a letter or _ first"});
}

std::optional<std::string> ReadListedName(Reader& reader, YamlNode node) {
  return ReadForm(reader, node,
                  {IsListedName, kKernelNameBytesMax, "a name in the kernel",
                   "letters, digits, _ and ., with a letter or _ first; before a system call, x64/ "
                   "or i386/ may stand"});
}

bool IsLabelKey(std::string_view text) {
  return !text.empty() && text.size() <= kLabelKeyBytesMax && std::ranges::all_of(text, [](char c) {
    return IsAlphanumeric(c) || c == '-' || c == '_' || c == '.' || c == '/' || c == ':';
  });
}

namespace {

/// `text`, unless it has a wrong length, which is reported.
std::optional<std::string> Fitting(Reader& reader, YamlNode node, std::optional<std::string> text,
                                   size_t bytes_max) {
  if (!text || (!text->empty() && text->size() <= bytes_max)) return text;
  if (text->empty()) {
    reader.Report(node.position(), "the text is empty", "write something, or remove it");
  } else {
    reader.Report(node.position(), fmt::format("{} bytes, more than {}", text->size(), bytes_max),
                  "shorten the text");
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::string> ReadText(Reader& reader, YamlNode node, size_t bytes_max) {
  return Fitting(reader, node, reader.String(node), bytes_max);
}

std::optional<std::string> ReadBytes(Reader& reader, YamlNode node, size_t bytes_max) {
  return Fitting(reader, node, reader.Bytes(node), bytes_max);
}

}  // namespace gatehouse::policy
