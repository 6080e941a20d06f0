// SPDX-License-Identifier: Apache-2.0
#include <sodium.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "kernel/elf_file.h"
#include "kernel/program_sites.h"

namespace gatehouse::kernel {
namespace {

constexpr std::string_view kBuildId = "build-id:";
constexpr std::string_view kSha256 = "sha256:";
constexpr std::string_view kSha512 = "sha512:";
constexpr size_t kBlockBytes = size_t{64} << 10;

template <size_t n>
std::string Hexadecimal(const std::array<unsigned char, n>& bytes) {
  std::array<char, n * 2 + 1> text{};
  sodium_bin2hex(text.data(), text.size(), bytes.data(), bytes.size());
  return text.data();
}

/// Calls `take` with all of the file, block by block.
template <typename Take>
Result<void> EachBlock(const std::string& path, const std::string& object, Take take) {
  std::ifstream file(path, std::ios::binary);
  std::vector<char> block(kBlockBytes);
  while (file) {
    file.read(block.data(), static_cast<std::streamsize>(block.size()));
    take(reinterpret_cast<const unsigned char*>(block.data()),
         static_cast<unsigned long long>(file.gcount()));
  }
  if (file.eof()) return {};
  return Fail(ErrorCode::kUnsupported, object, path + " cannot be read",
              "write the path as the agent sees it");
}

Result<std::string> Sha256Of(const std::string& path, const std::string& object) {
  crypto_hash_sha256_state state{};
  crypto_hash_sha256_init(&state);
  GH_TRY(EachBlock(path, object, [&](const unsigned char* bytes, unsigned long long n) {
    crypto_hash_sha256_update(&state, bytes, n);
  }));
  std::array<unsigned char, crypto_hash_sha256_BYTES> digest{};
  crypto_hash_sha256_final(&state, digest.data());
  return Hexadecimal(digest);
}

Result<std::string> Sha512Of(const std::string& path, const std::string& object) {
  crypto_hash_sha512_state state{};
  crypto_hash_sha512_init(&state);
  GH_TRY(EachBlock(path, object, [&](const unsigned char* bytes, unsigned long long n) {
    crypto_hash_sha512_update(&state, bytes, n);
  }));
  std::array<unsigned char, crypto_hash_sha512_BYTES> digest{};
  crypto_hash_sha512_final(&state, digest.data());
  return Hexadecimal(digest);
}

}  // namespace

Result<bool> HasDigest(const std::string& path, std::span<const std::string> digests,
                       const std::string& object) {
  // That it is a regular file: nothing that waits.
  GH_ASSIGN(const std::string build_id, BuildIdOf(path, object));
  std::string sha256;
  std::string sha512;
  for (const std::string& digest : digests) {
    if (digest.starts_with(kSha256) && sha256.empty()) {
      GH_ASSIGN(sha256, Sha256Of(path, object));
    }
    if (digest.starts_with(kSha512) && sha512.empty()) {
      GH_ASSIGN(sha512, Sha512Of(path, object));
    }
    const bool same = digest == std::string(kSha256) + sha256 ||
                      digest == std::string(kSha512) + sha512 ||
                      digest == std::string(kBuildId) + build_id;
    if (same) return true;
  }
  return false;
}

}  // namespace gatehouse::kernel
