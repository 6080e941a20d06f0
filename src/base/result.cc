// SPDX-License-Identifier: Apache-2.0
#include "base/result.h"

#include <system_error>

namespace gatehouse {

tl::unexpected<Error> FailErrno(std::string object, std::string_view cause, int error_number,
                                std::string remedy) {
  std::string text(cause);
  text += ": ";
  text += std::generic_category().message(error_number);
  return Fail(ErrorCode::kSystem, std::move(object), std::move(text), std::move(remedy));
}

}  // namespace gatehouse
