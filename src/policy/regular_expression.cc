// SPDX-License-Identifier: Apache-2.0
#include "policy/regular_expression.h"

#include <re2/re2.h>

namespace gatehouse::policy {
namespace {

re2::StringPiece PieceOf(std::string_view text) { return {text.data(), text.size()}; }

RE2 Compile(std::string_view pattern) { return RE2(PieceOf(pattern), RE2::Quiet); }

}  // namespace

std::optional<std::string> FaultOf(std::string_view pattern) {
  const RE2 expression = Compile(pattern);
  if (expression.ok()) return std::nullopt;
  return expression.error();
}

std::vector<std::string> Matching(std::string_view pattern, std::vector<std::string> names) {
  const RE2 expression = Compile(pattern);
  std::erase_if(names, [&](const std::string& name) {
    return !RE2::PartialMatch(PieceOf(name), expression);
  });
  return names;
}

}  // namespace gatehouse::policy
