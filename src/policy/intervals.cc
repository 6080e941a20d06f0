// SPDX-License-Identifier: Apache-2.0
#include "policy/intervals.h"

#include <algorithm>

namespace gatehouse::policy {

Intervals Intervals::All(unsigned bits) { return Between(bits, 0, UINT64_MAX >> (64 - bits)); }

Intervals Intervals::Between(unsigned bits, uint64_t first, uint64_t last) {
  Intervals intervals(bits);
  intervals.Add(first, last);
  intervals.Normalize();
  return intervals;
}

void Intervals::Add(uint64_t first, uint64_t last) {
  first &= largest();
  last &= largest();
  if (first <= last) {
    list_.push_back({first, last});
  } else {
    list_.push_back({0, last});
    list_.push_back({first, largest()});
  }
}

void Intervals::Normalize() {
  std::ranges::sort(list_, {}, &Interval::first);
  std::vector<Interval> joined;
  for (const Interval& interval : list_) {
    const bool touches = !joined.empty() && (joined.back().last == largest() ||
                                             interval.first <= joined.back().last + 1);
    if (touches) {
      joined.back().last = std::max(joined.back().last, interval.last);
    } else {
      joined.push_back(interval);
    }
  }
  list_ = std::move(joined);
}

Intervals Intervals::Or(const Intervals& other) const {
  Intervals either = *this;
  either.list_.insert(either.list_.end(), other.list_.begin(), other.list_.end());
  either.Normalize();
  return either;
}

Intervals Intervals::Not() const {
  Intervals rest(bits_);
  uint64_t next = 0;
  for (const Interval& interval : list_) {
    if (interval.first > next) rest.list_.push_back({next, interval.first - 1});
    if (interval.last == largest()) return rest;
    next = interval.last + 1;
  }
  rest.list_.push_back({next, largest()});
  return rest;
}

Intervals Intervals::And(const Intervals& other) const { return Not().Or(other.Not()).Not(); }

Intervals Intervals::Before(uint64_t offset) const {
  if (all()) return *this;
  Intervals moved(bits_);
  for (const Interval& interval : list_) moved.Add(interval.first - offset, interval.last - offset);
  moved.Normalize();
  return moved;
}

Intervals Intervals::Negated() const {
  if (all()) return *this;
  Intervals mirrored(bits_);
  for (const Interval& interval : list_) mirrored.Add(0 - interval.last, 0 - interval.first);
  mirrored.Normalize();
  return mirrored;
}

bool Intervals::all() const { return list_ == std::vector{Interval{0, largest()}}; }

}  // namespace gatehouse::policy
