// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <thread>

#include "base/fd.h"
#include "base/result.h"
#include "compile/memory.h"

namespace gatehouse::kernel {

/// The arena as a BPF array that both sides see: mapped here, inner map of the map `image` there.
/// Not thread-safe.
class Arena : public compile::Memory {
 public:
  /// `image_fd`: the array of maps, not owned.
  explicit Arena(int image_fd) : image_fd_(image_fd) {}
  ~Arena() override;
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  [[nodiscard]] std::span<uint32_t> words() override { return words_; }

  /// Puts a larger copy in the place of the array. While it is copied nobody but this thread
  /// writes, except for the counters: they begin at 0 in the copy, and what the old array has in
  /// the end is added when the update of `image` returns, because the kernel waits there for an RCU
  /// grace period (kernel commit 1ae80cf31938, maybe_wait_bpf_programs), after which no program
  /// uses it any more.
  [[nodiscard]] Result<void> Grow(uint32_t pages, std::span<const uint32_t> counters) override;

  [[nodiscard]] int map_fd() const { return map_.get(); }

 private:
  void Unmap();

  int image_fd_;
  Fd map_;
  std::span<uint32_t> words_;
};

/// Waits in a thread of its own for RCU grace periods, so that publishing need not.
///
/// No program of ours sleeps: each runs from its trampoline or tracepoint under rcu_read_lock (or
/// with preemption off, which is as good since 4.20). So one grace period after a publication,
/// every program that can have read the old root has ended. A grace period is had from the update
/// of a map of maps; entry 1 of `image` exists for that. (membarrier(2) would do, but not with
/// nohz_full or one CPU.)
class GraceThread {
 public:
  /// `filler_fd`: a map that fits into `image`; neither is owned.
  GraceThread(int image_fd, int filler_fd);
  ~GraceThread();
  GraceThread(const GraceThread&) = delete;
  GraceThread& operator=(const GraceThread&) = delete;

  /// Asks for a grace period that begins now, on behalf of everything up to `generation`.
  void Request(uint64_t generation);
  /// The largest generation whose grace period has ended.
  [[nodiscard]] uint64_t done() const { return done_.load(std::memory_order_acquire); }

 private:
  void Run();

  const int image_fd_;
  const int filler_fd_;
  std::mutex mutex_;
  std::condition_variable wake_;
  uint64_t requested_ = 0;
  bool stop_ = false;
  std::atomic<uint64_t> done_ = 0;
  std::thread thread_;
};

/// A BPF array of `pages` pages that can be the inner map of `image`.
[[nodiscard]] Result<Fd> CreateArenaMap(const char* name, uint32_t pages);

}  // namespace gatehouse::kernel
