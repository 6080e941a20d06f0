// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tetragon/events.pb.h>

#include <string>

/// From events to the readers: files and subscribers.
namespace gatehouse::exporting {

/// Appends the event as one JSON line with its newline: proto3's JSON with the field names of the
/// .proto files, as Tetragon writes it. Enums are names, 64-bit numbers are strings, what has its
/// default value is left out, fields come in the order of their numbers. Any thread.
void AppendJsonLine(const tetragon::GetEventsResponse& event, std::string* out);

/// The same by protobuf's own printer: about thirty times slower, knows every message.
/// AppendJsonLine gives the same bytes, but for maps, which it orders by key; it falls back to this
/// for events that it does not know.
void AppendJsonLineByReflection(const tetragon::GetEventsResponse& event, std::string* out);

}  // namespace gatehouse::exporting
