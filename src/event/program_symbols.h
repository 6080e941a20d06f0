// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "event/proc_source.h"
#include "event/symbols.h"

namespace gatehouse::event {

/// What a process has mapped: a line of /proc/PID/maps.
struct Mapping {
  uint64_t begin = 0, end = 0;
  uint64_t offset = 0;  ///< in the file
  std::string path = {};
};
/// Those that the text of proc(5) tells, in its order; lines that are none are left out.
[[nodiscard]] std::vector<Mapping> ParseMappings(std::string_view text);

/// The names of functions of an ELF file that the instructions at `offsets` of it belong to; empty:
/// none. `fd` may be of anything: of what is no 64-bit file of this machine nothing is known, and
/// no more of it is kept in memory than a part of fixed size. What it says is not trusted.
[[nodiscard]] std::vector<std::string> FunctionsAt(int fd, std::span<const uint64_t> offsets);

/// Functions of running programs, from what they have mapped and from the symbols of those files.
/// They are read each time, as they are and where the process sees them: nothing is kept but names
/// that were found. May wait for the file systems that they are on. One thread.
class ProgramSymbols {
 public:
  /// `proc`: where proc(5) is mounted.
  explicit ProgramSymbols(std::string proc = "/proc") : proc_(std::move(proc)), source_(proc_) {}

  /// See SymbolSource.
  [[nodiscard]] bool Name(const ProgramId& program, std::vector<Frame>* frames);

 private:
  /// A place in a file as it is now.
  struct Place {
    uint64_t device = 0, inode = 0, bytes = 0, modified_ns = 0;
    uint64_t offset = 0;
    auto operator<=>(const Place&) const = default;
  };
  void NameOfFile(int fd, std::span<Frame* const> frames, std::span<const uint64_t> offsets);

  std::string proc_;
  ProcFilesystem source_;
  std::map<Place, std::string> known_;
};

}  // namespace gatehouse::event
