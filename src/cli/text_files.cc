// SPDX-License-Identifier: Apache-2.0
#include "cli/text_files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

namespace gatehouse::cli {
namespace {

constexpr size_t kChunkBytes = size_t{64} << 10;
constexpr const char* kStandardInput = "-";
constexpr const char* kSeparator = "---\n";

struct Close {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
};

Result<std::string> ReadAll(const std::string& path) {
  const std::unique_ptr<std::FILE, Close> file(
      path == kStandardInput ? stdin : std::fopen(path.c_str(), "re"));
  if (!file) return FailErrno(path, "cannot be opened", errno, "name a file that you can read");
  std::string text;
  std::string chunk(kChunkBytes, '\0');
  for (size_t count = 0; (count = std::fread(chunk.data(), 1, chunk.size(), file.get())) > 0;) {
    text.append(chunk, 0, count);
  }
  if (std::ferror(file.get()) != 0) {
    return FailErrno(path, "cannot be read", errno, "name a file that you can read");
  }
  return text;
}

}  // namespace

Result<TextFiles> TextFiles::Read(const std::vector<std::string>& paths) {
  TextFiles files;
  for (const std::string& path : paths) {
    GH_ASSIGN(std::string text, ReadAll(path));
    files.Add(path == kStandardInput ? "<stdin>" : path, std::move(text));
  }
  return files;
}

void TextFiles::Add(std::string name, std::string text) {
  files_.push_back({std::move(name), std::move(text)});
}

std::string TextFiles::text() const {
  std::string all;
  for (size_t i = 0; i < files_.size(); ++i) {
    if (i > 0) {
      if (!all.empty() && all.back() != '\n') all += '\n';
      all += kSeparator;
    }
    all += files_[i].text;
  }
  return all;
}

std::pair<std::string, uint32_t> TextFiles::Locate(uint32_t line) const {
  if (files_.size() == 1) return {files_[0].name, line};
  if (line == 0) return {std::string(), 0};
  uint32_t first = 1;  // line of the whole text on which the file begins
  for (size_t i = 0; i < files_.size(); ++i) {
    const std::string& text = files_[i].text;
    auto lines = static_cast<uint32_t>(std::ranges::count(text, '\n'));
    if (!text.empty() && text.back() != '\n') ++lines;
    const uint32_t next = first + lines + 1;  // behind the separator
    if (line < next || i + 1 == files_.size()) return {files_[i].name, line - first + 1};
    first = next;
  }
  return {std::string(), line};
}

}  // namespace gatehouse::cli
