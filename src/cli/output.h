// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gatehouse/gatehouse.pb.h>
#include <google/protobuf/message.h>

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "base/result.h"

/// How messages look on a terminal.
namespace gatehouse::cli {

/// Prints to standard output.
void Print(const std::string& text);
/// As indented JSON with the field names of the .proto files; fields with default values are there
/// too, 64-bit numbers are strings, as in proto3's JSON.
[[nodiscard]] Result<void> PrintJson(const google::protobuf::Message& message);
/// As indented JSON: what no message of the API has.
void PrintJson(const nlohmann::ordered_json& json);

/// "namespace/name", or "name".
[[nodiscard]] std::string NameOf(const v1::PolicyRef& policy);
/// "web", or "exec-allow(web, web-extra)" for a template with its bindings.
[[nodiscard]] std::string NameOf(const v1::AppliedPolicy& policy);
/// "namespace/pod/container", or the cgroup of what is not a pod; "host".
[[nodiscard]] std::string NameOf(const v1::Workload& workload);
[[nodiscard]] std::string KindOf(v1::PolicyKind kind);
[[nodiscard]] std::string ModeOf(v1::PolicyMode mode);
/// "Post, Override EPERM, Sigkill".
[[nodiscard]] std::string ActionsOf(const google::protobuf::RepeatedPtrField<v1::Action>& actions);
/// -1 -> "EPERM"; a number without a name as a number.
[[nodiscard]] std::string ErrnoName(int error);
/// 9 -> "SIGKILL".
[[nodiscard]] std::string SignalName(int signal);
/// "file:line:column: path: cause; remedy", of a warning with "warning: " before it.
[[nodiscard]] std::string ToString(const v1::Diagnostic& diagnostic);

/// "namespace/name" or "name" as a reference.
[[nodiscard]] v1::PolicyRef PolicyRefOf(const std::string& name);

}  // namespace gatehouse::cli
