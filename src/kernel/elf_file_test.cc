// SPDX-License-Identifier: Apache-2.0
#include "kernel/elf_file.h"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "kernel/testing/static_probe.h"

extern "C" {
/// What a probe below counts listeners in.
unsigned short gatehouse_elf_file_test_counter __attribute__((section(".probes"), used)) = 0x7e57;
__attribute__((noinline, used)) void GatehouseElfFileTestProbes(int value) {
  asm volatile(GATEHOUSE_STATIC_PROBE("gatehouse", "counted", "-4@%%edi 8@$5",
                                      "gatehouse_elf_file_test_counter")
               :
               : "D"(value));
  asm volatile(GATEHOUSE_STATIC_PROBE("gatehouse", "twice", "", "0"));
  asm volatile(GATEHOUSE_STATIC_PROBE("gatehouse", "twice", "4@%%edi", "0") : : "D"(value));
}
}

/// What the tests look for in their own program.
extern "C" __attribute__((noinline, used)) int GatehouseElfFileTestLandmark(int value) {
  return value * 0x5eed + 0x0dd;
}

/// The first byte of the program in memory, by the linker.
extern "C" const char __executable_start;  // NOLINT(bugprone-reserved-identifier)

namespace gatehouse::kernel {
namespace {

using ::testing::HasSubstr;

constexpr const char* kObject = "hook/test";
constexpr const char* kSelf = "/proc/self/exe";

/// The program as it is in memory and in its file, from the landmark on.
std::array<char, 16> InMemory() {
  std::array<char, 16> bytes{};
  const auto* const code = reinterpret_cast<const char*>(&GatehouseElfFileTestLandmark);
  std::copy_n(code, bytes.size(), bytes.begin());
  return bytes;
}

std::array<char, 16> InFile(uint64_t offset) {
  std::array<char, 16> bytes{};
  std::ifstream file(kSelf, std::ios::binary);
  file.seekg(static_cast<std::streamoff>(offset));
  file.read(bytes.data(), bytes.size());
  return bytes;
}

template <typename T>
Error ErrorOf(const Result<T>& result) {
  return result ? Error{} : result.error();
}

TEST(ElfFile, FindsAFunctionWhereItsInstructionsAre) {
  const auto offset = OffsetOfSymbol(kSelf, "GatehouseElfFileTestLandmark", kObject);
  ASSERT_TRUE(offset) << offset.error().Message();
  EXPECT_EQ(InFile(*offset), InMemory());
  EXPECT_TRUE(CheckOffset(kSelf, *offset, kObject));
}

TEST(ElfFile, FindsAnAddressOfAFileThatIsLoadedWhereItSays) {
  // Of a program that is not position-independent, the address in memory is that in the file; of
  // one that is, the difference is the same for all its addresses.
  const auto symbol = OffsetOfSymbol(kSelf, "GatehouseElfFileTestLandmark", kObject);
  ASSERT_TRUE(symbol);
  const uint64_t address = reinterpret_cast<uint64_t>(&GatehouseElfFileTestLandmark) -
                           reinterpret_cast<uint64_t>(&__executable_start);
  const auto offset = OffsetOfAddress(kSelf, address, kObject);
  ASSERT_TRUE(offset) << offset.error().Message();
  EXPECT_EQ(*offset, *symbol);
}

TEST(ElfFile, FindsStaticProbes) {
  const auto places = FindStaticProbe(kSelf, "gatehouse", "counted", kObject);
  ASSERT_TRUE(places) << places.error().Message();
  ASSERT_EQ(places->size(), 1U);
  const StaticProbe& place = places->front();
  EXPECT_EQ(place.arguments, "-4@%edi 8@$5");
  constexpr char kNop = '\x90';
  EXPECT_EQ(InFile(place.offset).front(), kNop);
  EXPECT_EQ(InFile(place.counter)[0], '\x57');
  EXPECT_EQ(InFile(place.counter)[1], '\x7e');
  const auto function = OffsetOfSymbol(kSelf, "GatehouseElfFileTestProbes", kObject);
  ASSERT_TRUE(function);
  constexpr uint64_t kBytesOfFunction = 64;
  EXPECT_THAT(place.offset, ::testing::AllOf(::testing::Ge(*function),
                                             ::testing::Lt(*function + kBytesOfFunction)));
}

TEST(ElfFile, FindsAllPlacesOfAStaticProbe) {
  const auto places = FindStaticProbe(kSelf, "gatehouse", "twice", kObject);
  ASSERT_TRUE(places) << places.error().Message();
  ASSERT_EQ(places->size(), 2U);
  EXPECT_LT((*places)[0].offset, (*places)[1].offset);
  EXPECT_EQ((*places)[0].arguments, "");
  EXPECT_EQ((*places)[1].arguments, "4@%edi");
  EXPECT_EQ((*places)[0].counter, 0U);
  EXPECT_THAT(ErrorOf(FindStaticProbe(kSelf, "gatehouse", "thrice", kObject)).Message(),
              HasSubstr("has no static probe \"thrice\" of provider \"gatehouse\""));
  EXPECT_THAT(ErrorOf(FindStaticProbe(kSelf, "other", "twice", kObject)).Message(),
              HasSubstr("of provider \"other\""));
}

TEST(ElfFile, RefusesWhatIsNotThere) {
  EXPECT_THAT(ErrorOf(OffsetOfSymbol(kSelf, "no_such_function", kObject)).Message(),
              HasSubstr("hook/test: /proc/self/exe defines no function of that name"));
  EXPECT_THAT(ErrorOf(OffsetOfAddress(kSelf, UINT64_MAX - 1, kObject)).Message(),
              HasSubstr("no instructions at that address"));
  EXPECT_THAT(ErrorOf(CheckOffset(kSelf, 1ULL << 40, kObject)).Message(),
              HasSubstr("no instructions at that offset"));
}

TEST(ElfFile, RefusesDataAsAFunction) {
  EXPECT_EQ(ErrorOf(OffsetOfSymbol(kSelf, "environ", kObject)).code, ErrorCode::kUnsupported);
}

TEST(ElfFile, RefusesWhatIsNoElfFile) {
  const std::string path = ::testing::TempDir() + "/no-elf-" + std::to_string(getpid());
  std::ofstream(path) << "#!/bin/sh\n";
  EXPECT_THAT(ErrorOf(OffsetOfSymbol(path, "main", kObject)).Message(),
              HasSubstr("is no ELF file"));
  std::filesystem::remove(path);
  EXPECT_THAT(ErrorOf(OffsetOfSymbol(path, "main", kObject)).Message(),
              HasSubstr("cannot be read: No such file"));
  EXPECT_EQ(ErrorOf(OffsetOfSymbol("/", "main", kObject)).code, ErrorCode::kUnsupported);
}

TEST(ElfFile, DoesNotWaitForAPipe) {
  const std::string path = ::testing::TempDir() + "/pipe-" + std::to_string(getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_THAT(ErrorOf(OffsetOfSymbol(path, "main", kObject)).Message(),
              HasSubstr("is no ELF file"));
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace gatehouse::kernel
