// SPDX-License-Identifier: Apache-2.0
// gatehouse: the command line client.
#include <fmt/core.h>

#include <cstdio>
#include <exception>

#include "cli/command.h"

int main(int argc, char** argv) {
  try {
    return gatehouse::cli::Run(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "gatehouse: {}\n", error.what());
    return gatehouse::cli::kFailed;
  }
}
