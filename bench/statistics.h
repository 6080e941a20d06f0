// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

namespace gatehouse::bench {

/// The value below which `share` (0 to 1) of `values` lie; 0 of none.
[[nodiscard]] double Quantile(std::vector<double> values, double share);
[[nodiscard]] double Median(std::vector<double> values);

}  // namespace gatehouse::bench
