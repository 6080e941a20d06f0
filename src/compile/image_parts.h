// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <unordered_map>
#include <vector>

#include "compile/image.h"

/// What the files that implement Image share: image.cc (memory, publication), image_stage.cc (what
/// changes is written), image_strings.cc (the table of strings).
namespace gatehouse::compile {

template <typename T>
constexpr uint32_t kWords = sizeof(T) / GH_WORD_BYTES;

/// New things are kept apart until nothing can fail any more.
struct Image::Stage {
  std::vector<Block> blocks;  // everything allocated
  std::unordered_map<bind::InstanceId, Instance> instances;
  std::unordered_map<const ValueSet*, StoredSet> sets;  // users: those of this stage
  GroupMap groups;
  std::vector<bind::WorkloadId> slots;  // of workloads that had none
  std::map<uint32_t, uint32_t> chunks;  // addresses of those that change; 0: without any group
  Block directory;                      // if there is one
  uint32_t host = 0;
  Block root;
};

template <typename T>
T* Image::At(uint32_t address) {
  return reinterpret_cast<T*>(memory_.words().data() + address);
}

}  // namespace gatehouse::compile
