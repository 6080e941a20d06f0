// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <string>

namespace gatehouse::bench {

/// A directory below /tmp with programs to execute; removed with all in it in the end. Aborts if it
/// cannot be made.
class Programs {
 public:
  Programs();
  ~Programs();
  Programs(const Programs&) = delete;
  Programs& operator=(const Programs&) = delete;

  /// A static program that ends at once, in a file of this name; its path.
  [[nodiscard]] std::string Make(const std::string& name) const;
  /// The same in a path of exactly `length` bytes, in directories of at most `component` bytes
  /// each. A file with the last name that `tag` begins is not the file with another tag.
  [[nodiscard]] std::string MakeDeep(size_t length, size_t component, char tag) const;

 private:
  std::string directory_;
};

}  // namespace gatehouse::bench
