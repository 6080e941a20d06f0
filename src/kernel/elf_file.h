// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

/// Where in a program or a library something is: offsets in the file, in bytes, as uprobes want
/// them.
namespace gatehouse::kernel {

/// Of the first instruction of a function that the file defines. Errors (kUnsupported, `object` is
/// what they are about): the file cannot be read, is no ELF file, has no such function.
[[nodiscard]] Result<uint64_t> OffsetOfSymbol(const std::string& path, const std::string& symbol,
                                              const std::string& object);

/// Of what the file is loaded for to `address`, without the bias of a position-independent one.
/// Errors: the same; nothing that can be executed is at that address.
[[nodiscard]] Result<uint64_t> OffsetOfAddress(const std::string& path, uint64_t address,
                                               const std::string& object);

/// Nothing, if there is something in the file at `offset`. Errors: the same.
[[nodiscard]] Result<void> CheckOffset(const std::string& path, uint64_t offset,
                                       const std::string& object);

/// A place in a file that a static probe is at (a note `stapsdt`, as <sys/sdt.h> of SystemTap makes
/// them).
struct StaticProbe {
  uint64_t offset = 0;
  uint64_t counter = 0;   ///< offset of what counts who listens ("semaphore"); 0: there is none
  std::string arguments;  ///< their operands, with spaces between: `-4@%edi 8@-16(%rbp)`
};

/// All places of the probe, in the order of the file; at least one. Errors: the same; the file has
/// no such probe, or is no program for x86-64.
[[nodiscard]] Result<std::vector<StaticProbe>> FindStaticProbe(const std::string& path,
                                                               const std::string& provider,
                                                               const std::string& name,
                                                               const std::string& object);

/// The build id that the linker gave the file, in hexadecimal; empty: it has none. Errors: the
/// file cannot be read, is no ELF file.
[[nodiscard]] Result<std::string> BuildIdOf(const std::string& path, const std::string& object);

}  // namespace gatehouse::kernel
