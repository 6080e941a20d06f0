// SPDX-License-Identifier: Apache-2.0
#include "workers.h"

#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

#include "kernel/testing/workload.h"

namespace gatehouse::test {
namespace {

size_t MemoryBytes(size_t tallies) { return tallies * sizeof(Tally) + sizeof(std::atomic<bool>); }

/// Runs a program and writes down what became of it.
void RunOnce(const std::string& program, Tally& tally) {
  std::array<char*, 2> argv{const_cast<char*>(program.c_str()), nullptr};
  char* environment = nullptr;
  pid_t child = 0;
  const int error =
      posix_spawn(&child, program.c_str(), nullptr, nullptr, argv.data(), &environment);
  if (error != 0) {
    ++(error > 0 && error < static_cast<int>(Tally::kErrnos)
           ? tally.denied[static_cast<size_t>(error)]
           : tally.other);
    return;
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child) {
    ++tally.other;
  } else if (WIFSIGNALED(status)) {
    ++tally.killed.at(static_cast<size_t>(WTERMSIG(status)));
  } else {
    ++(status == 0 ? tally.allowed : tally.other);
  }
}

}  // namespace

uint64_t Tally::Refused() const {
  uint64_t sum = 0;
  for (const auto& count : denied) sum += count;
  for (const auto& count : killed) sum += count;
  return sum;
}

Workers::Workers(std::vector<WorkerPlan> plans, std::optional<int> cpu, uint64_t rounds)
    : plans_(std::move(plans)) {
  size_t tallies = 0;
  for (const WorkerPlan& plan : plans_) {
    first_tally_.push_back(tallies);
    tallies += plan.programs.size();
  }
  void* memory = mmap(nullptr, MemoryBytes(tallies), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("no memory to share with workers");
  tallies_ = {static_cast<Tally*>(memory), tallies};  // zeroed, which is how every counter begins
  stopping_ = reinterpret_cast<std::atomic<bool>*>(tallies_.data() + tallies);
  for (size_t plan = 0; plan < plans_.size(); ++plan) {
    for (size_t process = 0; process < plans_[plan].processes; ++process) {
      const pid_t child = kernel::testing::ForkInto(plans_[plan].cgroup);
      if (child != 0) {
        children_.push_back(child);
        continue;
      }
      prctl(PR_SET_PDEATHSIG, SIGKILL);
      if (cpu) {
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET(*cpu, &one);
        sched_setaffinity(0, sizeof(one), &one);
      }
      Work(plans_[plan], first_tally_[plan], rounds);
      _exit(0);
    }
  }
}

Workers::~Workers() {
  Stop();
  munmap(tallies_.data(), MemoryBytes(tallies_.size()));
}

void Workers::Work(const WorkerPlan& plan, size_t first_tally, uint64_t rounds) const {
  for (uint64_t round = 0; !*stopping_ && (rounds == 0 || round < rounds); ++round) {
    for (size_t i = 0; i < plan.programs.size(); ++i)
      RunOnce(plan.programs[i], tallies_[first_tally + i]);
  }
}

void Workers::Stop() {
  *stopping_ = true;
  Wait();
}

void Workers::Wait() {
  for (const pid_t child : children_) waitpid(child, nullptr, 0);
  children_.clear();
}

uint64_t Workers::Runs() const {
  uint64_t runs = 0;
  for (const Tally& tally : tallies_) runs += tally.Runs();
  return runs;
}

const Tally& Workers::tally(size_t plan, size_t program) const {
  return tallies_[first_tally_.at(plan) + program];
}

}  // namespace gatehouse::test
