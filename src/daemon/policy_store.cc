// SPDX-License-Identifier: Apache-2.0
#include "daemon/policy_store.h"

#include <zlib.h>

#include <utility>

namespace gatehouse::daemon {
namespace {

// Texts have a few kilobytes: a small window compresses them as well, with less memory to set up.
constexpr int kLevel = 4;
constexpr int kWindowBits = 13;
constexpr int kRawWindowBits = -kWindowBits;  // without zlib's header and checksum
constexpr int kMemoryLevel = 6;

/// What most texts have in common, so that none of them has to hold it: of a policy with fifty
/// paths this is a third, compressed. What is likeliest stands last, where it is cheapest to refer
/// to.
constexpr std::string_view kCommonText = R"(
kind: TracingPolicyBinding
kind: TracingPolicyTemplate
kind: TracingPolicyNamespaced
  namespace: default
  templateRef:
    name:
  onOverlap: merge
  overrideAllowed: true
  overridePriority:
  variables:
  - name:
    type: linux_binprm
  options:
  - name: policy-mode
    value: monitor
  hostSelector: {}
  containerSelector:
    matchExpressions:
    - key: name
      operator: NotIn
  kprobes:
  - call: security_bprm_check
    syscall: false
    message:
    tags: [
    returnArg:
      - action: Sigkill
      - action: Post
      - action: NoPost
      - action: Signal
        argSig: 9
        operator: Equal
        operator: Prefix
        operator: Postfix
        - /usr/local/bin/
        - /usr/sbin/
        - /usr/bin/
        - /opt/
      matchBinaries:
      - operator: In
        values:
apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name:
spec:
  podSelector:
    matchLabels:
      app:
  lsmhooks:
  - hook: bprm_check_security
  - hook: bprm_creds_for_exec
    args:
    - index: 0
      type: linux_binprm
    selectors:
    - matchArgs:
      - index: 0
        operator: NotIn
        values:
        - /
      matchActions:
      - action: Override
        argError: -1
)";

// zlib's interface has no const and counts in 32 bits; a text is at most 64 MiB.
Bytef* Input(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}
uInt Size(std::string_view text) { return static_cast<uInt>(text.size()); }

/// "" if it cannot be compressed into less than its own size.
std::string Deflate(std::string_view text) {
  z_stream stream{};
  if (deflateInit2(&stream, kLevel, Z_DEFLATED, kRawWindowBits, kMemoryLevel, Z_DEFAULT_STRATEGY) !=
      Z_OK) {
    return {};
  }
  bool done = deflateSetDictionary(&stream, Input(kCommonText), Size(kCommonText)) == Z_OK;
  std::string packed(text.size(), '\0');
  stream.next_in = Input(text);
  stream.avail_in = Size(text);
  stream.next_out = Input(packed);
  stream.avail_out = Size(packed);
  done = done && deflate(&stream, Z_FINISH) == Z_STREAM_END;
  packed.resize(done ? stream.total_out : 0);
  deflateEnd(&stream);
  return packed.size() < text.size() ? packed : std::string();
}

/// What Deflate made is whole, so an error can only be one of memory.
std::string Inflate(std::string_view packed, size_t size) {
  z_stream stream{};
  if (inflateInit2(&stream, kRawWindowBits) != Z_OK) return {};
  bool done = inflateSetDictionary(&stream, Input(kCommonText), Size(kCommonText)) == Z_OK;
  std::string text(size, '\0');
  stream.next_in = Input(packed);
  stream.avail_in = Size(packed);
  stream.next_out = Input(text);
  stream.avail_out = Size(text);
  done = done && inflate(&stream, Z_FINISH) == Z_STREAM_END;
  text.resize(done ? stream.total_out : 0);
  inflateEnd(&stream);
  return text;
}

}  // namespace

PackedText::PackedText(std::string_view text) : packed_(Deflate(text)), size_(text.size()) {
  if (packed_.empty()) packed_ = text;
  packed_.shrink_to_fit();
}

std::string PackedText::Unpack() const {
  return packed_.size() == size_ ? packed_ : Inflate(packed_, size_);
}

const StoredPolicy* PolicyStore::Find(const policy::Key& key) const {
  const auto found = policies_.find(key);
  return found == policies_.end() ? nullptr : &found->second;
}

std::vector<policy::Key> PolicyStore::KeysOf(std::string_view origin) const {
  std::vector<policy::Key> keys;
  const auto file = by_file_.find(origin);
  if (file == by_file_.end()) return keys;
  keys.reserve(file->second.size());
  for (const policy::Key* key : file->second) keys.push_back(*key);
  return keys;
}

void PolicyStore::Put(const policy::Key& key, StoredPolicy policy) {
  const std::string origin(policy.origin);  // it may be that of the policy which is removed
  Remove(key);
  const auto put = policies_.emplace(key, std::move(policy)).first;
  put->second.origin = {};
  if (origin.empty()) return;
  const auto file = by_file_.try_emplace(origin).first;
  file->second.insert(&put->first);
  put->second.origin = file->first;
}

void PolicyStore::Remove(const policy::Key& key) {
  const auto found = policies_.find(key);
  if (found == policies_.end()) return;
  if (const auto file = by_file_.find(found->second.origin); file != by_file_.end()) {
    file->second.erase(&found->first);
    if (file->second.empty()) by_file_.erase(file);
  }
  policies_.erase(found);
}

}  // namespace gatehouse::daemon
