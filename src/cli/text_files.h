// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace gatehouse::cli {

/// Several files as one text of YAML documents, so that they are applied in one step; knows which
/// line came from where.
class TextFiles {
 public:
  /// Reads the files; "-" is standard input. Error: the first that cannot be read.
  [[nodiscard]] static Result<TextFiles> Read(const std::vector<std::string>& paths);

  struct File {
    std::string name;
    std::string text;
  };

  /// Adds a file's content.
  void Add(std::string name, std::string text);
  [[nodiscard]] const std::vector<File>& files() const { return files_; }
  /// All of them, one after the other.
  [[nodiscard]] std::string text() const;
  /// What the whole text is called: the file's name if there is one only, else "".
  [[nodiscard]] std::string name() const { return files_.size() == 1 ? files_[0].name : ""; }
  /// The file and its line, counted from 1, that a line of the text is; 0 stays 0, without a file.
  [[nodiscard]] std::pair<std::string, uint32_t> Locate(uint32_t line) const;

 private:
  std::vector<File> files_;
};

}  // namespace gatehouse::cli
