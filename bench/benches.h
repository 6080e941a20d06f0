// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/result.h"
#include "measure.h"
#include "report.h"

/// The benchmarks, each a subcommand. docs/benchmarks.md says what they measure and why so.
namespace gatehouse::bench {

[[nodiscard]] Result<void> BenchMaps(const Settings& settings, Report& report);
[[nodiscard]] Result<void> BenchMemory(const Settings& settings, Report& report);
[[nodiscard]] Result<void> BenchDecision(const Settings& settings, Report& report);
[[nodiscard]] Result<void> BenchValues(const Settings& settings, Report& report);
[[nodiscard]] Result<void> BenchUpdates(const Settings& settings, Report& report);
[[nodiscard]] Result<void> BenchExec(const Settings& settings, Report& report);
[[nodiscard]] Result<void> BenchHooks(const Settings& settings, Report& report);
[[nodiscard]] Result<void> BenchEvents(const Settings& settings, Report& report);
[[nodiscard]] Result<void> BenchDaemon(const Settings& settings, Report& report);
[[nodiscard]] Result<void> BenchOci(const Settings& settings, Report& report);

}  // namespace gatehouse::bench
