// SPDX-License-Identifier: Apache-2.0
#include "kernel/arena.h"

#include <bpf/bpf.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "abi/gatehouse.h"

namespace gatehouse::kernel {
namespace {

constexpr uint32_t kArenaEntry = 0;
constexpr uint32_t kGraceEntry = 1;

}  // namespace

Result<Fd> CreateArenaMap(const char* name, uint32_t pages) {
  bpf_map_create_opts options{};
  options.sz = sizeof(options);
  options.map_flags = BPF_F_MMAPABLE | BPF_F_INNER_MAP;
  Fd map(
      bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(uint32_t), sizeof(gh_page), pages, &options));
  if (!map.valid()) {
    return FailErrno(
        "map/" + std::string(name), "cannot create an array of " + std::to_string(pages) + " pages",
        errno, "raise the memory limit of the agent's cgroup (or RLIMIT_MEMLOCK before 5.11)");
  }
  return map;
}

Arena::~Arena() { Unmap(); }

void Arena::Unmap() {
  if (!words_.empty()) munmap(words_.data(), words_.size_bytes());
}

Result<void> Arena::Grow(uint32_t pages, std::span<const uint32_t> counters) {
  GH_ASSIGN(Fd map, CreateArenaMap("arena", pages));
  const size_t bytes = size_t{pages} * sizeof(gh_page);
  void* const memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, map.get(), 0);
  if (memory == MAP_FAILED) return FailErrno("map/arena", "cannot map it", errno);
  const std::span<uint32_t> words(static_cast<uint32_t*>(memory), size_t{pages} * GH_PAGE_WORDS);

  std::ranges::copy(words_, words.begin());
  const auto counter = [](std::span<uint32_t> in, uint32_t address) {
    return reinterpret_cast<uint64_t*>(in.data() + address);
  };
  for (const uint32_t address : counters) *counter(words, address) = 0;

  const int fd = map.get();
  if (bpf_map_update_elem(image_fd_, &kArenaEntry, &fd, BPF_ANY) != 0) {
    const int error = errno;
    munmap(memory, bytes);
    return FailErrno("map/image", "cannot replace the arena", error);
  }
  for (const uint32_t address : counters) {
    __atomic_fetch_add(counter(words, address), *counter(words_, address), __ATOMIC_RELAXED);
  }
  Unmap();
  map_ = std::move(map);
  words_ = words;
  return {};
}

GraceThread::GraceThread(int image_fd, int filler_fd)
    : image_fd_(image_fd), filler_fd_(filler_fd), thread_([this] { Run(); }) {}

GraceThread::~GraceThread() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void GraceThread::Request(uint64_t generation) {
  {
    const std::lock_guard lock(mutex_);
    requested_ = std::max(requested_, generation);
  }
  wake_.notify_one();
}

void GraceThread::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock,
               [this] { return stop_ || requested_ > done_.load(std::memory_order_relaxed); });
    if (stop_) return;
    const uint64_t generation = requested_;
    lock.unlock();
    const bool waited = bpf_map_update_elem(image_fd_, &kGraceEntry, &filler_fd_, BPF_ANY) == 0;
    lock.lock();
    /* Without a grace period nothing is freed: memory is lost rather than trust. */
    if (!waited) return;
    done_.store(generation, std::memory_order_release);
  }
}

}  // namespace gatehouse::kernel
