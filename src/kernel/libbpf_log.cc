// SPDX-License-Identifier: Apache-2.0
#include "kernel/libbpf_log.h"

#include <bpf/libbpf.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
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

// While it walks, the verifier writes more than what stays in the end; too little room is an error.
VerifierStats::VerifierStats(bpf_program* program) : text_(1U << 16U) {
  constexpr uint32_t kStats = 4;  // BPF_LOG_STATS, include/linux/bpf_verifier.h, since 5.2
  bpf_program__set_log_level(program, kStats);
  bpf_program__set_log_buf(program, text_.data(), text_.size());
}

uint64_t VerifierStats::instructions() const {
  constexpr std::string_view kProcessed = "processed ";
  const std::string_view text(text_.data());
  const size_t at = text.find(kProcessed);
  return at == std::string_view::npos ? 0
                                      : std::strtoull(&text[at + kProcessed.size()], nullptr, 10);
}

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
