// SPDX-License-Identifier: Apache-2.0
#include "memory.h"

#include <malloc.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "statistics.h"

namespace gatehouse::bench {
namespace {

constexpr int kReadings = 7;
constexpr useconds_t kSettleUs = 300'000;  // RCU grace periods and deferred frees

/// A line `key: N kB`.
int64_t BytesAt(const char* path, const std::string& key) {
  std::ifstream file(path);
  for (std::string word; file >> word;) {
    int64_t kilobytes = 0;
    if (word == key && file >> kilobytes) return kilobytes * 1024;
  }
  return 0;
}

/// Free pages that lie on lists of single CPUs, where MemAvailable does not see them: up to some MB
/// that come and go.
int64_t OnCpuListsBytes() {
  std::ifstream file("/proc/zoneinfo");
  int64_t pages = 0;
  for (std::string word; file >> word;) {
    int64_t count = 0;
    if (word == "count:" && file >> count) pages += count;
  }
  return pages * sysconf(_SC_PAGESIZE);
}

void Write(const char* path, const char* text) { std::ofstream(path) << text << std::flush; }

}  // namespace

int64_t AvailableToKernelBytes() {
  malloc_trim(0);
  std::vector<double> readings;
  for (int i = 0; i < kReadings; ++i) {
    sync();
    Write("/proc/sys/vm/drop_caches", "3");
    usleep(kSettleUs);
    Write("/proc/sys/vm/stat_refresh", "1");  // counters that CPUs keep for themselves
    // The status file's RSS may lag behind; this one walks the page tables.
    const int64_t own =
        BytesAt("/proc/self/smaps_rollup", "Anonymous:") + BytesAt("/proc/self/status", "VmPTE:");
    const int64_t available = BytesAt("/proc/meminfo", "MemAvailable:") + OnCpuListsBytes();
    readings.push_back(static_cast<double>(available + own));
  }
  return static_cast<int64_t>(Median(readings));
}

}  // namespace gatehouse::bench
