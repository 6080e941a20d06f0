// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <thread>

#include "event/kernel_symbols.h"
#include "event/proc_source.h"
#include "event/program_symbols.h"
#include "event/system_symbols.h"

/// What the tests look for in their own program.
extern "C" __attribute__((noinline, used)) int GatehouseSymbolsTestLandmark(int value) {
  return value * 0x5eed + 0x0dd;
}

namespace gatehouse::event {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::vector<Frame> FramesAt(std::initializer_list<uint64_t> addresses) {
  std::vector<Frame> frames;
  for (const uint64_t address : addresses) frames.push_back({.address = address});
  return frames;
}

std::vector<std::string> Texts(const std::vector<Frame>& frames) {
  std::vector<std::string> texts;
  for (const Frame& frame : frames) {
    texts.push_back(frame.symbol + "+" + std::to_string(frame.offset));
  }
  return texts;
}

// ---- of the kernel

class KernelSymbolsTest : public ::testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  void Write(const std::string& text) const { std::ofstream(path_, std::ios::trunc) << text; }

  const std::string path_ =
      std::filesystem::temp_directory_path() / ("gatehouse-kallsyms-" + std::to_string(getpid()));
  KernelSymbols symbols_{path_};
  const KernelSymbols::Clock::time_point now_ = KernelSymbols::Clock::now();
};

constexpr const char* kCore =
    "0000000000000000 A fixed_percpu_data\n"
    "ffffffff81000000 T _stext\n"
    "ffffffff81000000 T startup_64\n"
    "ffffffff81000100 t inner\n"
    "ffffffff81000180 d data_in_between\n"
    "ffffffff81000200 W weak\n"
    "ffffffff81000300 T bpf_trace_run2\n"
    "ffffffff81000400 t __traceiter_sys_enter\n"
    "ffffffff81000500 T last\n";
constexpr const char* kModule = "ffffffffc0000000 t of_module\t[module]\n";

TEST_F(KernelSymbolsTest, AFunctionIsTheOneThatCalls) {
  Write(std::string(kCore) + kModule);
  // The third is behind the last instruction of `inner`, the last behind all of the module.
  auto frames = FramesAt({0xffffffff81000010, 0xffffffff810001f0, 0xffffffff81000200,
                          0xffffffff81000201, 0xffffffffc0000008, 0xffffffffc0200000, 8});
  EXPECT_TRUE(symbols_.Name(&frames, now_));
  EXPECT_THAT(Texts(frames), ElementsAre("_stext+16", "inner+240", "inner+256", "weak+1",
                                         "of_module+8", "+0", "+0"));
  EXPECT_EQ(frames[4].module, "");
}

TEST_F(KernelSymbolsTest, WhatCallsProgramsAtATracepointIsLeftOutAtTheBeginning) {
  Write(kCore);
  auto frames =
      FramesAt({0xffffffff81000310, 0xffffffff81000410, 0xffffffff81000510, 0xffffffff81000310});
  EXPECT_TRUE(symbols_.Name(&frames, now_));
  EXPECT_THAT(Texts(frames), ElementsAre("last+16", "bpf_trace_run2+16"));
}

TEST_F(KernelSymbolsTest, HiddenAddressesNameNothing) {
  Write("0000000000000000 T _stext\n0000000000000000 T startup_64\n");
  auto frames = FramesAt({0xffffffff81000010});
  EXPECT_FALSE(symbols_.Name(&frames, now_));
  EXPECT_THAT(Texts(frames), ElementsAre("+0"));
  Write(kCore);  // somebody has set the sysctl
  EXPECT_FALSE(symbols_.Name(&frames, now_ + KernelSymbols::kAgeMax));
  EXPECT_TRUE(symbols_.Name(&frames, now_ + KernelSymbols::kAgeMax + 1s));
  EXPECT_THAT(Texts(frames), ElementsAre("_stext+16"));
}

TEST_F(KernelSymbolsTest, IsReadAgainForWhatComesAndGoes) {
  Write(std::string(kCore) + kModule);
  const auto name = [&](uint64_t address, std::chrono::seconds later) {
    auto frames = FramesAt({address});
    (void)symbols_.Name(&frames, now_ + later);
    return Texts(frames).front();
  };
  EXPECT_EQ(name(0xffffffffc0000008, 0s), "of_module+8");
  Write(std::string(kCore) + "ffffffffc0000000 t of_another\t[another]\n");
  EXPECT_EQ(name(0xffffffff81000110, 60s), "inner+16");
  EXPECT_EQ(name(0xffffffffc0000008, 5s), "of_module+8");
  EXPECT_EQ(name(0xffffffffc0000008, 60s), "of_another+8");
}

TEST_F(KernelSymbolsTest, NonsenseIsNoSymbol) {
  Write("\nx\nffffffff81000000\nffffffff81000000 T\nffffffff81000000 T \n");
  auto frames = FramesAt({0xffffffff81000010});
  EXPECT_FALSE(symbols_.Name(&frames, now_));
  std::vector<Frame> none;
  KernelSymbols nowhere("/nowhere");
  EXPECT_FALSE(nowhere.Name(&none, now_));
}

// ---- of programs

TEST(ProgramSymbolsTest, ParsesMappings) {
  const auto mappings = ParseMappings(
      "5580a000-5580b000 r-xp 00002000 fd:01 1234    /usr/bin/a program\n"
      "7ffe00000000-7ffe00021000 rw-p 00000000 00:00 0                          [stack]\n"
      "7f0000000000-7f0000001000 rw-p 00000000 00:00 0 \n"
      "nonsense\n"
      "7f0000002000-7f0000003000 r-xp 00000000 00:00 0");
  ASSERT_EQ(mappings.size(), 4U);
  EXPECT_EQ(mappings[0].begin, 0x5580a000U);
  EXPECT_EQ(mappings[0].end, 0x5580b000U);
  EXPECT_EQ(mappings[0].offset, 0x2000U);
  EXPECT_EQ(mappings[0].path, "/usr/bin/a program");
  EXPECT_EQ(mappings[1].path, "[stack]");
  EXPECT_EQ(mappings[2].path, "");
  EXPECT_EQ(mappings[3].end, 0x7f0000003000U);
}

uint64_t Landmark() { return reinterpret_cast<uint64_t>(&GatehouseSymbolsTestLandmark); }

ProgramId Self() {
  const auto self = ProcFilesystem().Read(static_cast<uint32_t>(getpid()));
  return {.pid = self->pid,
          .start_ns = self->start_ticks * kTickNs + 5,
          .start_stack = self->start_stack};
}

TEST(ProgramSymbolsTest, NamesFunctionsOfARunningProgram) {
  ProgramSymbols symbols;
  ASSERT_NE(Self().start_stack, 0U);
  for (int round = 0; round < 2; ++round) {  // the second time from what is kept
    // The first is where the program is; others are behind the instruction that calls.
    auto frames = FramesAt(
        {Landmark(), Landmark() + 1, Landmark(), reinterpret_cast<uint64_t>(&getpid) + 1, 16});
    ASSERT_TRUE(symbols.Name(Self(), &frames));
    const std::string self = std::filesystem::read_symlink("/proc/self/exe");
    EXPECT_EQ(frames[0].symbol, "GatehouseSymbolsTestLandmark");
    EXPECT_EQ(frames[0].module, self);
    EXPECT_EQ(frames[1].symbol, "GatehouseSymbolsTestLandmark");
    EXPECT_EQ(frames[1].offset, frames[0].offset + 1);
    EXPECT_NE(frames[2].symbol, "GatehouseSymbolsTestLandmark");
    EXPECT_THAT(frames[3].symbol, ::testing::HasSubstr("getpid"));
    EXPECT_THAT(frames[3].module, ::testing::HasSubstr("/libc"));
    EXPECT_EQ(frames[4].symbol + frames[4].module, "");
  }
}

TEST(ProgramSymbolsTest, AnotherProgramOfTheProcessHasOtherNames) {
  ProgramSymbols symbols;
  auto frames = FramesAt({Landmark()});
  ProgramId replaced = Self();
  replaced.start_stack += 16;
  EXPECT_FALSE(symbols.Name(replaced, &frames));
  ProgramId earlier = Self();
  earlier.start_ns -= 2 * kTickNs;
  EXPECT_FALSE(symbols.Name(earlier, &frames));
  EXPECT_FALSE(symbols.Name({.pid = 0x7ffffff}, &frames));
  EXPECT_EQ(frames[0].symbol + frames[0].module, "");
}

/// A file in memory.
class Memory {
 public:
  explicit Memory(const std::string& bytes) : fd_(memfd_create("test", MFD_CLOEXEC)) {
    (void)!write(fd_, bytes.data(), bytes.size());
  }
  ~Memory() { close(fd_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int fd_;
};

/// A file with one segment, from 0x1000 on, and two functions in it.
struct Made {
  Elf64_Ehdr header{};
  Elf64_Phdr segment{};
  Elf64_Shdr sections[3]{};
  Elf64_Sym symbols[3]{};
  char texts[16] = "\0first\0second";

  Made() {
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_phoff = offsetof(Made, segment);
    header.e_phentsize = sizeof(segment);
    header.e_phnum = 1;
    header.e_shoff = offsetof(Made, sections);
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = 3;
    segment.p_type = PT_LOAD;
    segment.p_offset = 0x1000;
    segment.p_vaddr = 0x401000;
    segment.p_filesz = 0x1000;
    sections[1].sh_type = SHT_SYMTAB;
    sections[1].sh_offset = offsetof(Made, symbols);
    sections[1].sh_size = sizeof(symbols);
    sections[1].sh_link = 2;
    sections[2].sh_offset = offsetof(Made, texts);
    sections[2].sh_size = sizeof(texts);
    symbols[1] = {1, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, 0x401010, 0x10};
    symbols[2] = {7, ELF64_ST_INFO(STB_GLOBAL, STT_FUNC), 0, 1, 0x401020, 0x10};
  }
  [[nodiscard]] std::vector<std::string> At(std::vector<uint64_t> offsets) const {
    return FunctionsAt(Memory(std::string(reinterpret_cast<const char*>(this), sizeof(*this))).fd(),
                       offsets);
  }
};

TEST(ProgramSymbolsTest, FunctionsAreFoundByTheirPlaceInTheFile) {
  EXPECT_THAT(Made().At({0x1010, 0x101f, 0x1020, 0x100f, 0x1030, 0x10, 0x2000}),
              ElementsAre("first", "first", "second", "", "", "", ""));
  Made object;
  object.symbols[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
  EXPECT_THAT(object.At({0x1010, 0x1020}), ElementsAre("", "second"));
}

TEST(ProgramSymbolsTest, FilesThatLieNameNothing) {
  const auto at = [](const auto& change) {
    Made made;
    change(made);
    return made.At({0x1010}).front();
  };
  EXPECT_EQ(at([](Made&) {}), "first");
  EXPECT_EQ(at([](Made& made) { made.header.e_ident[0] = 0; }), "");
  EXPECT_EQ(at([](Made& made) { made.header.e_ident[EI_CLASS] = ELFCLASS32; }), "");
  EXPECT_EQ(at([](Made& made) { made.header.e_shnum = 0xffff; }), "");
  EXPECT_EQ(at([](Made& made) { made.header.e_shentsize = 1; }), "");
  EXPECT_EQ(at([](Made& made) { made.header.e_phoff = UINT64_MAX; }), "");
  EXPECT_EQ(at([](Made& made) { made.sections[1].sh_link = 3; }), "");
  EXPECT_EQ(at([](Made& made) { made.sections[1].sh_offset = UINT64_MAX - 8; }), "");
  EXPECT_EQ(at([](Made& made) { made.sections[1].sh_size = UINT64_MAX; }), "first");
  EXPECT_EQ(at([](Made& made) { made.sections[2].sh_offset = 1u << 30; }), "");
  EXPECT_EQ(at([](Made& made) { made.symbols[1].st_name = 0xffffffff; }), "");
  EXPECT_EQ(at([](Made& made) { made.symbols[1].st_size = UINT64_MAX; }), "first");
  EXPECT_THAT(FunctionsAt(Memory("").fd(), std::vector<uint64_t>{0x1010}), ElementsAre(""));
  EXPECT_THAT(FunctionsAt(-1, std::vector<uint64_t>{}), IsEmpty());
}

TEST(ProgramSymbolsTest, NoBytesLeadAstray) {
  std::mt19937 random(1);  // NOLINT: the same each time
  for (int round = 0; round < 2000; ++round) {
    Made made;
    auto* const bytes = reinterpret_cast<unsigned char*>(&made);
    for (int i = 0; i < 4; ++i) {
      bytes[SELFMAG + random() % (sizeof(made) - SELFMAG)] = static_cast<unsigned char>(random());
    }
    EXPECT_EQ(made.At({0x1010, 0x1020}).size(), 2U);
  }
}

// ---- of the machine

TEST(SystemSymbolsTest, NobodyWaitsForLong) {
  std::promise<void> go_on;
  std::shared_future<void> may_go_on(go_on.get_future());
  SystemSymbols symbols(
      [may_go_on](const ProgramId& program, std::vector<Frame>* frames) {
        if (program.pid == 1) may_go_on.wait();
        frames->front().symbol = "named";
        return program.pid != 3;
      },
      50ms);
  auto frames = FramesAt({1});
  ASSERT_TRUE(symbols.NameProgram({.pid = 2}, &frames));
  EXPECT_EQ(frames[0].symbol, "named");
  EXPECT_FALSE(symbols.NameProgram({.pid = 3}, &frames));

  frames = FramesAt({1});
  EXPECT_FALSE(symbols.NameProgram({.pid = 1}, &frames));
  EXPECT_FALSE(symbols.NameProgram({.pid = 2}, &frames));  // it is still about the other one
  EXPECT_EQ(frames[0].symbol, "");
  go_on.set_value();
  const auto deadline = std::chrono::steady_clock::now() + 10s;
  while (!symbols.NameProgram({.pid = 2}, &frames)) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::sleep_for(1ms);
  }
  EXPECT_EQ(frames[0].symbol, "named");
}

}  // namespace
}  // namespace gatehouse::event
