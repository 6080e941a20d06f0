// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

/// How bytes of the kernel become text of events.
namespace gatehouse::event {

/// Valid UTF-8: each byte that is not part of a valid sequence becomes `\xHH`, everything else
/// stays. (A file may really be called `\xff`; the two look alike.)
[[nodiscard]] std::string ToUtf8(std::string_view bytes);

/// argv (separated by NUL, argv[0] included) as `arguments`: argv[0] left out, joined by spaces; an
/// argument with a space is put in double quotes, as in Tetragon (quotes inside are not escaped);
/// an empty one is shown as "".
[[nodiscard]] std::string JoinArguments(std::string_view argv);

/// st_mode as `ls -l` shows it: -rwxr-xr-x.
[[nodiscard]] std::string ModeString(uint16_t mode);

/// "SIGKILL", or "" for 0; a number that has no name is "SIG" and the number.
[[nodiscard]] std::string SignalName(uint32_t signal);

[[nodiscard]] std::string Base64(std::string_view bytes);

}  // namespace gatehouse::event
