// SPDX-License-Identifier: Apache-2.0
#include "policy/yaml_input.h"

#include <algorithm>

namespace gatehouse::policy {
namespace {

size_t CountIndicators(std::string_view text) {
  size_t count = 0;
  for (const char c : text) count += static_cast<size_t>((c == ',') | (c == '[') | (c == '{'));
  return count;
}

}  // namespace

YamlInput::YamlInput(std::string_view document, const ParseLimits& limits)
    : document_(document), end_(document.ends_with('\n') ? "...\n" : "\n...\n"), limits_(limits) {
  Area(document_, 0);
}

void YamlInput::Area(std::string_view text, size_t offset) {
  // A streambuf's area is of plain char*; nothing here or in std::istream writes to it.
  char* begin = const_cast<char*>(text.data());
  setg(begin, begin + offset, begin + text.size());
}

void YamlInput::Progress() {
  bytes_ = 0;
  indicators_ = 0;
}

YamlInput::int_type YamlInput::underflow() {
  if (stopped_) return traits_type::eof();
  if (gptr() == egptr() && !in_end_) {
    in_end_ = true;
    Area(end_, 0);
  }
  return gptr() == egptr() ? traits_type::eof() : traits_type::to_int_type(*gptr());
}

YamlInput::int_type YamlInput::pbackfail(int_type c) {
  if (!in_end_ || gptr() != eback() || document_.empty()) return traits_type::eof();
  in_end_ = false;
  Area(document_, document_.size() - 1);
  return traits_type::not_eof(c);
}

std::streamsize YamlInput::xsgetn(char* to, std::streamsize bytes) {
  std::streamsize done = 0;
  while (done < bytes && underflow() != traits_type::eof()) {
    const std::streamsize n = std::min<std::streamsize>(bytes - done, egptr() - gptr());
    std::copy_n(gptr(), n, to + done);
    setg(eback(), gptr() + n, egptr());
    done += n;
  }
  const std::string_view read(to, static_cast<size_t>(done));
  bytes_ += read.size();
  indicators_ += CountIndicators(read);
  if (bytes_ > limits_.element_bytes || indicators_ > limits_.element_indicators) {
    exhausted_ = true;
    stopped_ = true;
  }
  return done;
}

}  // namespace gatehouse::policy
