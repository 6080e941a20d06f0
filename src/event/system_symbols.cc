// SPDX-License-Identifier: Apache-2.0
#include "event/system_symbols.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "event/program_symbols.h"

namespace gatehouse::event {

/// What the thread and whoever asks share; the last of them deletes it.
struct SystemSymbols::State {
  NameFunction name_program;
  std::mutex mutex;
  std::condition_variable changed;
  bool has_begun = false;  // the thread
  bool stopping = false;
  bool is_asked = false;  // the next three are the thread's, until it has answered
  ProgramId program = {};
  std::vector<Frame> frames = {};
  bool is_named = false;
};

SystemSymbols::SystemSymbols()
    : SystemSymbols([symbols = std::make_shared<ProgramSymbols>()](
                        const ProgramId& program,
                        std::vector<Frame>* frames) { return symbols->Name(program, frames); },
                    std::chrono::milliseconds(250)) {}

SystemSymbols::SystemSymbols(NameFunction name_program, std::chrono::milliseconds patience)
    : patience_(patience), state_(std::make_shared<State>()) {
  state_->name_program = std::move(name_program);
}

SystemSymbols::~SystemSymbols() {
  const std::lock_guard lock(state_->mutex);
  state_->stopping = true;
  state_->changed.notify_all();
}

bool SystemSymbols::NameKernel(std::vector<Frame>* frames) { return kernel_.Name(frames); }

bool SystemSymbols::NameProgram(const ProgramId& program, std::vector<Frame>* frames) {
  std::unique_lock lock(state_->mutex);
  if (state_->is_asked) return false;  // the thread still waits for an earlier one
  if (!std::exchange(state_->has_begun, true)) {
    std::thread([state = state_] { Run(state); }).detach();
  }
  state_->program = program;
  state_->frames = *frames;
  state_->is_asked = true;
  state_->changed.notify_all();
  if (!state_->changed.wait_for(lock, patience_, [&] { return !state_->is_asked; })) return false;
  *frames = std::move(state_->frames);
  return state_->is_named;
}

void SystemSymbols::Run(const std::shared_ptr<State>& state) {
  std::unique_lock lock(state->mutex);
  for (;;) {
    state->changed.wait(lock, [&] { return state->stopping || state->is_asked; });
    if (state->stopping) return;
    lock.unlock();
    const bool is_named = state->name_program(state->program, &state->frames);
    lock.lock();
    state->is_named = is_named;
    state->is_asked = false;
    state->changed.notify_all();
  }
}

}  // namespace gatehouse::event
