// SPDX-License-Identifier: Apache-2.0
#include "kernel/elf_file.h"

#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <sys/stat.h>

#include <cerrno>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>

#include "kernel/fd.h"

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

  /// Of the segment with instructions that `is_here` accepts; nullopt: there is none.
  [[nodiscard]] std::optional<GElf_Phdr> Segment(
      const std::function<bool(const GElf_Phdr&)>& is_here) const {
    size_t n = 0;
    elf_getphdrnum(elf_.get(), &n);
    for (size_t i = 0; i < n; ++i) {
      GElf_Phdr segment{};
      if (gelf_getphdr(elf_.get(), static_cast<int>(i), &segment) == nullptr) continue;
      const bool executable = segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0;
      if (executable && is_here(segment)) return segment;
    }
    return std::nullopt;
  }

  [[nodiscard]] std::optional<uint64_t> OffsetOf(uint64_t address) const {
    const auto segment = Segment([&](const GElf_Phdr& each) {
      return address >= each.p_vaddr && address - each.p_vaddr < each.p_filesz;
    });
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

 private:
  explicit ElfFile(Fd fd)
      : fd_(std::move(fd)), elf_(elf_begin(fd_.get(), ELF_C_READ, nullptr), &elf_end) {}

  Fd fd_;
  std::unique_ptr<Elf, int (*)(Elf*)> elf_;
};

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

}  // namespace gatehouse::kernel
