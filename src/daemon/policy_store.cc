// SPDX-License-Identifier: Apache-2.0
#include "daemon/policy_store.h"

#include <zlib.h>

#include <utility>

namespace gatehouse::daemon {
namespace {

// Texts have a few kilobytes: a small window compresses them as well, with less memory to set up.
constexpr int kWindowBits = 13;
constexpr int kMemoryLevel = 6;

/// "" if it cannot be compressed into less than its own size.
std::string Deflate(std::string_view text) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kWindowBits, kMemoryLevel,
                   Z_DEFAULT_STRATEGY) != Z_OK) {
    return {};
  }
  std::string packed(text.size(), '\0');
  // zlib's interface has no const and counts in 32 bits; a text is at most 64 MiB.
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  packed.resize(done ? stream.total_out : 0);
  deflateEnd(&stream);
  return packed.size() < text.size() ? packed : std::string();
}

}  // namespace

PackedText::PackedText(std::string_view text) : packed_(Deflate(text)), size_(text.size()) {
  if (packed_.empty()) packed_ = text;
  packed_.shrink_to_fit();
}

std::string PackedText::Unpack() const {
  if (packed_.size() == size_) return packed_;
  std::string text(size_, '\0');
  uLongf size = size_;
  const int result = uncompress(reinterpret_cast<Bytef*>(text.data()), &size,
                                reinterpret_cast<const Bytef*>(packed_.data()), packed_.size());
  text.resize(result == Z_OK ? size : 0);  // what Deflate made is whole
  return text;
}

const StoredPolicy* PolicyStore::Find(const policy::Key& key) const {
  const auto found = policies_.find(key);
  return found == policies_.end() ? nullptr : &found->second;
}

std::vector<policy::Key> PolicyStore::KeysOf(const std::string& origin) const {
  const auto file = by_file_.find(origin);
  if (file == by_file_.end()) return {};
  return {file->second.begin(), file->second.end()};
}

void PolicyStore::Put(const policy::Key& key, StoredPolicy policy) {
  Remove(key);
  if (!policy.origin.empty()) by_file_[policy.origin].insert(key);
  policies_.emplace(key, std::move(policy));
}

void PolicyStore::Remove(const policy::Key& key) {
  const auto found = policies_.find(key);
  if (found == policies_.end()) return;
  if (const auto file = by_file_.find(found->second.origin); file != by_file_.end()) {
    file->second.erase(key);
    if (file->second.empty()) by_file_.erase(file);
  }
  policies_.erase(found);
}

}  // namespace gatehouse::daemon
