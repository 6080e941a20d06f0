// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "compile/program.h"
#include "kernel/plan.h"
#include "policy/sites.h"

/// What the kernel's types mean for the types that policies name.
namespace gatehouse::kernel {

/// As errors about a place call it.
[[nodiscard]] inline std::string ObjectOf(const policy::Site& site) {
  return "hook/" + policy::NameOf(site);
}

/// Nothing, or why `input` cannot be read from `parameter`. `what`: an argument, or what is
/// returned.
[[nodiscard]] Result<void> CheckParameter(const std::string& object, const std::string& what,
                                          const Parameter& parameter, const compile::Input& input);

/// The type of policies that fits best; nothing: there is none, or not by the type alone.
[[nodiscard]] std::optional<policy::ArgumentType> TypeOf(const Parameter& parameter);

}  // namespace gatehouse::kernel
