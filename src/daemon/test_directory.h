// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace gatehouse::daemon::testing {

/// A directory of the test's own; gone with it.
class TestDirectory {
 public:
  TestDirectory() {
    std::string pattern = std::filesystem::temp_directory_path() / "gatehouse-test.XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TestDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestDirectory(const TestDirectory&) = delete;
  TestDirectory& operator=(const TestDirectory&) = delete;

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }

  /// As an editor does that is careful: beside, then renamed.
  void Replace(const std::string& name, const std::string& text) const {
    Write(".swap-" + name, text);
    std::filesystem::rename(*this / (".swap-" + name), *this / name);
  }
  /// As `cat >` does.
  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(*this / name, std::ios::trunc) << text;
  }
  void Delete(const std::string& name) const { std::filesystem::remove(*this / name); }

 private:
  std::string path_;
};

}  // namespace gatehouse::daemon::testing
