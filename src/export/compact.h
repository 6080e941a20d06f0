// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tetragon/events.pb.h>

#include <string>

namespace gatehouse::exporting {

/// One line for a person, without newline:
///   12:00:01.123 denied  shop/web-1/app  /usr/bin/bash -> /usr/bin/curl  policy web  EPERM by
///   SIGKILL
/// Control characters are escaped. Any thread.
[[nodiscard]] std::string CompactLine(const tetragon::GetEventsResponse& event);

}  // namespace gatehouse::exporting
