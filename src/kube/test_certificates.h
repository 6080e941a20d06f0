// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace gatehouse::kube::testing {

/// In PEM.
struct TestCertificate {
  std::string certificate;
  std::string key;
};

/// Signs itself and others.
[[nodiscard]] TestCertificate MakeAuthority(const std::string& name);

/// For a server at `address` (`127.0.0.1`) or a client of that name, signed by `authority`; in
/// force from `days_before` days ago for `days` days.
[[nodiscard]] TestCertificate MakeCertificate(const TestCertificate& authority,
                                              const std::string& address, int days_before = 1,
                                              int days = 2);

}  // namespace gatehouse::kube::testing
