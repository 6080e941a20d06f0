// SPDX-License-Identifier: Apache-2.0
// Which places the running kernel has, by its BTF.
#include "kernel/sites.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "policy/sites.h"

namespace gatehouse::kernel {
namespace {

using Kind = policy::Site::Kind;

TEST(Sites, KnowsWhatTheKernelHas) {
  if (access("/sys/kernel/btf/vmlinux", R_OK) != 0) GTEST_SKIP() << "this kernel has no BTF";
  const Sites sites(Backend::kFmodRet, true, true, {});
  for (const policy::Site& site :
       {policy::Site{Kind::kFunction, "security_file_open"},
        policy::Site{Kind::kFunction, "security_file_open", true},
        policy::Site{Kind::kLsm, "file_open"}, policy::Site{Kind::kSystemCall, "openat"},
        policy::Site{Kind::kSystemCall, "getpid", true}, policy::kCredsForExec}) {
    EXPECT_TRUE(sites.Has(site)) << site.name;
  }
  for (const Kind kind : {Kind::kFunction, Kind::kLsm, Kind::kSystemCall}) {
    EXPECT_FALSE(sites.Has({kind, "no_such_place"}));
    EXPECT_FALSE(sites.Has({kind, "security_no_such_place", true}));
  }
}

}  // namespace
}  // namespace gatehouse::kernel
