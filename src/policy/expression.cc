// SPDX-License-Identifier: Apache-2.0
#include "policy/expression.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "policy/catalog.h"
#include "policy/condition.h"
#include "policy/diagnostics.h"
#include "policy/format.h"
#include "policy/intervals.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kAlternativesMax = GH_RULES_PER_POLICY_MAX;
constexpr unsigned kDepthMax = 32;
constexpr unsigned kBitsOfByte = 8;

tl::unexpected<Error> Wrong(std::string cause, std::string remedy) {
  return Fail(ErrorCode::kInvalid, {}, std::move(cause), std::move(remedy));
}

tl::unexpected<Error> CannotBe(std::string_view part, std::string_view why, std::string remedy) {
  return Wrong(fmt::format("{} cannot be compiled to filters: {}", Quote(std::string(part)), why),
               std::move(remedy));
}

// ---- numbers
// -------------------------------------------------------------------------------------

/// The width and the sign of a number; those of a literal follow what it is used with.
struct NumberType {
  unsigned bits = 64;
  bool is_signed = true;
  bool operator==(const NumberType&) const = default;
};
constexpr NumberType kInt32{32, true}, kUint32{32, false}, kInt64{64, true}, kUint64{64, false};

std::string NameOf(NumberType type) {
  return fmt::format("{}int{}", type.is_signed ? "" : "u", type.bits);
}

uint64_t Mask(NumberType type) { return UINT64_MAX >> (64 - type.bits); }

/// `argument`, or its negation, and `offset`; or and(argument, mask); or without argument `offset`.
struct Number {
  std::optional<NumberType> type = {};  ///< none: a literal
  std::optional<uint32_t> argument = {};
  bool negated = false;
  uint64_t offset = 0;  ///< of a literal below 0: in 64 bits
  std::optional<uint64_t> mask = {};
  bool is_negative = false;  ///< a literal below 0
  bool is_unsigned = false;  ///< a literal with `u`
};

using Value = std::variant<Number, Condition>;
/// A value, and the part of the expression that it is.
struct Part {
  Value value;
  std::string_view text;
};

enum class Comparison { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual };

Comparison Mirrored(Comparison comparison) {
  switch (comparison) {
    case Comparison::kLess:
      return Comparison::kGreater;
    case Comparison::kLessOrEqual:
      return Comparison::kGreaterOrEqual;
    case Comparison::kGreater:
      return Comparison::kLess;
    case Comparison::kGreaterOrEqual:
      return Comparison::kLessOrEqual;
    default:
      return comparison;
  }
}

/// The numbers of `type` that compare so with `number`.
Intervals Comparing(Comparison comparison, NumberType type, uint64_t number) {
  const uint64_t largest = Mask(type);
  // Signed numbers are in the order of unsigned ones once half of all is added.
  const uint64_t shift = type.is_signed ? uint64_t{1} << (type.bits - 1) : 0;
  const uint64_t place = (number + shift) & largest;
  const auto between = [&](uint64_t first, uint64_t last) {
    return Intervals::Between(type.bits, first, last);
  };
  const auto less = [&] { return place == 0 ? Intervals(type.bits) : between(0, place - 1); };
  const auto greater = [&] {
    return place == largest ? Intervals(type.bits) : between(place + 1, largest);
  };
  const auto places = [&] {
    switch (comparison) {
      case Comparison::kEqual:
        return between(place, place);
      case Comparison::kNotEqual:
        return between(place, place).Not();
      case Comparison::kLess:
        return less();
      case Comparison::kLessOrEqual:
        return greater().Not();
      case Comparison::kGreater:
        return greater();
      case Comparison::kGreaterOrEqual:
        return less().Not();
    }
    __builtin_unreachable();
  }();
  return places.Before(shift);
}

// ---- the parser
// ----------------------------------------------------------------------------------

/// Recursive descent, by precedence: || && comparisons + - unary.
class Parser {
 public:
  Parser(std::string_view text, const Hook& hook) : text_(text), hook_(hook) {}

  Result<Condition> Run() {
    GH_ASSIGN(const Part part, ReadOr());
    SkipSpace();
    if (at_ != text_.size()) return Unexpected();
    return AsCondition(part);
  }

 private:
  void SkipSpace() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) {
      ++at_;
    }
  }
  bool Take(std::string_view token) {
    SkipSpace();
    if (!text_.substr(at_).starts_with(token)) return false;
    // `!` is not the begin of `!=`, nor `<` that of `<=`.
    const bool may_go_on = token == "!" || token == "<" || token == ">";
    if (may_go_on && text_.substr(at_ + 1).starts_with('=')) return false;
    at_ += token.size();
    return true;
  }
  [[nodiscard]] tl::unexpected<Error> Unexpected() const {
    const std::string_view rest = text_.substr(at_);
    return Wrong(rest.empty() ? "the expression ends too early"
                              : fmt::format("{} is not expected here", Quote(std::string(rest))),
                 "write comparisons of argN with numbers, joined by && and ||");
  }
  /// The part from `begin` to here.
  [[nodiscard]] std::string_view From(size_t begin) const {
    const std::string_view part = text_.substr(begin, at_ - begin);
    return part.substr(0, part.find_last_not_of(" \t\n") + 1);
  }

  Result<Condition> AsCondition(const Part& part) const {
    if (const auto* condition = std::get_if<Condition>(&part.value)) return *condition;
    return Wrong(fmt::format("{} is a number, not a condition", Quote(std::string(part.text))),
                 "compare it with something");
  }
  Result<Number> AsNumber(const Part& part) const {
    if (const auto* number = std::get_if<Number>(&part.value)) return *number;
    return Wrong(fmt::format("{} is a condition, not a number", Quote(std::string(part.text))),
                 "join conditions by && and ||");
  }

  template <typename Next, typename Join>
  Result<Part> ReadJoined(std::string_view token, Next next, Join join) {
    SkipSpace();
    const size_t begin = at_;
    GH_ASSIGN(Part left, (this->*next)());
    while (Take(token)) {
      GH_ASSIGN(const Part right, (this->*next)());
      GH_ASSIGN(const Condition a, AsCondition(left));
      GH_ASSIGN(const Condition b, AsCondition(right));
      Condition joined = join(a, b);
      if (std::max(joined.holds.size(), joined.fails.size()) > kAlternativesMax) {
        return CannotBe(From(begin), fmt::format("more than {} alternatives", kAlternativesMax),
                        "split it over several policies");
      }
      left = {std::move(joined), From(begin)};
    }
    return left;
  }
  Result<Part> ReadOr() { return ReadJoined("||", &Parser::ReadAnd, Or); }
  Result<Part> ReadAnd() { return ReadJoined("&&", &Parser::ReadComparison, And); }

  std::optional<Comparison> TakeComparison() {
    if (Take("==")) return Comparison::kEqual;
    if (Take("!=")) return Comparison::kNotEqual;
    if (Take("<=")) return Comparison::kLessOrEqual;
    if (Take(">=")) return Comparison::kGreaterOrEqual;
    if (Take("<")) return Comparison::kLess;
    if (Take(">")) return Comparison::kGreater;
    return std::nullopt;
  }

  Result<Part> ReadComparison() {
    SkipSpace();
    const size_t begin = at_;
    GH_ASSIGN(Part left, ReadSum());
    while (const auto comparison = TakeComparison()) {
      GH_ASSIGN(const Part right, ReadSum());
      GH_ASSIGN(Condition condition, Compare(*comparison, left, right, From(begin)));
      left = {std::move(condition), From(begin)};
    }
    return left;
  }

  Result<Part> ReadSum() {
    SkipSpace();
    const size_t begin = at_;
    GH_ASSIGN(Part left, ReadUnary());
    for (;;) {
      const bool minus = Take("-");
      if (!minus && !Take("+")) return left;
      GH_ASSIGN(const Part right, ReadUnary());
      GH_ASSIGN(const Number a, AsNumber(left));
      GH_ASSIGN(Number b, AsNumber(right));
      GH_ASSIGN(const Number sum, Add(a, b, minus, From(begin)));
      left = {sum, From(begin)};
    }
  }

  Result<Part> ReadUnary() {
    SkipSpace();
    const size_t begin = at_;
    if (++depth_ > kDepthMax) return Wrong("the expression is nested too deeply", "simplify it");
    GH_ASSIGN(Part part, ReadUnaryAt(begin));
    --depth_;
    return part;
  }
  Result<Part> ReadUnaryAt(size_t begin) {
    if (Take("!")) {
      GH_ASSIGN(const Part part, ReadUnary());
      GH_ASSIGN(Condition condition, AsCondition(part));
      return Part{Not(std::move(condition)), From(begin)};
    }
    if (Take("-")) {
      GH_ASSIGN(const Part part, ReadUnary());
      GH_ASSIGN(const Number number, AsNumber(part));
      GH_ASSIGN(const Number negated, Add(Number{}, number, true, From(begin)));
      return Part{negated, From(begin)};
    }
    if (Take("(")) {
      GH_ASSIGN(Part part, ReadOr());
      if (!Take(")")) return Unexpected();
      part.text = From(begin);
      return part;
    }
    return ReadPrimary(begin);
  }

  Result<Part> ReadPrimary(size_t begin) {
    const auto is_word = [](char c) {
      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
    };
    while (at_ < text_.size() && is_word(text_[at_])) ++at_;
    const std::string_view word = From(begin);
    if (word.empty()) return Unexpected();
    if (word[0] >= '0' && word[0] <= '9') {
      GH_ASSIGN(const Number number, ReadLiteral(word));
      return Part{number, word};
    }
    if (word == "true" || word == "false") return Part{Constant(word == "true"), word};
    if (Take("(")) return ReadCall(word, begin);
    GH_ASSIGN(const Number number, FindArgument(word));
    return Part{number, word};
  }

  static Result<Number> ReadLiteral(std::string_view word) {
    const bool is_unsigned = word.ends_with('u') || word.ends_with('U');
    std::string_view digits = word.substr(0, word.size() - (is_unsigned ? 1 : 0));
    const bool hexadecimal = digits.starts_with("0x") || digits.starts_with("0X");
    if (hexadecimal) digits.remove_prefix(2);
    Number number{.is_unsigned = is_unsigned};
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(),
                                              number.offset, hexadecimal ? 16 : 10);
    if (error != std::errc() || end != digits.data() + digits.size()) {
      return Wrong(fmt::format("{} is no number of 64 bits", Quote(std::string(word))),
                   "write it in decimal, or in hexadecimal with 0x");
    }
    return number;
  }

  Result<Number> FindArgument(std::string_view word) const {
    constexpr std::string_view kPrefix = "arg";
    const std::string_view digits = word.substr(std::min(word.size(), kPrefix.size()));
    uint32_t position = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), position);
    if (!word.starts_with(kPrefix) || error != std::errc() ||
        end != digits.data() + digits.size()) {
      return Wrong(fmt::format("{} is not known", Quote(std::string(word))),
                   "write argN for the N-th entry of args, from 0");
    }
    if (position >= hook_.arguments.size()) {
      return Wrong(fmt::format("{}: args of this hook has {} entries, counted from 0", word,
                               hook_.arguments.size()),
                   "declare the argument there, with its type");
    }
    const ArgumentTypeTraits traits = TraitsOf(hook_.arguments[position].type);
    if (std::ranges::find(traits.operators, Operator::kInRange) == traits.operators.end()) {
      return CannotBe(word,
                      fmt::format("it is a {}", policy::NameOf(hook_.arguments[position].type)),
                      "use the filters that are for its type");
    }
    return Number{.type = NumberType{traits.bytes * kBitsOfByte, traits.is_signed},
                  .argument = position};
  }

  Result<Part> ReadCall(std::string_view name, size_t begin) {
    std::vector<Number> operands;
    do {
      GH_ASSIGN(const Part part, ReadOr());
      GH_ASSIGN(const Number number, AsNumber(part));
      operands.push_back(number);
    } while (Take(","));
    if (!Take(")")) return Unexpected();
    GH_ASSIGN(const Number number, Call(name, operands, From(begin)));
    return Part{number, From(begin)};
  }

  Result<Number> Call(std::string_view name, const std::vector<Number>& operands,
                      std::string_view part) const {
    const size_t expected = name == "and" || name == "or" || name == "xor" ? 2 : 1;
    const bool is_cast = name == "int32" || name == "uint32";
    if (expected == 1 && !is_cast && name != "not") {
      return Wrong(fmt::format("there is no function {}", Quote(std::string(name))),
                   "there are int32, uint32, and, or, xor, not");
    }
    if (operands.size() != expected) {
      return Wrong(fmt::format("{} takes {} operands", name, expected), "write as many");
    }
    if (is_cast) return Cast(operands[0], name == "int32" ? kInt32 : kUint32, part);
    if (name == "not") {  // -x - 1
      GH_ASSIGN(const Number negated, Add(Number{}, operands[0], true, part));
      return Add(negated, Number{.offset = 1}, true, part);
    }
    return Bitwise(name, operands[0], operands[1], part);
  }

  /// Of the same width nothing changes but the order; a literal loses what does not fit.
  static Result<Number> Cast(Number number, NumberType type, std::string_view part) {
    const bool is_constant = !number.argument;
    if (!is_constant && number.type->bits != type.bits) {
      return CannotBe(part, fmt::format("it is a {}", NameOf(*number.type)),
                      "compare the whole argument");
    }
    number.type = type;
    if (is_constant) number.offset &= Mask(type);
    number.is_negative = number.is_unsigned = false;
    return number;
  }

  static Result<Number> Bitwise(std::string_view name, Number a, Number b, std::string_view part) {
    if (!a.argument) std::swap(a, b);
    GH_TRY(Unify(a, b, part));
    if (b.argument) return CannotBe(part, "both are arguments", "use a number for one of them");
    if (!a.argument) {
      a.offset = name == "and"  ? a.offset & b.offset
                 : name == "or" ? a.offset | b.offset
                                : a.offset ^ b.offset;
      return a;
    }
    if (name != "and" || a.negated || a.offset != 0 || a.mask) {
      return CannotBe(part, "of an argument there is and(argN, NUMBER), compared with 0",
                      "write it so");
    }
    a.mask = b.offset & Mask(*a.type);
    return a;
  }

  /// Gives a literal the type of the other, or both that of 64 bits.
  static Result<void> Unify(Number& a, Number& b, std::string_view part) {
    const bool is_unsigned = a.is_unsigned || b.is_unsigned;
    const NumberType type = a.type ? *a.type : b.type ? *b.type : is_unsigned ? kUint64 : kInt64;
    GH_TRY(Become(a, type, part));
    return Become(b, type, part);
  }
  static Result<void> Become(Number& number, NumberType type, std::string_view part) {
    if (number.type && *number.type != type) {
      return Wrong(fmt::format("{}: numbers of types {} and {}", Quote(std::string(part)),
                               NameOf(type), NameOf(*number.type)),
                   "use those of one type");
    }
    if (number.type) return {};
    const uint64_t magnitude = number.is_negative ? 0 - number.offset : number.offset;
    const uint64_t half = uint64_t{1} << (type.bits - 1);
    const uint64_t most = !type.is_signed ? Mask(type) : number.is_negative ? half : half - 1;
    if (magnitude > most || (number.is_negative && !type.is_signed)) {
      return Wrong(fmt::format("{}: {}{} is no {}", Quote(std::string(part)),
                               number.is_negative ? "-" : "", magnitude, NameOf(type)),
                   "write a number that fits");
    }
    number.type = type;
    number.offset &= Mask(type);
    number.is_negative = number.is_unsigned = false;
    return {};
  }

  /// a + b, or a - b.
  static Result<Number> Add(Number a, Number b, bool minus, std::string_view part) {
    if (!a.type && !b.type) {  // literals stay literals, of 64 bits
      const bool is_unsigned = a.is_unsigned || b.is_unsigned;
      Number sum{.offset = minus ? a.offset - b.offset : a.offset + b.offset,
                 .is_unsigned = is_unsigned};
      sum.is_negative = !is_unsigned && static_cast<int64_t>(sum.offset) < 0;
      return sum;
    }
    GH_TRY(Unify(a, b, part));
    if (a.argument && b.argument) {
      return CannotBe(part, "it is about two arguments", "compare each with numbers");
    }
    if (a.mask || b.mask) return CannotBe(part, "bits are added to", "compare and(…) with 0");
    Number sum = a.argument ? a : b;
    if (!a.argument && minus) sum.negated = !sum.negated;
    sum.offset = (minus ? a.offset - b.offset : a.offset + b.offset) & Mask(*a.type);
    return sum;
  }

  Result<Condition> Compare(Comparison comparison, const Part& left, const Part& right,
                            std::string_view part) const {
    if (std::holds_alternative<Condition>(left.value) &&
        std::holds_alternative<Condition>(right.value)) {
      const auto& a = std::get<Condition>(left.value);
      const auto& b = std::get<Condition>(right.value);
      Condition same = Or(And(a, b), And(Not(a), Not(b)));
      if (comparison == Comparison::kEqual) return same;
      if (comparison == Comparison::kNotEqual) return Not(std::move(same));
    }
    GH_ASSIGN(Number a, AsNumber(left));
    GH_ASSIGN(Number b, AsNumber(right));
    GH_TRY(Unify(a, b, part));
    if (a.argument && b.argument) {
      return CannotBe(part, "it compares two arguments", "compare each with numbers");
    }
    if (b.argument) {
      std::swap(a, b);
      comparison = Mirrored(comparison);
    }
    const Intervals set = Comparing(comparison, *a.type, b.offset);
    if (!a.argument)
      return Constant(!set.And(Intervals::Between(a.type->bits, a.offset, a.offset)).empty());
    if (a.mask) return CompareBits(comparison, a, b.offset, part);
    const Intervals before = set.Before(a.offset);
    return InSet(*a.argument, a.negated ? before.Negated() : before);
  }

  static Result<Condition> CompareBits(Comparison comparison, const Number& a, uint64_t number,
                                       std::string_view part) {
    const bool one_bit = (*a.mask & (*a.mask - 1)) == 0 && number == *a.mask;
    if ((number != 0 && !one_bit) ||
        (comparison != Comparison::kEqual && comparison != Comparison::kNotEqual)) {
      return CannotBe(part, "bits are compared with something else than 0",
                      "compare and(argN, NUMBER) with 0, by == or !=");
    }
    Condition some = HasBits(*a.argument, a.type->bits, *a.mask);
    return (comparison == Comparison::kNotEqual) != (number != 0) ? some : Not(std::move(some));
  }

  std::string_view text_;
  const Hook& hook_;
  size_t at_ = 0;
  unsigned depth_ = 0;
};

}  // namespace

Result<std::vector<Alternative>> CompileExpression(std::string_view text, const Hook& hook,
                                                   Position position) {
  GH_ASSIGN(const Condition condition, Parser(text, hook).Run());
  if (condition.holds.empty()) {
    return Wrong(fmt::format("{} never holds", Quote(std::string(text))), "remove the selector");
  }
  std::vector<Alternative> alternatives;
  for (const Conjunct& conjunct : condition.holds) {
    alternatives.push_back(FiltersOf(conjunct, hook, position));
  }
  return alternatives;
}

}  // namespace gatehouse::policy
