// SPDX-License-Identifier: Apache-2.0
// podman 4.3, with the hook in a directory of hooks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "host.h"

namespace gatehouse::oci::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

TEST(PodmanTest, AContainerIsGuardedByItsName) {
  Host host;
  host.MakeRoot(host.Path("root"));
  fs::create_directories(host.Path("usr/share/containers/oci/hooks.d"));
  const std::string hooks = host.Path("usr/share/containers/oci/hooks.d");
  fs::create_directories(host.Path("usr/libexec/gatehouse"));
  const Answer installed =
      host.Gatehouse({"hook", "install", "podman", "--root", host.Path(""), "--copy-from",
                      Program("gatehouse-oci-hook"), "--program", "/hook"});
  ASSERT_EQ(installed.status, 0) << installed.err;
  // podman is on this host and not in that directory.
  std::string file = ReadText(hooks + "/90-gatehouse.json");
  const std::string path = "\"path\": \"/hook\"";
  ASSERT_THAT(file, HasSubstr(path));
  file.replace(file.find(path), path.size(), "\"path\": \"" + host.Path("hook") + "\"");
  WriteText(hooks + "/90-gatehouse.json", file);

  host.StartDaemon();
  host.AllowOnly("web-1");
  const auto run = [&](const std::string& name, const std::string& program) {
    return host.Run({"podman",
                     "--root",
                     host.Path("storage"),
                     "--runroot",
                     host.Path("runroot"),
                     "--tmpdir",
                     host.Path("tmp"),
                     "--storage-driver",
                     "vfs",
                     "--cgroup-manager",
                     "cgroupfs",
                     "--events-backend",
                     "none",
                     "--runtime",
                     "runc",
                     "--hooks-dir",
                     hooks,
                     "run",
                     "--rm",
                     "--name",
                     name,
                     "--network",
                     "host",
                     "--cgroup-parent",
                     host.cgroup(),
                     "--ulimit",
                     "nofile=1024:1024",
                     "--ulimit",
                     "nproc=1000:1000",
                     "--rootfs",
                     host.Path("root"),
                     program});
  };
  const Answer allowed = run("web-1", "/bin/allowed");
  EXPECT_EQ(allowed.status, 0) << allowed.err;
  EXPECT_EQ(allowed.out, "x");
  const Answer other = run("other", "/bin/forbidden");
  EXPECT_EQ(other.out, "x") << "the policy is about another container " << other.err;
  const Answer forbidden = run("web-1", "/bin/forbidden");
  EXPECT_EQ(forbidden.status, 128 + SIGKILL) << forbidden.err;
  EXPECT_EQ(forbidden.out, "");
  EXPECT_THAT(ReadText(host.Path("daemon.err")),
              HasSubstr("created by the runtime hook, 1 policies"));
}

}  // namespace
}  // namespace gatehouse::oci::testing
