// SPDX-License-Identifier: Apache-2.0
// libFuzzer target: answers of an API server, up to what is handed on.
#include <cstdint>
#include <nlohmann/json.hpp>

#include "kube/convert.h"
#include "kube/reflector.h"

namespace gatehouse::kube {
namespace {

template <typename T>
void Feed(const Resource& resource, Converter<T> convert, std::string_view list,
          std::string_view watch) {
  const Clock::time_point now{};
  Reflector reflector(
      resource, Timing{}, [] { return 0.5; },
      std::make_unique<Store<T>>(std::move(convert), [](const Changes<T>&) {}), now);
  for (const std::string_view bytes : {list, watch}) {
    static_cast<void>(reflector.Begin(now));
    reflector.Answered(200, now);
    const bool more = reflector.Receive(bytes.substr(0, bytes.size() / 2), now) &&
                      reflector.Receive(bytes.substr(bytes.size() / 2), now);
    reflector.End({200, more ? "" : "aborted"}, now);
  }
}

}  // namespace
}  // namespace gatehouse::kube

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace gatehouse;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  constexpr std::string_view kEmpty = R"({"metadata":{"resourceVersion":"1"},"items":[]})";
  for (const auto& [list, watch] : {std::pair(text, std::string_view()), std::pair(kEmpty, text)}) {
    kube::Feed<workload::PodFacts>(kube::PodsOf("n"), &kube::ConvertPod, list, watch);
    const auto convert = kube::PolicyConverter(kube::PolicyKind::kBinding, "n");
    kube::Feed<kube::PolicyObject>(kube::Policies(kube::PolicyKind::kBinding), convert, list,
                                   watch);
  }
  return 0;
}
