// SPDX-License-Identifier: Apache-2.0
// libFuzzer: any bytes as the state of a container.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "oci/container.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  gatehouse::oci::Container container;
  (void)gatehouse::oci::ReadContainer({reinterpret_cast<const char*>(data), size}, container,
                                      "/nonexistent");
  (void)gatehouse::oci::RuntimeHookRequest(container);
  return 0;
}
