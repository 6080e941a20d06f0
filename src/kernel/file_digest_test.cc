// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <array>
#include <cstdio>

#include "kernel/elf_file.h"
#include "kernel/program_sites.h"

namespace gatehouse::kernel {
namespace {

constexpr const char* kSelf = "/proc/self/exe";

/// What coreutils say.
std::string DigestBy(const std::string& command) {
  const std::string path = "/proc/" + std::to_string(getpid()) + "/exe";
  FILE* const pipe = popen((command + " " + path).c_str(), "r");
  std::array<char, 256> line{};
  if (pipe == nullptr || fgets(line.data(), line.size(), pipe) == nullptr) return "";
  pclose(pipe);
  const std::string text = line.data();
  return text.substr(0, text.find(' '));
}

bool Has(const std::vector<std::string>& digests) {
  const Result<bool> has = HasDigest(kSelf, digests, "test");
  EXPECT_TRUE(has) << has.error().Message();
  return has && *has;
}

TEST(FileDigest, OneOfSeveralIsEnough) {
  const std::string other(64, 'a');
  EXPECT_FALSE(Has({"sha256:" + other, "build-id:" + other}));
  EXPECT_TRUE(Has({"sha256:" + other, "sha256:" + DigestBy("sha256sum")}));
  EXPECT_TRUE(Has({"sha512:" + DigestBy("sha512sum")}));
}

TEST(FileDigest, BuildIds) {
  // Debian's libc has one.
  const Result<std::string> id = BuildIdOf("/lib/x86_64-linux-gnu/libc.so.6", "test");
  ASSERT_TRUE(id) << id.error().Message();
  EXPECT_EQ(id->size(), 40U);
  const std::vector<std::string> digests{"build-id:" + *id};
  EXPECT_THAT(HasDigest("/lib/x86_64-linux-gnu/libc.so.6", digests, "test"),
              ::testing::Optional(true));
}

TEST(FileDigest, WhatCannotBeRead) {
  const std::vector<std::string> digests{"sha256:00"};
  EXPECT_EQ(HasDigest("/no/such/file", digests, "test").error().code, ErrorCode::kUnsupported);
  EXPECT_EQ(HasDigest("/etc/passwd", digests, "test").error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace gatehouse::kernel
