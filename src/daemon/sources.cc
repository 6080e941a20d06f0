// SPDX-License-Identifier: Apache-2.0
#include "daemon/sources.h"

#include <algorithm>
#include <filesystem>
#include <utility>

#include "daemon/log.h"
#include "policy/parse.h"
#include "workload/file.h"

namespace gatehouse::daemon {
namespace {

/// A directory that changes is read when it has been quiet for so long, or has changed for so long.
constexpr std::chrono::milliseconds kQuiet{30};
constexpr std::chrono::milliseconds kLongestWait{500};

/// Lines of the log for what one file changed; the rest is a number.
constexpr size_t kLinesMax = 20;
constexpr size_t kMaxReportBytes = 8192;

std::string DirectoryOf(const std::string& file) {
  const std::string directory = std::filesystem::path(file).parent_path();
  return directory.empty() ? "." : directory;
}

}  // namespace

Sources::Sources(Agent& agent, std::shared_ptr<spdlog::logger> log, const std::string& policy_dir,
                 const std::string& workloads_file)
    : agent_(agent), log_(std::move(log)), workloads_file_(workloads_file) {
  if (!policy_dir.empty()) policy_watch_.emplace(policy_dir);
  if (!workloads_file_.empty()) workloads_watch_.emplace(DirectoryOf(workloads_file_));
}

void Sources::ReportOnce(std::string& last, const std::string& error) {
  if (!error.empty() && error != last) LogLines(*log_, spdlog::level::err, error);
  last = error;
}

void Sources::Watch(DirectoryWatch& watch, std::string& last_error) {
  const auto started = watch.Start();
  ReportOnce(last_error, started ? std::string() : started.error().Message());
}

void Sources::Start() {
  if (workloads_watch_) Watch(*workloads_watch_, workloads_watch_error_);
  if (policy_watch_) Watch(*policy_watch_, policy_watch_error_);
  Apply();
}

void Sources::Reread() {
  for (auto& [name, file] : policy_files_) file.stamp = {};
  if (workloads_stamp_) workloads_stamp_ = FileStamp{};
  Start();
}

void Sources::Retry() {
  bool again = false;
  if (workloads_watch_ && !workloads_watch_->active()) {
    Watch(*workloads_watch_, workloads_watch_error_);
    again = workloads_watch_->active();
  }
  if (policy_watch_ && !policy_watch_->active()) {
    Watch(*policy_watch_, policy_watch_error_);
    again = again || policy_watch_->active();
  }
  if (again) Apply();
}

std::vector<int> Sources::fds() const {
  std::vector<int> fds;
  if (workloads_watch_ && workloads_watch_->fd() >= 0) fds.push_back(workloads_watch_->fd());
  if (policy_watch_ && policy_watch_->fd() >= 0) fds.push_back(policy_watch_->fd());
  return fds;
}

void Sources::Drain(Clock::time_point now) {
  bool changed = false;
  if (workloads_watch_ && workloads_watch_->fd() >= 0) changed = workloads_watch_->Drain();
  if (policy_watch_ && policy_watch_->fd() >= 0) changed = policy_watch_->Drain() || changed;
  if (!changed) return;
  if (!first_change_) first_change_ = now;
  due_ = std::min(now + kQuiet, *first_change_ + kLongestWait);
}

void Sources::Apply() {
  first_change_.reset();
  due_.reset();
  // Workloads first, so that policies are in force on them as soon as they are read.
  if (workloads_watch_) ApplyWorkloads();
  if (policy_watch_) ApplyPolicies();
}

void Sources::ApplyWorkloads() {
  if (workloads_watch_->BeingWritten(std::filesystem::path(workloads_file_).filename())) return;
  auto read = ReadFile(workloads_file_, policy::ParseLimits{}.text_bytes);
  if (!read && read.error().code != ErrorCode::kNotFound) {
    ReportOnce(workloads_error_, read.error().Message());
    return;
  }
  const std::optional<FileStamp> stamp =
      read ? std::optional(read->second) : std::optional<FileStamp>();
  if (stamp == workloads_stamp_ && workloads_error_.empty()) return;
  const bool same = stamp == workloads_stamp_;
  workloads_stamp_ = stamp;

  std::vector<workload::Workload> workloads;
  if (read) {
    auto parsed = workload::ParseFile(read->first, workloads_file_, agent_.options().cgroup_root);
    if (!parsed) {
      ReportOnce(workloads_error_, "workloads file refused, what it said before stays in force:\n" +
                                       JoinDiagnostics(parsed.error(), kMaxReportBytes));
      return;
    }
    workloads = std::move(*parsed);
  }
  const size_t count = workloads.size();
  if (auto synced = agent_.SyncWorkloads(std::move(workloads)); !synced) {
    ReportOnce(workloads_error_, "workloads file refused, what it said before stays in force:\n" +
                                     workloads_file_ + ": " + synced.error().Message());
    return;
  }
  const bool recovered = !workloads_error_.empty();
  workloads_error_.clear();
  if (!same || recovered) log_->info("workloads {}: {} registered", workloads_file_, count);
}

std::string Sources::PathOf(const std::string& name) const {
  return std::filesystem::path(policy_watch_->directory()) / name;
}

void Sources::ApplyPolicies() {
  const auto files = ListPolicyFiles(policy_watch_->directory());
  ReportOnce(listing_error_, files ? std::string() : files.error().Message());
  if (!files) return;

  std::vector<FileChange> changes;
  std::vector<std::string> names;
  const auto change = [&](const std::string& name, std::optional<std::string> text) {
    changes.push_back({PathOf(name), std::move(text)});
    names.push_back(name);
  };
  for (const auto& [name, file] : policy_files_) {
    if (!files->contains(name)) change(name, std::nullopt);
  }
  for (const auto& [name, stamp] : *files) {
    const auto known = policy_files_.find(name);
    // A file that was refused is tried again: what stood in its way may have gone.
    const bool same =
        known != policy_files_.end() && known->second.stamp == stamp && known->second.error.empty();
    if (same || policy_watch_->BeingWritten(name)) continue;
    auto read = ReadFile(PathOf(name), policy::ParseLimits{}.text_bytes);
    if (!read) {
      ReportOnce(policy_files_[name].error, read.error().Message());
      continue;
    }
    policy_files_[name].stamp = read->second;
    change(name, std::move(read->first));
  }
  if (changes.empty()) return;

  const std::vector<ApplyResult> results = agent_.SyncFiles(changes);
  for (size_t i = 0; i < results.size(); ++i) {
    const bool deleted = !changes[i].text;
    Report(names[i], results[i]);
    if (deleted && results[i].applied) policy_files_.erase(names[i]);
  }
}

void Sources::Report(const std::string& name, const ApplyResult& result) {
  const std::string path = PathOf(name);
  PolicyFile& file = policy_files_[name];
  if (!result.applied) {
    ReportOnce(file.error, "policy file refused, what it said before stays in force:\n" +
                               result.Message(kMaxReportBytes));
    return;
  }
  file.error.clear();
  if (const std::string warnings = result.Message(kMaxReportBytes); !warnings.empty()) {
    log_->warn("policy file taken with warnings:\n{}", warnings);
  }
  size_t lines = 0;
  size_t more = 0;
  const auto line = [&](const policy::Key& key, const char* what) {
    if (lines++ < kLinesMax) {
      log_->info("policy {}: {} from {}", key.ToString(), what, path);
    } else {
      ++more;
    }
  };
  for (const DocumentResult& document : result.documents) {
    if (document.outcome == Outcome::kAdded) line(document.key, "added");
    if (document.outcome == Outcome::kReplaced) line(document.key, "replaced");
  }
  for (const policy::Key& key : result.removed) line(key, "deleted with its text");
  if (more > 0) log_->info("policy file {}: {} more policies changed", path, more);
}

}  // namespace gatehouse::daemon
