// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <vector>

#include "abi/gatehouse.h"
#include "base/result.h"
#include "bind/delta.h"
#include "compile/extents.h"
#include "compile/memory.h"
#include "compile/program.h"
#include "compile/strings.h"
#include "policy/model.h"

namespace gatehouse::compile {

/// Key of SipHash; the kernel programs are given the same one.
using DigestKey = std::array<uint64_t, 2>;

/// SipHash-2-4 with 128 bits of output.
[[nodiscard]] gh_digest Digest(const DigestKey& key, std::string_view text);

/// Decisions of one rule, as the kernel counted them.
struct RuleCount {
  uint16_t hook_index = 0;
  uint16_t rule = 0;
  uint64_t hits = 0;
};

/// Sizes, for status.
struct ImageSizes {
  uint64_t generation = 0;
  uint64_t arena_bytes = 0;
  uint64_t used_bytes = 0;
  uint64_t instances = 0;
  uint64_t groups = 0;
  uint64_t sets = 0;
  uint64_t strings = 0;
  uint64_t workloads = 0;
};

/// Writes what the kernel judges by (layout: abi/gatehouse.h) and publishes it.
///
/// A change is written beside what is in force, which stays as it is, and takes effect with one
/// store of the root's address. What the old image alone used is retired, and used again only when
/// the owner says through Reclaim that no program can be reading it any more.
///
/// Not thread-safe: belongs to the control thread.
class Image {
 public:
  Image(Memory& memory, StringPool& strings, const DigestKey& key);

  /// Publishes the empty image.
  [[nodiscard]] Result<void> Initialize();

  /// Publishes a change. On error the image in force is the old one, complete. Errors: more than
  /// GH_POLICIES_PER_GATE_MAX policies on a hook of a workload; memory cannot grow.
  [[nodiscard]] Result<void> Apply(const bind::Delta& delta);

  /// The workload's place in the table of workloads; given out at the first mention and kept until
  /// ReleaseSlot was called and its group is empty, in either order: before that no other workload
  /// can have it, and a later mention finds the workload's group there. The host has 0.
  [[nodiscard]] uint32_t SlotOf(bind::WorkloadId workload);
  void ReleaseSlot(bind::WorkloadId workload);

  /// Frees what was retired by publications up to `generation`: the caller knows that every program
  /// that began before the end of that publication has ended.
  void Reclaim(uint64_t generation);
  /// True if Reclaim of the present generation would free anything.
  [[nodiscard]] bool HasRetired() const { return !retired_.empty(); }
  [[nodiscard]] uint64_t generation() const { return generation_; }

  /// The site's number in the image, given out at the first mention and for ever. Errors: there are
  /// no more numbers.
  [[nodiscard]] Result<uint16_t> NumberOf(const policy::Site& site);
  /// Whether a policy in force notes whose sockets are.
  [[nodiscard]] bool tracks_sockets() const { return !tracking_.empty(); }
  /// Number of instances in force on the hook with that number.
  [[nodiscard]] uint64_t InstancesOn(uint16_t hook) const {
    return hook < on_hook_.size() ? on_hook_[hook] : 0;
  }
  [[nodiscard]] std::vector<RuleCount> Counts(bind::InstanceId instance) const;
  /// Bytes of the instance's own records, and of its sets and their strings in equal shares with
  /// the others that use them.
  [[nodiscard]] uint64_t MemoryBytes(bind::InstanceId instance) const;
  [[nodiscard]] ImageSizes sizes() const;

 private:
  struct Block {
    uint32_t address = 0;
    uint32_t words = 0;
  };
  struct StoredSet {
    Block block;
    uint32_t users = 0;
  };
  /// One hook of one instance.
  struct StoredHook {
    uint16_t hook = 0;
    uint32_t first_rule = 0;
    const HookProgram* program = nullptr;  // in Instance::program
  };
  struct Instance {
    ProgramPtr program;
    std::vector<StoredHook> hooks;
    std::vector<Block> blocks;
  };
  using GroupKey = std::vector<bind::InstanceId>;
  struct Group {
    uint32_t address = 0;
    std::vector<Block> blocks;
    uint32_t workloads = 0;
  };
  struct Retired {
    uint64_t generation = 0;
    std::vector<Block> blocks;
    std::vector<StringId> strings;
    std::vector<uint32_t> slots;
  };
  using GroupMap = std::map<GroupKey, Group>;

  using Chunk = std::array<uint32_t, GH_CHUNK_SLOTS>;  // groups of workloads

  /// What an Apply has made but not yet published; given back if it fails.
  struct Stage;
  struct Slot {
    uint32_t index = 0;
    bool released = false;  // to be given away when its group is empty
  };

  [[nodiscard]] Result<Block> Allocate(uint32_t words, uint32_t alignment, uint32_t within);
  [[nodiscard]] Result<Block> AllocateRoot();
  void Free(const Block& block);
  [[nodiscard]] Result<void> GrowBy(uint32_t words);
  template <typename T>
  [[nodiscard]] T* At(uint32_t address);

  [[nodiscard]] Result<void> StageInstance(Stage& stage, bind::InstanceId id,
                                           const ProgramPtr& program);
  [[nodiscard]] Result<uint32_t> StageFilters(Stage& stage, Instance& instance, const Rule& rule);
  [[nodiscard]] Result<uint32_t> StageSet(Stage& stage, const ValueSet& set);
  [[nodiscard]] Result<void> StageGroup(Stage& stage, const GroupKey& key);
  [[nodiscard]] static Result<std::vector<Input>> InputsOf(
      std::span<const StoredHook* const> policies);
  [[nodiscard]] Result<gh_gate> StageGate(Stage& stage, Group& group, uint16_t hook,
                                          std::span<const StoredHook* const> policies);
  [[nodiscard]] uint32_t AddressOf(const Stage& stage, const ValueSet& set) const;
  [[nodiscard]] Result<uint32_t> StageScan(Stage& stage, Group& group, uint8_t subject,
                                           std::span<const StoredHook* const> policies);
  /// Writes records one after the other: the address of the first; 0 if there is none.
  template <typename T>
  [[nodiscard]] Result<uint32_t> StageList(Stage& stage, Group& group, std::span<const T> list);
  /// Slots for those workloads of the change that get a group and have none.
  void TakeSlots(Stage& stage, const bind::Delta& delta);
  [[nodiscard]] Result<void> StageTable(Stage& stage, const bind::Delta& delta);
  /// Address of a chunk of the image in force, or 0.
  [[nodiscard]] uint32_t ChunkAt(uint32_t index);
  [[nodiscard]] Chunk ReadChunk(uint32_t index);
  [[nodiscard]] std::vector<Block> ReplacedChunks(const Stage& stage);
  [[nodiscard]] Result<void> StageRoot(Stage& stage);
  void Rollback(Stage& stage);
  void Commit(Stage& stage, const bind::Delta& delta);
  void RemoveInstance(bind::InstanceId id, Retired& retired);
  [[nodiscard]] std::optional<uint32_t> FindSlot(bind::WorkloadId workload) const;
  void MoveWorkloads(const bind::Delta& delta, Retired& retired);
  void Leave(GroupMap::iterator group, Retired& retired);

  [[nodiscard]] Result<void> AddStrings();
  [[nodiscard]] Result<void> RebuildStrings();
  /// Of the set and its share of its strings.
  [[nodiscard]] double BytesOf(const ValueSet& set, const StoredSet& stored) const;
  [[nodiscard]] Result<void> FillStringSlots(std::span<const StringId> ids);
  [[nodiscard]] bool InsertString(StringId id);
  void EraseString(StringId id);
  void Publish(Block root, const gh_root& contents);

  Memory& memory_;
  StringPool& strings_;
  const DigestKey key_;
  Extents free_;
  Extents roots_;
  uint64_t generation_ = 0;

  std::unordered_map<bind::InstanceId, Instance> instances_;
  std::set<bind::InstanceId> tracking_;  // those that note whose sockets are
  std::unordered_map<const ValueSet*, StoredSet> sets_;
  GroupMap groups_;
  std::map<policy::Site, uint16_t> hook_of_;
  std::vector<uint64_t> on_hook_;  // instances, by number of the hook

  std::unordered_map<bind::WorkloadId, Slot> slot_of_;
  std::vector<uint32_t> free_slots_;
  uint32_t next_slot_ = 1;
  std::unordered_map<bind::WorkloadId, GroupMap::iterator> group_of_;

  Block root_;
  gh_root root_contents_{};
  Block string_slots_;                                 // a power of two of words
  Block digests_;                                      // by string id
  std::vector<StringId> pending_strings_;              // interned, not in the table yet
  std::vector<bool> in_table_;                         // by string id
  std::unordered_map<StringId, uint64_t> idle_since_;  // generation that last gave up the string
  uint32_t occupied_string_slots_ = 0;                 // by ids and by what deleted ones left
  std::vector<Retired> retired_;
};

}  // namespace gatehouse::compile
