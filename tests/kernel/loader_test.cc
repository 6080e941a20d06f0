// SPDX-License-Identifier: Apache-2.0
// What processes map to execute.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <map>

#include "fixture.h"
#include "kernel/elf_file.h"

namespace gatehouse::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kPolicy =
    "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
    "  podSelector: {}\n  loader: true\n";
/// A program of Debian's, with a build id, and a library that it maps.
constexpr const char* kProgram = "/bin/true";
constexpr const char* kLibrary = "/lib/x86_64-linux-gnu/libc.so.6";

std::string BytesOf(const std::string& hexadecimal) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hexadecimal.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(hexadecimal.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

class Loader : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
  }
  /// Kernels before 5.12 and backend signal have to refuse it; then false.
  [[nodiscard]] static bool IsApplied() {
    const Result<void> applied = gatehouse().Apply(kPolicy);
    if (applied) return true;
    EXPECT_THAT(applied.error().Message(),
                ::testing::AnyOf(HasSubstr("hook/loader: the kernel does not tell what is mapped"),
                                 HasSubstr("hook/loader: backend signal serves")));
    return false;
  }
  [[nodiscard]] static Attempt Run(const Cgroup& cgroup) {
    return cgroup.Try([]() -> int { return execl(kProgram, kProgram, nullptr); });
  }
  static std::vector<tetragon::ProcessLoader> Told() {
    return TakeTold(&tetragon::GetEventsResponse::process_loader);
  }

  const Cgroup cgroup_{"app"};
  const Cgroup other_{"other"};
};

TEST_F(Loader, TellsEachFileOnceForEachProcess) {
  if (!IsApplied()) return;
  ExpectCounter("events_limited");  // what a process maps in several parts
  EXPECT_EQ(Run(other_).outcome, Allowed());
  EXPECT_THAT(Told(), IsEmpty());
  for (int run = 0; run < 2; ++run) {
    const Attempt attempt = Run(cgroup_);
    EXPECT_EQ(attempt.outcome, Allowed());
    std::map<std::string, std::string> build_ids;
    for (const tetragon::ProcessLoader& event : Told()) {
      EXPECT_EQ(event.process().pid().value(), static_cast<uint32_t>(attempt.pid));
      EXPECT_TRUE(event.has_parent());
      EXPECT_TRUE(build_ids.emplace(event.path(), event.buildid()).second) << event.path();
    }
    for (const char* file : {kProgram, kLibrary}) {
      const std::string path = std::filesystem::canonical(file);
      EXPECT_EQ(build_ids[path], BytesOf(Must(kernel::BuildIdOf(path, "test")))) << path;
    }
  }
  Must(gatehouse().Remove("p"));
  EXPECT_EQ(Run(cgroup_).outcome, Allowed());
  EXPECT_THAT(Told(), IsEmpty());
}

}  // namespace
}  // namespace gatehouse::test
