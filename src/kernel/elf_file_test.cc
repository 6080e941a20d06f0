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

/// What the tests look for in their own program.
extern "C" __attribute__((noinline, used)) int GatehouseElfFileTestLandmark(int value) {
  return value * 0x5eed + 0x0dd;
}

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
  std::ifstream maps("/proc/self/maps");
  uint64_t begin = 0;
  maps >> std::hex >> begin;  // the first mapping is the program's own, of its first byte
  const uint64_t address = reinterpret_cast<uint64_t>(&GatehouseElfFileTestLandmark) - begin;
  const auto offset = OffsetOfAddress(kSelf, address, kObject);
  ASSERT_TRUE(offset) << offset.error().Message();
  EXPECT_EQ(*offset, *symbol);
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
