// SPDX-License-Identifier: Apache-2.0
// Any bytes decode or are refused, and what is decoded lies inside of them.
#include <cstdlib>
#include <functional>

#include "event/decode.h"
#include "event/text.h"

namespace {

void RequireInside(std::string_view part, const uint8_t* data, size_t size) {
  if (part.empty()) return;
  const auto* begin = reinterpret_cast<const char*>(data);
  const std::less_equal<const char*> not_after;
  if (!not_after(begin, part.data()) || !not_after(part.data() + part.size(), begin + size)) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gatehouse::event;
  const auto record = Decode(std::as_bytes(std::span(data, size)));
  if (!record) return 0;
  if (const auto* exec = std::get_if<ExecRecord>(&*record)) {
    for (const std::string_view part : {exec->binary, exec->args, exec->cwd}) {
      RequireInside(part, data, size);
      (void)ToUtf8(part);
    }
    (void)JoinArguments(exec->args);
  }
  if (const auto* policy = std::get_if<PolicyRecord>(&*record)) {
    if (policy->n_values > policy->values.size()) std::abort();
    for (const ValueRecord& value : std::span(policy->values).first(policy->n_values)) {
      RequireInside(value.text, data, size);
      (void)ToUtf8(value.text);
      (void)ModeString(value.file_mode);
    }
  }
  return 0;
}
