// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <spdlog/logger.h>

#include <memory>
#include <string>

#include "daemon/options.h"

namespace gatehouse::daemon {

/// The daemon's log on standard error: one line for each fact, UTC time with milliseconds. As text
/// `2026-11-23T08:54:02.123Z info  policy web: added`, or as a JSON object with time, level and
/// message. Control characters are escaped: what a client sent cannot forge a line. Thread-safe.
/// Handed to those who log; nothing is registered globally.
[[nodiscard]] std::shared_ptr<spdlog::logger> MakeLogger(LogLevel level, LogFormat format);

/// Logs each line of `text` as a line of its own, those after the first indented.
void LogLines(spdlog::logger& log, spdlog::level::level_enum level, const std::string& text);

}  // namespace gatehouse::daemon
