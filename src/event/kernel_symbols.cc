// SPDX-License-Identifier: Apache-2.0
#include "event/kernel_symbols.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <string_view>
#include <utility>

namespace gatehouse::event {
namespace {

/// No function is longer: behind the last one of a module is nothing.
constexpr uint64_t kFunctionBytesMax = 1u << 20;

/// What the kernel calls programs of BPF from at a tracepoint (include/trace/bpf_probe.h).
bool CallsPrograms(std::string_view symbol) {
  constexpr std::array<std::string_view, 3> kPrefixes = {"bpf_trace_run", "__bpf_trace_",
                                                         "__traceiter_"};
  return std::ranges::any_of(kPrefixes,
                             [&](std::string_view each) { return symbol.starts_with(each); });
}

}  // namespace

/// Lines as `ffffffff81000000 T startup_64`, with a tab and [module] behind what is of one.
void KernelSymbols::Read() {
  constexpr std::string_view kTypesOfFunctions = "tTwW";
  functions_.clear();
  names_.clear();
  first_ = UINT64_MAX;
  last_ = 0;
  std::ifstream file(path_);
  for (std::string line; std::getline(file, line);) {
    uint64_t address = 0;
    const char* const end = line.data() + line.size();
    const auto [at, error] = std::from_chars(line.data(), end, address, 16);
    const std::string_view rest(at, static_cast<size_t>(end - at));
    if (error != std::errc() || address == 0 || rest.size() < 4) continue;
    if (kTypesOfFunctions.find(rest[1]) == kTypesOfFunctions.npos) continue;
    const std::string_view name = rest.substr(3, rest.find('\t') - 3);
    functions_.push_back({address, static_cast<uint32_t>(names_.size())});
    names_.append(name).push_back('\0');
    if (rest.ends_with(']')) continue;
    first_ = std::min(first_, address);
    last_ = std::max(last_, address);
  }
  // Those of one place stay as they are written.
  std::ranges::sort(functions_, {},
                    [](const Function& each) { return std::pair(each.address, each.name); });
  functions_.shrink_to_fit();
  names_.shrink_to_fit();
}

const KernelSymbols::Function* KernelSymbols::Find(uint64_t address) const {
  // A function that never returns may end with its last call.
  const auto behind = std::ranges::lower_bound(functions_, address, {}, &Function::address);
  if (behind == functions_.begin()) return nullptr;
  // Of several names of one place, the first.
  const uint64_t begin = std::prev(behind)->address;
  if (address - begin > kFunctionBytesMax) return nullptr;
  return &*std::ranges::lower_bound(functions_, begin, {}, &Function::address);
}

bool KernelSymbols::Name(std::vector<Frame>* frames, Clock::time_point now) {
  const bool is_old = !was_read_ || now - read_at_ > kAgeMax;
  const auto comes_and_goes = [&](const Frame& frame) { return !IsBuiltIn(frame.address); };
  if (is_old && (functions_.empty() || std::ranges::any_of(*frames, comes_and_goes))) {
    Read();
    was_read_ = true;
    read_at_ = now;
  }
  for (Frame& frame : *frames) {
    const Function* const function = Find(frame.address);
    if (function == nullptr) continue;
    frame.symbol = names_.data() + function->name;
    frame.offset = frame.address - function->address;
  }
  const auto first = std::ranges::find_if_not(*frames, CallsPrograms, &Frame::symbol);
  frames->erase(frames->begin(), first);
  return !functions_.empty();
}

}  // namespace gatehouse::event
