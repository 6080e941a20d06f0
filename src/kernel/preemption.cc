// SPDX-License-Identifier: Apache-2.0
#include "kernel/preemption.h"

#include <sys/utsname.h>

#include <compare>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <utility>

namespace gatehouse::kernel {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool HasWord(const std::string& text, std::string_view wanted) {
  std::istringstream words(text);
  for (std::string word; words >> word;) {
    if (word == wanted) return true;
  }
  return false;
}

}  // namespace

PreemptionFacts ReadPreemptionFacts() {
  utsname system{};
  uname(&system);
  return {.debugfs = ReadFile("/sys/kernel/debug/sched/preempt"),
          .cmdline = ReadFile("/proc/cmdline"),
          .config = ReadFile(std::string("/boot/config-") + system.release),
          .version = system.version,
          .release = system.release};
}

bool IsFullyPreemptible(const PreemptionFacts& facts) {
  if (HasWord(facts.version, "PREEMPT_RT")) return true;
  if (!facts.debugfs.empty()) {
    return HasWord(facts.debugfs, "(full)") || HasWord(facts.debugfs, "(lazy)");
  }
  if (HasWord(facts.version, "PREEMPT_DYNAMIC")) {
    for (const char* mode : {"full", "lazy"}) {
      if (HasWord(facts.cmdline, std::string("preempt=") + mode)) return true;
    }
    for (const char* mode : {"none", "voluntary"}) {
      if (HasWord(facts.cmdline, std::string("preempt=") + mode)) return false;
    }
    return HasWord(facts.config, "CONFIG_PREEMPT=y") ||
           HasWord(facts.config, "CONFIG_PREEMPT_LAZY=y");
  }
  return HasWord(facts.version, "PREEMPT");
}

std::pair<int, int> VersionOf(const std::string& release) {
  std::pair<int, int> version{0, 0};
  // NOLINTNEXTLINE(cert-err34-c): what is no number stays 0
  (void)std::sscanf(release.c_str(), "%d.%d", &version.first, &version.second);
  return version;
}

bool SkipsWhenPreempted(Backend backend, const std::string& release) {
  const std::pair<int, int> version = VersionOf(release);
  constexpr std::pair kCountsEntries{5, 12}, kLsmMayNest{6, 2};
  if (backend == Backend::kSignal || version < kCountsEntries) return false;
  return backend == Backend::kFmodRet || version < kLsmMayNest;
}

}  // namespace gatehouse::kernel
