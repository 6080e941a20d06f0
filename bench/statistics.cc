// SPDX-License-Identifier: Apache-2.0
#include "statistics.h"

#include <algorithm>
#include <utility>

namespace gatehouse::bench {

double Quantile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  const auto rank =
      std::min(values.size() - 1, static_cast<size_t>(share * static_cast<double>(values.size())));
  std::ranges::sort(values);
  return values[rank];
}

double Median(std::vector<double> values) { return Quantile(std::move(values), 0.5); }

}  // namespace gatehouse::bench
