// SPDX-License-Identifier: Apache-2.0
#include "cli/text_files.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>

namespace gatehouse::cli {
namespace {

constexpr size_t kChunkBytes = 64 * 1024;
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
    GH_ASSIGN(const std::string text, ReadAll(path));
    files.Add(path == kStandardInput ? "<stdin>" : path, text);
  }
  return files;
}

void TextFiles::Add(std::string name, const std::string& text) {
  if (!parts_.empty()) {
    if (!text_.empty() && text_.back() != '\n') {
      text_ += '\n';
      ++lines_;
    }
    text_ += kSeparator;
    ++lines_;
  }
  parts_.push_back({std::move(name), lines_ + 1});
  text_ += text;
  lines_ += static_cast<uint32_t>(std::count(text.begin(), text.end(), '\n'));
}

std::pair<std::string, uint32_t> TextFiles::Locate(uint32_t line) const {
  if (parts_.size() == 1) return {parts_[0].name, line};
  const Part* found = nullptr;
  for (const Part& part : parts_) {
    if (part.first_line <= line) found = &part;
  }
  if (found == nullptr) return {std::string(), line};
  return {found->name, line - found->first_line + 1};
}

}  // namespace gatehouse::cli
