// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace gatehouse {

/// What class of failure an Error is; it decides the exit status of the CLI and the gRPC status
/// code.
enum class ErrorCode {
  kInvalid,      ///< the input is wrong: text, value, option
  kNotFound,     ///< the named object does not exist
  kExists,       ///< an object of that name exists already
  kUnsupported,  ///< this kernel, backend or version cannot do it
  kRefused,      ///< possible, but not allowed by the configuration
  kSystem,       ///< the operating system failed
};

/// A failure as a value: which object, why, and what the reader can do about it.
struct Error {
  ErrorCode code = ErrorCode::kSystem;
  std::string object;  ///< e.g. `policy/web`, `lsm/bprm_creds_for_exec`
  std::string cause;   ///< one clause, no final period
  std::string remedy;  ///< one clause in the imperative; may be empty

  /// "object: cause; remedy", leaving out what is empty.
  [[nodiscard]] std::string Message() const {
    std::string message = object.empty() ? cause : object + ": " + cause;
    return remedy.empty() ? message : message + "; " + remedy;
  }
};

/// The one result type. Propagate with GH_TRY or GH_ASSIGN; handle at the place that can act on it.
template <typename T>
using Result = tl::expected<T, Error>;

/// Makes the failed side of a Result.
[[nodiscard]] inline tl::unexpected<Error> Fail(ErrorCode code, std::string object,
                                                std::string cause, std::string remedy = {}) {
  return tl::unexpected<Error>(Error{code, std::move(object), std::move(cause), std::move(remedy)});
}

/// A failed system call: `cause` is followed by the text of `error_number`. Defined in result.cc.
[[nodiscard]] tl::unexpected<Error> FailErrno(std::string object, std::string_view cause,
                                              int error_number, std::string remedy = {});

}  // namespace gatehouse

#define GH_CONCAT_INNER(a, b) a##b
#define GH_CONCAT(a, b) GH_CONCAT_INNER(a, b)

/// Returns the error of `expr` from the enclosing function, if it has one.
#define GH_TRY(expr)                                                                              \
  do {                                                                                            \
    if (auto gh_result = (expr); !gh_result) return tl::unexpected(std::move(gh_result).error()); \
  } while (false)

/// `GH_ASSIGN(auto x, F())`: declares x from the value of F(), or returns its error.
// NOLINTBEGIN(bugprone-macro-parentheses): `decl` is a declaration
#define GH_ASSIGN(decl, expr)                                                  \
  auto GH_CONCAT(gh_result_, __LINE__) = (expr);                               \
  if (!GH_CONCAT(gh_result_, __LINE__))                                        \
    return tl::unexpected(std::move(GH_CONCAT(gh_result_, __LINE__)).error()); \
  decl = std::move(*GH_CONCAT(gh_result_, __LINE__))
// NOLINTEND(bugprone-macro-parentheses)
