// SPDX-License-Identifier: Apache-2.0
#include "kernel/libbpf_log.h"

#include <bpf/libbpf.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <string_view>
#include <vector>

namespace gatehouse::kernel {
namespace {

thread_local std::string* capture = nullptr;

int Print(libbpf_print_level level, const char* format, va_list arguments) {
  if (level == LIBBPF_DEBUG || capture == nullptr) return 0;
  std::vector<char> text(64 << 10);
  const int length = std::vsnprintf(text.data(), text.size(), format, arguments);
  if (length > 0) capture->append(text.data());
  return length;
}

}  // namespace

LibbpfLog::LibbpfLog() : outer_(capture) {
  capture = &text_;
  libbpf_set_print(Print);
}

LibbpfLog::~LibbpfLog() { capture = outer_; }

std::string LibbpfLog::Tail(size_t lines) const {
  std::string_view text = text_;
  while (text.ends_with('\n')) text.remove_suffix(1);
  size_t begin = text.size();
  size_t kept = 0;
  while (kept < lines && begin != std::string_view::npos && begin > 0) {
    begin = text.rfind('\n', begin - 1);
    ++kept;
  }
  if (begin == std::string_view::npos || begin == 0) return std::string(text);
  size_t omitted = 1;
  for (const char c : text.substr(0, begin)) omitted += c == '\n';
  return "(" + std::to_string(omitted) + " lines omitted)" + std::string(text.substr(begin));
}

}  // namespace gatehouse::kernel
