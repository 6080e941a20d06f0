// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "base/result.h"
#include "oci/deadline.h"

namespace gatehouse::oci {

/// One unary call of gRPC (HTTP/2 without TLS) to a unix socket. `method` is
/// `/package.Service/Method`, `message` the serialised request. Returns when the server has said
/// that it is done; what it answers is not kept. Errors, within the deadline: it cannot be
/// connected to, does not speak gRPC, does not answer in time (kSystem); it refuses (kRefused, with
/// its message, of which at most 2 KiB are kept).
[[nodiscard]] Result<void> CallUnary(const std::string& socket_path, const std::string& method,
                                     const std::string& message, const Deadline& deadline);

}  // namespace gatehouse::oci
