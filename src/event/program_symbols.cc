// SPDX-License-Identifier: Apache-2.0
#include "event/program_symbols.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>
#include <utility>

#include "base/fd.h"

namespace gatehouse::event {
namespace {

constexpr size_t kNamesMax = 4096;  // that are kept

template <typename T>
bool ReadAt(int fd, uint64_t offset, std::span<T> into) {
  const auto bytes = static_cast<ssize_t>(into.size_bytes());
  return pread(fd, into.data(), into.size_bytes(), static_cast<off_t>(offset)) == bytes;
}

/// As ReadAt; how many it was.
template <typename T>
size_t ReadSome(int fd, uint64_t offset, std::span<T> into) {
  const ssize_t bytes = pread(fd, into.data(), into.size_bytes(), static_cast<off_t>(offset));
  return bytes < 0 ? 0 : static_cast<size_t>(bytes) / sizeof(T);
}

/// Looks through the functions of a table of symbols for those at `addresses`; where one is found
/// whose name is empty, it is filled in. `texts` is where the names are.
void FindIn(int fd, const Elf64_Shdr& symbols, const Elf64_Shdr& texts,
            std::span<const std::optional<uint64_t>> addresses, std::span<std::string> names) {
  constexpr uint64_t kSymbolsMax = 1u << 22;
  constexpr size_t kSymbolsAtOnce = 1024;
  constexpr size_t kNameBytesMax = 512;
  std::vector<Elf64_Sym> part(kSymbolsAtOnce);
  const uint64_t n = std::min(symbols.sh_size / sizeof(Elf64_Sym), kSymbolsMax);
  for (uint64_t first = 0; first < n; first += kSymbolsAtOnce) {
    const size_t wanted = std::min<uint64_t>(n - first, kSymbolsAtOnce);
    const size_t got =
        ReadSome(fd, symbols.sh_offset + first * sizeof(Elf64_Sym), std::span(part).first(wanted));
    for (const Elf64_Sym& symbol : std::span(part).first(got)) {
      const unsigned type = ELF64_ST_TYPE(symbol.st_info);
      if (type != STT_FUNC && type != STT_GNU_IFUNC) continue;
      for (size_t i = 0; i < addresses.size(); ++i) {
        // No sum: it could be too large.
        if (!names[i].empty() || !addresses[i] || *addresses[i] < symbol.st_value ||
            *addresses[i] - symbol.st_value >= symbol.st_size) {
          continue;
        }
        std::array<char, kNameBytesMax> text{};
        const size_t bytes = ReadSome(fd, texts.sh_offset + symbol.st_name, std::span<char>(text));
        names[i].assign(text.data(), strnlen(text.data(), bytes));
      }
    }
    if (got < wanted) return;
  }
}

}  // namespace

std::vector<Mapping> ParseMappings(std::string_view text) {
  std::vector<Mapping> mappings;
  while (!text.empty()) {
    const size_t end_of_line = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end_of_line);
    text.remove_prefix(std::min(end_of_line + 1, text.size()));
    // begin-end rwxp offset device inode, and a path, which may have spaces.
    const char* at = line.data();
    const char* const end = line.data() + line.size();
    const auto number = [&](uint64_t* into) {
      const auto [behind, error] = std::from_chars(at, end, *into, 16);
      at = behind == end ? end : behind + 1;
      return error == std::errc();
    };
    const auto skip = [&] {
      at = std::find(at, end, ' ');
      if (at != end) ++at;
    };
    Mapping mapping;
    if (!number(&mapping.begin) || !number(&mapping.end)) continue;
    skip();
    if (!number(&mapping.offset)) continue;
    skip();
    skip();
    mapping.path.assign(std::find_if(at, end, [](char c) { return c != ' '; }), end);
    mappings.push_back(std::move(mapping));
  }
  return mappings;
}

std::vector<std::string> FunctionsAt(int fd, std::span<const uint64_t> offsets) {
  std::vector<std::string> names(offsets.size());
  Elf64_Ehdr header{};
  if (!ReadAt(fd, 0, std::span(&header, 1)) || std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
      header.e_phentsize != sizeof(Elf64_Phdr) || header.e_shentsize != sizeof(Elf64_Shdr)) {
    return names;
  }
  std::vector<Elf64_Phdr> segments(header.e_phnum);
  std::vector<Elf64_Shdr> sections(header.e_shnum);
  if (!ReadAt(fd, header.e_phoff, std::span(segments)) ||
      !ReadAt(fd, header.e_shoff, std::span(sections))) {
    return names;
  }
  std::vector<std::optional<uint64_t>> addresses(offsets.size());
  for (size_t i = 0; i < offsets.size(); ++i) {
    for (const Elf64_Phdr& segment : segments) {
      if (segment.p_type != PT_LOAD || offsets[i] < segment.p_offset ||
          offsets[i] - segment.p_offset >= segment.p_filesz) {
        continue;
      }
      addresses[i] = offsets[i] - segment.p_offset + segment.p_vaddr;
    }
  }
  // The table for the linker has all that the other one has, and more; if it is there.
  for (const Elf64_Word type : std::array<Elf64_Word, 2>{SHT_SYMTAB, SHT_DYNSYM}) {
    const auto section = std::ranges::find(sections, type, &Elf64_Shdr::sh_type);
    if (section == sections.end() || section->sh_link >= sections.size()) continue;
    FindIn(fd, *section, sections[section->sh_link], addresses, names);
  }
  return names;
}

void ProgramSymbols::NameOfFile(int fd, std::span<Frame* const> frames,
                                std::span<const uint64_t> offsets) {
  constexpr uint64_t kNsPerSecond = 1'000'000'000;
  struct stat status{};
  if (fd < 0 || fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) return;
  std::vector<Place> places;
  std::vector<uint64_t> unknown;
  for (const uint64_t offset : offsets) {
    places.push_back({.device = status.st_dev,
                      .inode = status.st_ino,
                      .bytes = static_cast<uint64_t>(status.st_size),
                      .modified_ns = static_cast<uint64_t>(status.st_mtim.tv_sec) * kNsPerSecond +
                                     static_cast<uint64_t>(status.st_mtim.tv_nsec),
                      .offset = offset});
    if (!known_.contains(places.back())) unknown.push_back(offset);
  }
  if (known_.size() + unknown.size() > kNamesMax) {
    known_.clear();
    unknown.assign(offsets.begin(), offsets.end());
  }
  std::vector<std::string> names;
  if (!unknown.empty()) names = FunctionsAt(fd, unknown);
  for (size_t i = 0; i < unknown.size(); ++i) {
    Place place = places.front();
    place.offset = unknown[i];
    known_[place] = std::move(names[i]);
  }
  for (size_t i = 0; i < frames.size(); ++i) frames[i]->symbol = known_.at(places[i]);
}

bool ProgramSymbols::Name(const ProgramId& program, std::vector<Frame>* frames) {
  const std::string directory = proc_ + "/" + std::to_string(program.pid);
  std::ostringstream text;
  text << std::ifstream(directory + "/maps").rdbuf();
  const std::vector<Mapping> mappings = ParseMappings(std::move(text).str());
  const Fd root(open((directory + "/root").c_str(), O_PATH | O_CLOEXEC));
  // Asked last: what was read is of the program, if it still runs.
  const std::optional<ProcProcess> process = source_.Read(program.pid);
  if (!process || process->start_ticks != program.start_ns / kTickNs ||
      process->start_stack != program.start_stack) {
    return false;
  }
  struct OfFile {
    std::vector<Frame*> frames;
    std::vector<uint64_t> offsets;  // of the instructions that call
  };
  std::map<std::string_view, OfFile> files;
  for (Frame& frame : *frames) {
    // The first is no return: the program goes on there.
    const uint64_t instruction = frame.address - (&frame == frames->data() ? 0 : 1);
    const auto mapping = std::ranges::find_if(mappings, [&](const Mapping& each) {
      return each.begin <= instruction && instruction < each.end;
    });
    if (mapping == mappings.end()) continue;
    frame.module = mapping->path;
    frame.offset = frame.address - mapping->begin + mapping->offset;
    OfFile& file = files[mapping->path];
    file.frames.push_back(&frame);
    file.offsets.push_back(instruction - mapping->begin + mapping->offset);
  }
  for (const auto& [path, file] : files) {
    if (!path.starts_with('/') || path.ends_with(" (deleted)")) continue;
    const Fd opened = OpenInRoot(root, std::string(path));
    NameOfFile(opened.get(), file.frames, file.offsets);
  }
  return true;
}

}  // namespace gatehouse::event
