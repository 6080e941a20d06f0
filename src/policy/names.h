// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>

#include "policy/reader.h"

/// Texts with a form: names of objects, of variables, of labels.
namespace gatehouse::policy {

/// The name of an object: RFC 1123 subdomain, at most 253 bytes.
[[nodiscard]] std::optional<std::string> ReadObjectName(Reader& reader, YamlNode node);
/// The name of a namespace: RFC 1123 label, at most 63 bytes.
[[nodiscard]] std::optional<std::string> ReadNamespaceName(Reader& reader, YamlNode node);
/// The name of a template's variable: letters, digits, `_` and `-`, at most 63 bytes.
[[nodiscard]] std::optional<std::string> ReadVariableName(Reader& reader, YamlNode node);
/// The name of a function or an LSM hook of the kernel: at most 127 bytes.
[[nodiscard]] std::optional<std::string> ReadKernelName(Reader& reader, YamlNode node);
/// As ReadKernelName, with `x64/` or `i386/` before it if need be.
[[nodiscard]] std::optional<std::string> ReadListedName(Reader& reader, YamlNode node);
/// The key of a label as selectors name it, with a source before it if need be
/// (`k8s:io.kubernetes.pod.namespace`).
[[nodiscard]] bool IsLabelKey(std::string_view text);

/// A text of at most `bytes_max` bytes that is not empty; bytes may be NUL.
[[nodiscard]] std::optional<std::string> ReadText(Reader& reader, YamlNode node, size_t bytes_max);
[[nodiscard]] std::optional<std::string> ReadBytes(Reader& reader, YamlNode node, size_t bytes_max);

}  // namespace gatehouse::policy
