// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "base/result.h"
#include "kernel/kernel.h"
#include "policy/parse.h"

namespace gatehouse::daemon {

/// Settles what a document leaves to the kernel: a hook that may be missing and is, is taken out;
/// one on a generated list becomes one for each name that can be attached to, one on a static probe
/// one for each of its places, whose file says the types of its arguments where the policy does
/// not; one on a file of another digest is taken out, if the policy says so; of a value with
/// `resolve`, how the path is followed here; of one of type auto, its type. Returns warnings of
/// what is left out, and what is wrong with the values, with their places: then the document is
/// refused. Errors (kUnsupported): a list of which nothing is left, a static probe that is not
/// there, a file of another digest; (kInvalid): more hooks than a policy may have.
[[nodiscard]] Result<std::vector<policy::Diagnostic>> Complete(policy::Document& document,
                                                               const kernel::Kernel& kernel);

}  // namespace gatehouse::daemon
