// SPDX-License-Identifier: Apache-2.0
#include "daemon/hook_failures.h"

#include <utility>

#include "oci/failure_record.h"

namespace gatehouse::daemon {
namespace {

constexpr size_t kLinesMax = 20;

std::string LineOf(const oci::Failure& failure) {
  std::string line = "container " + failure.container;
  if (!failure.ns.empty() || !failure.pod.empty()) line += " of " + failure.ns + "/" + failure.pod;
  line += failure.allowed ? ": was started without its policies" : ": was not started";
  return line + " (runtime hook, " + failure.time + "): " + failure.reason;
}

}  // namespace

std::vector<std::string> HookFailures::Collect() {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> lines;
  const auto taken = oci::TakeFailures(directory_);
  if (!taken) {
    const std::string error = taken.error().Message();
    if (error != last_error_) lines.push_back("records of the runtime hook: " + error);
    last_error_ = error;
    return lines;
  }
  last_error_.clear();
  for (const oci::Failure& failure : taken->read) {
    ++(failure.allowed ? counts_.allowed : counts_.denied);
    if (lines.size() < kLinesMax) lines.push_back(LineOf(failure));
  }
  if (taken->read.size() > lines.size()) {
    lines.push_back(std::to_string(taken->read.size() - lines.size()) +
                    " more containers that the runtime hook could not tell of");
  }
  counts_.unreadable += taken->unreadable;
  if (taken->unreadable > 0) {
    lines.push_back(std::to_string(taken->unreadable) +
                    " records of the runtime hook cannot be read");
  }
  return lines;
}

HookFailureCounts HookFailures::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace gatehouse::daemon
