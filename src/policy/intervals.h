// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

/// Sets of numbers of up to 64 bits, where the largest is followed by 0.
namespace gatehouse::policy {

/// From `first` to `last`, both included.
struct Interval {
  uint64_t first = 0;
  uint64_t last = 0;
  bool operator==(const Interval&) const = default;
};

/// Numbers of `bits` bits (1 to 64), as ascending intervals that neither overlap nor touch. A
/// value; pure functions.
class Intervals {
 public:
  explicit Intervals(unsigned bits) : bits_(bits) {}
  /// All numbers.
  [[nodiscard]] static Intervals All(unsigned bits);
  /// From `first` to `last`, beyond the largest number if `last` is less.
  [[nodiscard]] static Intervals Between(unsigned bits, uint64_t first, uint64_t last);

  [[nodiscard]] Intervals And(const Intervals& other) const;
  [[nodiscard]] Intervals Or(const Intervals& other) const;
  [[nodiscard]] Intervals Not() const;
  /// The numbers that are in the set once `offset` is added to them.
  [[nodiscard]] Intervals Before(uint64_t offset) const;
  /// The numbers whose negation (two's complement) is in the set.
  [[nodiscard]] Intervals Negated() const;

  [[nodiscard]] bool empty() const { return list_.empty(); }
  [[nodiscard]] bool all() const;
  [[nodiscard]] unsigned bits() const { return bits_; }
  [[nodiscard]] const std::vector<Interval>& list() const { return list_; }
  bool operator==(const Intervals&) const = default;

 private:
  [[nodiscard]] uint64_t largest() const { return UINT64_MAX >> (64 - bits_); }
  void Add(uint64_t first, uint64_t last);
  void Normalize();

  unsigned bits_;
  std::vector<Interval> list_;
};

}  // namespace gatehouse::policy
