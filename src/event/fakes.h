// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "event/enrich.h"

/// For tests of events: records as the kernel writes them, and a machine that is made up.
namespace gatehouse::event::testing {

inline constexpr uint64_t kSecondNs = 1'000'000'000;
/// 2026-01-02T03:04:05Z is the moment of boot.
inline constexpr int64_t kBootWallNs = 1'767'323'045 * static_cast<int64_t>(kSecondNs);

class FakeClock final : public Clock {
 public:
  [[nodiscard]] int64_t BootOffsetNs() const override { return offset_ns; }
  int64_t offset_ns = kBootWallNs;
};

class FakeProc final : public ProcSource {
 public:
  [[nodiscard]] std::optional<ProcProcess> Read(uint32_t pid) const override {
    const auto found = processes.find(pid);
    return found == processes.end() ? std::nullopt : std::optional(found->second);
  }
  [[nodiscard]] std::vector<uint32_t> Pids() const override {
    std::vector<uint32_t> pids;
    pids.reserve(processes.size());
    for (const auto& [pid, process] : processes) pids.push_back(pid);
    return pids;
  }
  void Add(ProcProcess process) { processes[process.pid] = std::move(process); }
  std::map<uint32_t, ProcProcess> processes;
};

class FakeWorkloads final : public WorkloadLookup {
 public:
  [[nodiscard]] std::shared_ptr<const WorkloadInfo> Find(bind::WorkloadId id) const override {
    const auto found = workloads.find(id);
    return found == workloads.end() ? nullptr : found->second;
  }
  std::map<bind::WorkloadId, std::shared_ptr<const WorkloadInfo>> workloads;
};

class FakeInstances final : public InstanceLookup {
 public:
  [[nodiscard]] std::shared_ptr<const InstanceInfo> Find(bind::InstanceId id) const override {
    const auto found = instances.find(id);
    return found == instances.end() ? nullptr : found->second;
  }
  std::map<bind::InstanceId, std::shared_ptr<const InstanceInfo>> instances;
};

class FakeSymbols final : public SymbolSource {
 public:
  [[nodiscard]] bool NameKernel(std::vector<Frame>* frames) override {
    for (Frame& frame : *frames) frame.symbol = "kernel_function";
    return knows_kernel;
  }
  [[nodiscard]] bool NameProgram(const ProgramId& program, std::vector<Frame>* frames) override {
    asked = program;
    for (Frame& frame : *frames) {
      frame.symbol = "function";
      frame.offset = frame.address & 0xfff;
      frame.module = "/lib/module.so";
    }
    return knows_program;
  }
  bool knows_kernel = true, knows_program = true;
  ProgramId asked = {};
};

/// A record as bytes: the fixed part with its header filled in, then the parts.
template <typename Layout>
std::vector<std::byte> Bytes(Layout layout, uint32_t type,
                             std::initializer_list<std::string_view> parts = {}) {
  size_t size = sizeof(Layout);
  for (const std::string_view part : parts) size += part.size();
  layout.header.type = type;
  layout.header.size = static_cast<uint32_t>(size);
  std::vector<std::byte> bytes(size);
  std::memcpy(bytes.data(), &layout, sizeof(Layout));
  size_t at = sizeof(Layout);
  for (const std::string_view part : parts) {
    if (!part.empty()) std::memcpy(bytes.data() + at, part.data(), part.size());
    at += part.size();
  }
  return bytes;
}

inline gh_event_exec ExecLayout(std::string_view binary, std::string_view args,
                                std::string_view cwd) {
  gh_event_exec layout{};
  layout.binary_len = static_cast<uint32_t>(binary.size());
  layout.args_len = static_cast<uint32_t>(args.size());
  layout.cwd_len = static_cast<uint32_t>(cwd.size());
  return layout;
}

/// The fixed part of struct gh_event_value but for its length; may be wrong.
struct ValueHeader {
  gh_u8 subject = GH_SUBJECT_ARGUMENT_0;
  gh_u8 read = GH_READ_NUMBER;
  gh_u8 unreadable = GH_READABLE;
  gh_u16 file_mode = 0;
  gh_u8 family = 0;
  gh_u32 length = 0;
};

/// A value of a policy's event as the kernel writes it.
inline std::string ValueBytes(const ValueHeader& header, std::string_view bytes) {
  gh_event_value layout{};
  layout.subject = header.subject;
  layout.read = header.read;
  layout.unreadable = header.unreadable;
  layout.file_mode = header.file_mode;
  layout.family = header.family;
  layout.length = header.length;
  layout.bytes = static_cast<gh_u16>(bytes.size());
  std::string value(sizeof(layout), '\0');
  std::memcpy(value.data(), &layout, sizeof(layout));
  return value.append(bytes);
}

/// The same of a number that could be read.
inline std::string NumberBytes(gh_u8 subject, uint64_t number) {
  std::string bytes(sizeof(number), '\0');
  std::memcpy(bytes.data(), &number, sizeof(number));
  return ValueBytes({.subject = subject}, bytes);
}

/// A record that tells these values.
inline PolicyRecord WithValues(PolicyRecord record, std::initializer_list<ValueRecord> values) {
  std::ranges::copy(values, record.values.begin());
  record.n_values = values.size();
  return record;
}

/// A process that is its own single thread.
inline ProcessRecord MakeProcess(ProcessKey key, ProcessKey parent,
                                 bind::WorkloadId workload = bind::kHostWorkload) {
  ProcessRecord record;
  record.key = key;
  record.parent = parent;
  record.tid = key.pid;
  record.uid = 1000;
  record.auid = 0xffffffff;
  record.workload = workload;
  return record;
}

}  // namespace gatehouse::event::testing
