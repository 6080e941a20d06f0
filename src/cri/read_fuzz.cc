// SPDX-License-Identifier: Apache-2.0
// Whatever a runtime or an engine says is read or refused, and what is read is as it should be.
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "cri/engine_read.h"
#include "cri/read.h"
#include "cri/runtime.pb.h"

namespace {

void Require(bool condition) {
  if (!condition) std::abort();
}

void ReadOfRuntime(std::string_view text) {
  using namespace gatehouse::cri;
  Texts info;
  info["info"] = std::string(text);
  if (const auto read = ReadInfo(info)) {
    gatehouse::workload::ContainerFacts bare;
    bare.id = "c";
    const auto facts = Finish(std::move(bare), "/cg", read->cgroups_path);
    Require(!facts || facts->cgroup.starts_with("/cg/"));
  }
  runtime::v1::ContainerStatusResponse response;
  if (!response.ParseFromArray(text.data(), static_cast<int>(text.size()))) return;
  const auto facts = ReadContainer(response.status(), {});
  Require(!facts || IsId(facts->id));
  (void)ReadLabels(response.status().labels());
}

void ReadOfEngine(std::string_view text) {
  using namespace gatehouse::cri;
  (void)ReadVersion(text);
  if (const auto ids = ReadIds(text)) {
    for (const auto& id : *ids) Require(IsId(id));
  }
  if (const auto id = ReadEvent(text)) Require(IsId(*id));
  if (const auto read = ReadInspected("c", text)) Require(read->pid >= 0);
  const auto cgroup = ReadCgroup("c", text, "/cg");
  Require(!cgroup || cgroup->starts_with("/cg/"));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  ReadOfRuntime(text);
  ReadOfEngine(text);
  return 0;
}
