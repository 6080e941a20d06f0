// SPDX-License-Identifier: Apache-2.0
#include "export/json_object.h"

#include <google/protobuf/util/json_util.h>
#include <google/protobuf/wrappers.pb.h>

#include <algorithm>
#include <array>
#include <chrono>

namespace gatehouse::exporting {

namespace {

// By byte: printable ASCII that protobuf's printer does not escape.
constexpr auto kPlain = [] {
  std::array<bool, 256> plain{};
  for (unsigned char c = ' '; c <= '~'; ++c) {
    plain[c] = c != '"' && c != '\\' && c != '<' && c != '>';
  }
  return plain;
}();

bool IsPlain(char c) { return kPlain[static_cast<unsigned char>(c)]; }

}  // namespace

std::string JsonByReflection(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  // Fails only for types that the resolver does not know; ours are linked in.
  (void)google::protobuf::util::MessageToJsonString(message, &text, options);
  return text;
}

void AppendJsonString(std::string_view value, std::string* out) {
  if (std::ranges::all_of(value, IsPlain)) {
    out->append("\"").append(value).append("\"");
    return;
  }
  const bool simple =
      std::ranges::all_of(value, [](char c) { return IsPlain(c) || c == '"' || c == '\\'; });
  if (!simple) {  // control characters and beyond ASCII: rare enough to leave the rules to protobuf
    google::protobuf::StringValue wrapped;
    wrapped.set_value(std::string(value));
    out->append(JsonByReflection(wrapped));
    return;
  }
  out->push_back('"');
  for (const char c : value) {
    if (!IsPlain(c)) out->push_back('\\');
    out->push_back(c);
  }
  out->push_back('"');
}

void AppendJsonTime(const google::protobuf::Timestamp& time, std::string* out) {
  namespace chrono = std::chrono;
  constexpr int kNsPerMs = 1'000'000;
  constexpr int kNsPerUs = 1'000;
  const chrono::sys_seconds seconds{chrono::seconds(time.seconds())};
  const auto day = chrono::floor<chrono::days>(seconds);
  const chrono::year_month_day date(day);
  const chrono::hh_mm_ss clock(seconds - day);
  auto to = std::back_inserter(*out);
  fmt::format_to(to, FMT_COMPILE("\"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}"),
                 static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                 static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(),
                 clock.seconds().count());
  if (time.nanos() == 0) {
    // no fraction
  } else if (time.nanos() % kNsPerMs == 0) {
    fmt::format_to(to, FMT_COMPILE(".{:03}"), time.nanos() / kNsPerMs);
  } else if (time.nanos() % kNsPerUs == 0) {
    fmt::format_to(to, FMT_COMPILE(".{:06}"), time.nanos() / kNsPerUs);
  } else {
    fmt::format_to(to, FMT_COMPILE(".{:09}"), time.nanos());
  }
  out->append("Z\"");
}

}  // namespace gatehouse::exporting
