// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <grpcpp/support/status.h>

#include <string>

#include "base/result.h"

namespace gatehouse::control {

/// Status messages travel in headers, of which clients take 8 KiB, percent-encoded: this leaves
/// room.
inline constexpr size_t kMaxStatusBytes = 2048;

[[nodiscard]] grpc::StatusCode CodeOf(ErrorCode code);
/// `message` is cut at kMaxStatusBytes, at a character.
[[nodiscard]] grpc::Status ToStatus(ErrorCode code, std::string message);
[[nodiscard]] inline grpc::Status ToStatus(const Error& error) {
  return ToStatus(error.code, error.Message());
}

}  // namespace gatehouse::control
