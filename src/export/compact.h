// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tetragon/events.pb.h>

#include <string>

namespace gatehouse::exporting {

/// One line for a person, without newline at the end:
///   12:00:01.123 denied    - 7 /bin/cat f -> /etc/shadow, mask=4  policy web on file_permission
/// Behind the arrow stand the arguments that the policy's hook lists. Control characters are
/// escaped. With stacks, further lines tell their functions, one each:
///   kernel do_syscall_64+0x5b
///   user   write (/usr/lib/libc.so.6+0xf8210)
/// Any thread.
[[nodiscard]] std::string CompactLine(const tetragon::GetEventsResponse& event);

}  // namespace gatehouse::exporting
