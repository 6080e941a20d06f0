// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kernel/plan.h"

/// The records of tracepoints, as tracefs describes them
/// (Documentation/trace/events.rst of the kernel).
namespace gatehouse::kernel {

/// The text of `events/SUBSYSTEM/EVENT/format`. Errors (`object` is what they are about): tracefs
/// is not mounted, there is no such tracepoint.
[[nodiscard]] Result<std::string> ReadTracepointFormat(const std::string& subsystem,
                                                       const std::string& event,
                                                       const std::string& object);

/// The fields of a record, in the order of the text: first the four or five that all records have.
/// What a program cannot take from one, is not readable.
[[nodiscard]] std::vector<Parameter> ParseTracepointFormat(std::string_view format);

}  // namespace gatehouse::kernel
