// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "compile/program.h"
#include "kernel/kernel.h"
#include "kernel/plan.h"
#include "policy/model.h"

/// Places in programs: functions and static probes, looked up in files.
namespace gatehouse::kernel {

/// The parameters of a system call or of a function of a program, of which the kernel's BTF says
/// nothing: whatever a policy says.
[[nodiscard]] std::vector<Parameter> ParametersInRegisters();

/// A function, before it begins or at its return, or an instruction (Site::Kind::kUprobe). Errors
/// (kUnsupported): those of elf_file.h.
[[nodiscard]] Result<Plan> OnUprobe(const policy::Site& site);
/// One place of a static probe (Site::Kind::kUsdt). Errors (kUnsupported): the same.
[[nodiscard]] Result<Plan> OnUsdt(const policy::Site& site);
/// All of its places.
[[nodiscard]] Result<std::vector<ProbePlace>> PlacesOf(const policy::Site& site);

/// Nothing, or why an argument of a static probe cannot be read as `input` says. `what`: how the
/// argument is called.
[[nodiscard]] Result<void> CheckOperand(const std::string& object, const std::string& what,
                                        const Parameter& parameter, const compile::Input& input);
/// Nothing, or why a rule with GH_ACTION_SET cannot set what it sets.
[[nodiscard]] Result<void> CheckSet(const std::string& object, const Plan& plan,
                                    const compile::Rule& rule);

/// See Kernel::HasDigest. `object`: what errors are about.
[[nodiscard]] Result<bool> HasDigest(const std::string& path, std::span<const std::string> digests,
                                     const std::string& object);

}  // namespace gatehouse::kernel
