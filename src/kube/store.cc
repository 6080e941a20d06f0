// SPDX-License-Identifier: Apache-2.0
#include "kube/store.h"

#include <charconv>
#include <nlohmann/json.hpp>

#include "kube/json_fields.h"

namespace gatehouse::kube {
namespace {

// More removals than this between two lists are not remembered: it is against late events, which
// no server sends.
constexpr size_t kRemovedMax = 4096;

uint64_t VersionOf(const std::string& text) {
  uint64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  return error == std::errc{} && end == text.data() + text.size() ? version : 0;
}

}  // namespace

Result<ObjectMeta> ReadMeta(const nlohmann::json& object) {
  GH_ASSIGN(const nlohmann::json* metadata, ReadObject(object, "metadata"));
  GH_ASSIGN(std::string name, ReadText(*metadata, "name", kNameBytesMax));
  GH_ASSIGN(const std::string ns, ReadText(*metadata, "namespace", kNameBytesMax));
  GH_ASSIGN(const std::string version, ReadText(*metadata, "resourceVersion", kNameBytesMax));
  if (name.empty()) return Fail(ErrorCode::kInvalid, "", "an object without a name");
  return ObjectMeta{ns.empty() ? std::move(name) : ns + "/" + name, VersionOf(version)};
}

void Versions::BeginList() {
  ++list_;
  listing_ = true;
}

std::vector<std::string> Versions::EndList() {
  std::vector<std::string> gone;
  for (auto it = known_.begin(); it != known_.end();) {
    if (it->second.list == list_) {
      ++it;
      continue;
    }
    gone.push_back(it->first);
    it = known_.erase(it);
  }
  removed_.clear();
  listing_ = false;
  return gone;
}

bool Versions::IsNews(const ObjectMeta& meta) const {
  // A list is what there is; versions may even have gone back, if a backup was restored.
  if (listing_ || meta.resource_version == 0) return true;
  if (const auto removed = removed_.find(meta.key); removed != removed_.end()) {
    return meta.resource_version > removed->second;
  }
  const auto known = known_.find(meta.key);
  return known == known_.end() || meta.resource_version > known->second.resource_version;
}

void Versions::Keep(const ObjectMeta& meta) {
  const auto known = known_.find(meta.key);
  if (known == known_.end()) return;
  known->second.list = list_;
  known->second.resource_version = meta.resource_version;
}

bool Versions::Put(const ObjectMeta& meta, std::string state) {
  removed_.erase(meta.key);
  const auto [known, added] = known_.try_emplace(meta.key);
  const bool changed = added || known->second.state != state;
  known->second = {std::move(state), meta.resource_version, list_};
  return changed;
}

bool Versions::Remove(const ObjectMeta& meta) {
  if (removed_.size() >= kRemovedMax) removed_.clear();
  removed_[meta.key] = meta.resource_version;
  return known_.erase(meta.key) != 0;
}

}  // namespace gatehouse::kube
