// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"

namespace gatehouse::kube {

/// What an object is called: `namespace/name`, or `name`, and in which version it is.
struct ObjectMeta {
  std::string key;
  uint64_t resource_version = 0;  ///< 0: not a number
};

/// Of `metadata`. Error: no name, or one that is too long.
[[nodiscard]] Result<ObjectMeta> ReadMeta(const nlohmann::json& object);

/// Which objects there are, and in which state each was handed out, so that a new list comes down
/// to its differences. Not thread-safe.
class Versions {
 public:
  /// What follows is a whole list, until EndList. Starts over a list that was not ended.
  void BeginList();
  /// Everything that was not in the list is gone: their keys.
  [[nodiscard]] std::vector<std::string> EndList();

  /// Whether what is known of the object is out of date. Outside a list, an object that is older
  /// than what is known, or than its deletion, is not (duplicate or late events).
  [[nodiscard]] bool IsNews(const ObjectMeta& meta) const;
  /// The object is there as before, whatever it has become: it cannot be read.
  void Keep(const ObjectMeta& meta);
  /// The object is there. True: not in this state before.
  bool Put(const ObjectMeta& meta, std::string state);
  /// True: it was there.
  bool Remove(const ObjectMeta& meta);

  [[nodiscard]] size_t size() const { return known_.size(); }

 private:
  struct Known {
    std::string state;
    uint64_t resource_version = 0;
    uint64_t list = 0;  // the last list that it was in
  };

  std::map<std::string, Known, std::less<>> known_;
  std::map<std::string, uint64_t, std::less<>> removed_;  // since the last list, with the version
  uint64_t list_ = 0;
  bool listing_ = false;
};

/// What a converter makes of an object.
template <typename T>
struct Converted {
  T value;
  /// Text that differs if and only if the value does in what the consumer cares for. It is all that
  /// is kept of the object.
  std::string state;
};

template <typename T>
using Converter = std::function<Result<Converted<T>>(const nlohmann::json& object)>;

/// What became different: of one page of a list, or of the events that came at once.
template <typename T>
struct Changes {
  std::vector<T> put;                ///< new or changed, in the order in which they came
  std::vector<std::string> removed;  ///< keys; none of them is in `put`
  /// The first list is complete: with this, everything that there was has been handed out.
  bool synced = false;
};

/// Takes changes, on the cluster's thread; while it works, nothing else is read.
template <typename T>
using Consumer = std::function<void(Changes<T> changes)>;

/// What a reflector does with the objects that it reads.
class Objects {
 public:
  Objects() = default;
  Objects(const Objects&) = delete;
  Objects& operator=(const Objects&) = delete;
  virtual ~Objects() = default;

  virtual void BeginList() = 0;
  /// Error: of the object, which is left as it was before.
  [[nodiscard]] virtual Result<void> Put(const nlohmann::json& object) = 0;
  [[nodiscard]] virtual Result<void> Remove(const nlohmann::json& object) = 0;
  virtual void EndList() = 0;
  /// Hands out what has come.
  virtual void Flush() = 0;
  [[nodiscard]] virtual size_t size() const = 0;
};

/// Converts objects and hands their changes to a consumer.
template <typename T>
class Store : public Objects {
 public:
  Store(Converter<T> convert, Consumer<T> consume)
      : convert_(std::move(convert)), consume_(std::move(consume)) {}

  void BeginList() override { versions_.BeginList(); }

  [[nodiscard]] Result<void> Put(const nlohmann::json& object) override {
    GH_ASSIGN(const ObjectMeta meta, ReadMeta(object));
    if (!versions_.IsNews(meta)) return {};
    Result<Converted<T>> converted = convert_(object);
    if (!converted) {
      versions_.Keep(meta);
      return tl::unexpected(std::move(converted).error());
    }
    if (!versions_.Put(meta, std::move(converted->state))) return {};
    if (removes(meta.key)) Flush();  // an object of the same name came after it
    changes_.put.push_back(std::move(converted->value));
    put_keys_.push_back(meta.key);
    return {};
  }

  [[nodiscard]] Result<void> Remove(const nlohmann::json& object) override {
    GH_ASSIGN(const ObjectMeta meta, ReadMeta(object));
    if (versions_.IsNews(meta) && versions_.Remove(meta)) AddRemoved(meta.key);
    return {};
  }

  void EndList() override {
    for (std::string& key : versions_.EndList()) AddRemoved(std::move(key));
    changes_.synced = !std::exchange(synced_, true);
  }

  void Flush() override {
    if (changes_.put.empty() && changes_.removed.empty() && !changes_.synced) return;
    put_keys_.clear();
    consume_(std::exchange(changes_, {}));
  }

  [[nodiscard]] size_t size() const override { return versions_.size(); }

 private:
  [[nodiscard]] bool removes(std::string_view key) const {
    return std::ranges::find(changes_.removed, key) != changes_.removed.end();
  }

  void AddRemoved(std::string key) {
    if (std::ranges::find(put_keys_, key) != put_keys_.end()) Flush();
    changes_.removed.push_back(std::move(key));
  }

  Converter<T> convert_;
  Consumer<T> consume_;
  Versions versions_;
  Changes<T> changes_;
  std::vector<std::string> put_keys_;  // of changes_.put
  bool synced_ = false;
};

}  // namespace gatehouse::kube
