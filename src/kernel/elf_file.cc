// SPDX-License-Identifier: Apache-2.0
#include "kernel/elf_file.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/stat.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "base/fd.h"

namespace gatehouse::kernel {
namespace {

class ElfFile {
 public:
  static Result<ElfFile> Open(const std::string& path, const std::string& object) {
    // A policy may name anything: nothing that waits, and no mapping of what others can truncate.
    Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    struct stat status{};
    if (!fd.valid() || fstat(fd.get(), &status) != 0) {
      Error error =
          FailErrno(object, path + " cannot be read", errno, "write the path as the agent sees it")
              .value();
      error.code = ErrorCode::kUnsupported;
      return tl::unexpected(std::move(error));
    }
    elf_version(EV_CURRENT);
    ElfFile file(std::move(fd));
    if (!S_ISREG(status.st_mode) || !file.elf_ || elf_kind(file.elf_.get()) != ELF_K_ELF) {
      return Fail(ErrorCode::kUnsupported, object, path + " is no ELF file",
                  "write the path of a program or a library");
    }
    return file;
  }

  /// The segment with instructions, or what else has the flag, that `is_here` accepts; nullopt:
  /// there is none.
  [[nodiscard]] std::optional<GElf_Phdr> Segment(
      const std::function<bool(const GElf_Phdr&)>& is_here, GElf_Word flag = PF_X) const {
    size_t n = 0;
    elf_getphdrnum(elf_.get(), &n);
    for (size_t i = 0; i < n; ++i) {
      GElf_Phdr segment{};
      if (gelf_getphdr(elf_.get(), static_cast<int>(i), &segment) == nullptr) continue;
      const bool has_flag = segment.p_type == PT_LOAD && (segment.p_flags & flag) != 0;
      if (has_flag && is_here(segment)) return segment;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<uint64_t> OffsetOf(uint64_t address, GElf_Word flag = PF_X) const {
    const auto is_here = [&](const GElf_Phdr& each) {
      return address >= each.p_vaddr && address - each.p_vaddr < each.p_filesz;
    };
    const auto segment = Segment(is_here, flag);
    if (!segment) return std::nullopt;
    return address - segment->p_vaddr + segment->p_offset;
  }

  /// The address of a function that is defined here.
  [[nodiscard]] std::optional<uint64_t> Find(std::string_view symbol) const {
    for (Elf_Scn* section = elf_nextscn(elf_.get(), nullptr); section != nullptr;
         section = elf_nextscn(elf_.get(), section)) {
      GElf_Shdr header{};
      gelf_getshdr(section, &header);
      if (header.sh_type != SHT_SYMTAB && header.sh_type != SHT_DYNSYM) continue;
      if (header.sh_entsize == 0) continue;
      Elf_Data* const data = elf_getdata(section, nullptr);
      for (size_t i = 0; data != nullptr && i < header.sh_size / header.sh_entsize; ++i) {
        GElf_Sym each{};
        if (gelf_getsym(data, static_cast<int>(i), &each) == nullptr) break;
        const bool defined = GELF_ST_TYPE(each.st_info) == STT_FUNC && each.st_shndx != SHN_UNDEF;
        const char* const name = elf_strptr(elf_.get(), header.sh_link, each.st_name);
        if (defined && name != nullptr && symbol == name) return each.st_value;
      }
    }
    return std::nullopt;
  }

  [[nodiscard]] bool IsNative() const {
    GElf_Ehdr header{};
    return gelf_getehdr(elf_.get(), &header) != nullptr && header.e_machine == EM_X86_64 &&
           gelf_getclass(elf_.get()) == ELFCLASS64;
  }

  /// Calls `take` with what each note of an owner and a type says.
  void EachNote(std::string_view owner, GElf_Word type,
                const std::function<void(std::string_view)>& take) const {
    for (Elf_Scn* section = elf_nextscn(elf_.get(), nullptr); section != nullptr;
         section = elf_nextscn(elf_.get(), section)) {
      GElf_Shdr header{};
      gelf_getshdr(section, &header);
      Elf_Data* const data = header.sh_type == SHT_NOTE ? elf_getdata(section, nullptr) : nullptr;
      size_t at = 0;
      GElf_Nhdr note{};
      size_t name = 0;
      size_t description = 0;
      while (data != nullptr && (at = gelf_getnote(data, at, &note, &name, &description)) > 0) {
        const auto* const bytes = static_cast<const char*>(data->d_buf);
        // With the NUL behind it.
        const std::string_view whole(bytes + name, note.n_namesz);
        if (note.n_type != type || whole.substr(0, whole.find('\0')) != owner) continue;
        take({bytes + description, note.n_descsz});
      }
    }
  }

  /// Where the section `.stapsdt.base` is now. prelink(8) moves a file without changing notes.
  [[nodiscard]] std::optional<uint64_t> BaseOfProbes() const {
    size_t names = 0;
    elf_getshdrstrndx(elf_.get(), &names);
    for (Elf_Scn* section = elf_nextscn(elf_.get(), nullptr); section != nullptr;
         section = elf_nextscn(elf_.get(), section)) {
      GElf_Shdr header{};
      gelf_getshdr(section, &header);
      const char* const name = elf_strptr(elf_.get(), names, header.sh_name);
      if (name != nullptr && std::string_view(name) == ".stapsdt.base") return header.sh_addr;
    }
    return std::nullopt;
  }

 private:
  explicit ElfFile(Fd fd)
      : fd_(std::move(fd)), elf_(elf_begin(fd_.get(), ELF_C_READ, nullptr), &elf_end) {}

  Fd fd_;
  std::unique_ptr<Elf, int (*)(Elf*)> elf_;
};

/// What a note about a static probe says
/// (https://sourceware.org/systemtap/wiki/UserSpaceProbeImplementation).
struct ProbeNote {
  uint64_t address = 0;
  uint64_t base = 0;
  uint64_t counter = 0;
  std::string_view provider, name, arguments;
};

std::optional<ProbeNote> ReadProbeNote(std::string_view text) {
  std::array<uint64_t, 3> numbers{};
  if (text.size() < sizeof(numbers)) return std::nullopt;
  std::memcpy(numbers.data(), text.data(), sizeof(numbers));
  text.remove_prefix(sizeof(numbers));
  std::array<std::string_view, 3> texts;
  for (std::string_view& each : texts) {
    const size_t end = text.find('\0');
    if (end == std::string_view::npos) return std::nullopt;
    each = text.substr(0, end);
    text.remove_prefix(end + 1);
  }
  return ProbeNote{numbers[0], numbers[1], numbers[2], texts[0], texts[1], texts[2]};
}

}  // namespace

Result<uint64_t> OffsetOfSymbol(const std::string& path, const std::string& symbol,
                                const std::string& object) {
  GH_ASSIGN(const ElfFile file, ElfFile::Open(path, object));
  const std::optional<uint64_t> address = file.Find(symbol);
  const std::optional<uint64_t> offset = address ? file.OffsetOf(*address) : std::nullopt;
  if (offset) return *offset;
  return Fail(ErrorCode::kUnsupported, object, path + " defines no function of that name",
              "`nm -D " + path + "` lists what it exports; a stripped file has no more");
}

Result<uint64_t> OffsetOfAddress(const std::string& path, uint64_t address,
                                 const std::string& object) {
  GH_ASSIGN(const ElfFile file, ElfFile::Open(path, object));
  if (const std::optional<uint64_t> offset = file.OffsetOf(address)) return *offset;
  return Fail(ErrorCode::kUnsupported, object, path + " has no instructions at that address",
              "`readelf -lW " + path + "` shows its segments");
}

Result<void> CheckOffset(const std::string& path, uint64_t offset, const std::string& object) {
  GH_ASSIGN(const ElfFile file, ElfFile::Open(path, object));
  const auto segment = file.Segment([&](const GElf_Phdr& each) {
    return offset >= each.p_offset && offset - each.p_offset < each.p_filesz;
  });
  if (segment) return {};
  return Fail(ErrorCode::kUnsupported, object, path + " has no instructions at that offset",
              "`readelf -lW " + path + "` shows its segments");
}

Result<std::vector<StaticProbe>> FindStaticProbe(const std::string& path,
                                                 const std::string& provider,
                                                 const std::string& name,
                                                 const std::string& object) {
  constexpr GElf_Word kTypeOfProbes = 3;  // NT_STAPSDT
  GH_ASSIGN(const ElfFile file, ElfFile::Open(path, object));
  if (!file.IsNative()) {
    return Fail(ErrorCode::kUnsupported, object, path + " is no program for x86-64",
                "static probes of others are not supported");
  }
  const std::optional<uint64_t> base = file.BaseOfProbes();
  std::vector<StaticProbe> places;
  bool broken = false;
  file.EachNote("stapsdt", kTypeOfProbes, [&](std::string_view text) {
    const std::optional<ProbeNote> note = ReadProbeNote(text);
    if (!note || note->provider != provider || note->name != name) return;
    const uint64_t moved = base && note->base != 0 ? *base - note->base : 0;
    const std::optional<uint64_t> offset = file.OffsetOf(note->address + moved);
    const std::optional<uint64_t> counter =
        note->counter == 0 ? 0 : file.OffsetOf(note->counter + moved, PF_W);
    broken |= !offset || !counter;
    places.push_back({offset.value_or(0), counter.value_or(0), std::string(note->arguments)});
  });
  if (broken) {
    return Fail(ErrorCode::kUnsupported, object,
                path + " does not have the probe where its note says", "");
  }
  if (!places.empty()) return places;
  return Fail(ErrorCode::kUnsupported, object,
              path + " has no static probe \"" + name + "\" of provider \"" + provider + "\"",
              "`readelf -n " + path + "` lists those that it has, as stapsdt");
}

Result<std::string> BuildIdOf(const std::string& path, const std::string& object) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  GH_ASSIGN(const ElfFile file, ElfFile::Open(path, object));
  std::string id;
  file.EachNote("GNU", NT_GNU_BUILD_ID, [&](std::string_view bytes) {
    if (!id.empty()) return;
    for (const char byte : bytes) {
      const auto value = static_cast<uint8_t>(byte);
      id += kDigits.at(value >> 4);
      id += kDigits.at(value & 0xf);
    }
  });
  return id;
}

}  // namespace gatehouse::kernel
