// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <string>

#include "cri/consumer.h"

namespace gatehouse::cri {

/// What a source has told, so that it tells only what is new. One thread.
class Roster {
 public:
  /// `consumer` must outlive the roster.
  explicit Roster(Consumer& consumer) : consumer_(consumer) {}

  /// The source asks for everything anew: until Complete, changes are kept to be told together.
  void Begin() { telling_ = false; }
  /// Everything is known; ends what Begin began. Without Begin before it does nothing.
  void Complete();

  void Put(workload::ContainerFacts facts);
  void Remove(const std::string& id);

  /// By id. Every id is well-formed.
  [[nodiscard]] const std::map<std::string, workload::ContainerFacts>& known() const {
    return known_;
  }

 private:
  Consumer& consumer_;
  bool telling_ = false;
  std::map<std::string, workload::ContainerFacts> known_;
};

}  // namespace gatehouse::cri
