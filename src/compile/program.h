// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "abi/gatehouse.h"
#include "compile/strings.h"

namespace gatehouse::compile {

/// One comparison, ready for the kernel.
struct Filter {
  gh_subject subject = GH_SUBJECT_OBJECT;
  gh_match match = GH_MATCH_EXACT;
  bool negated = false;
  ValueSetPtr set;
};

/// One selector: if all filters hold, its actions are the policy's verdict on the operation.
struct Rule {
  std::vector<Filter> filters;
  uint16_t index = 0;    ///< position of the selector on its hook, as written
  uint16_t actions = 0;  ///< gh_action bits; 0: matched and nothing to do (NoPost alone)
  int16_t error = 0;     ///< negative errno, with GH_ACTION_OVERRIDE
  uint8_t signal = 0;    ///< with GH_ACTION_SIGNAL
};

/// What a policy does on one hook; the first rule that matches acts.
struct HookProgram {
  gh_hook hook = GH_HOOK_BPRM_CREDS_FOR_EXEC;
  uint8_t hook_index = 0;  ///< position of the hook in the policy, as written
  std::vector<Rule> rules;
};

/// A policy with all its values, independent of workloads. Immutable, shared.
struct Program {
  bool monitor = false;
  std::vector<HookProgram> hooks;
};

using ProgramPtr = std::shared_ptr<const Program>;

}  // namespace gatehouse::compile
