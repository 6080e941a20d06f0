// SPDX-License-Identifier: Apache-2.0
// libFuzzer: any text. Seeds: tests/corpus/policies.
#include <cstdint>
#include <cstdlib>

#include "policy/parse.h"

namespace {

/// A failed expectation is a crash for libFuzzer to report.
void Expect(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using gatehouse::policy::Diagnostic;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto documents = gatehouse::policy::Parse(text, "fuzz.yaml");
  if (!documents) {
    Expect(!documents.error().empty());
    for (const Diagnostic& diagnostic : documents.error()) Expect(!diagnostic.cause.empty());
    return 0;
  }
  // A document's own text says the same again.
  for (const auto& document : *documents) {
    const auto again = gatehouse::policy::Parse(document.text, "fuzz.yaml");
    Expect(again.has_value() && again->size() == 1);
    Expect((*again)[0].key() == document.key());
    Expect((*again)[0].object.index() == document.object.index());
  }
  return 0;
}
