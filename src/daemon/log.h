// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spdlog/logger.h>

#include <memory>

#include "daemon/options.h"

namespace gatehouse::daemon {

/// The daemon's log on standard error: one line for each fact, UTC time with milliseconds. As text
/// `2026-11-23T08:54:02.123Z info  policy web: added`, or as a JSON object with time, level and
/// message. Thread-safe. Handed to those who log; nothing is registered globally.
[[nodiscard]] std::shared_ptr<spdlog::logger> MakeLogger(LogLevel level, LogFormat format);

}  // namespace gatehouse::daemon
