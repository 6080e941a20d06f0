// SPDX-License-Identifier: Apache-2.0
// imaHash: events tell the hash that the kernel makes of the file, whether the operation is denied
// or not, and the answer to an operation that waits for it is the policies'.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sodium.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>

#include "fixture.h"
#include "kernel/preemption.h"

namespace gatehouse::test {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr const char* kDeny = "{action: Override, argError: -1}, {action: Post, imaHash: true}";
constexpr const char* kTell = "{action: Post, imaHash: true}";

std::string Policy(const std::string& hook, const std::string& type, const std::string& path,
                   const std::string& actions, const std::string& name = "p") {
  return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: " + name +
         "}\nspec:\n  podSelector: {}\n  lsmhooks:\n  - hook: " + hook +
         "\n    args: [{index: 0, type: " + type +
         "}]\n    selectors:\n    - matchArgs: [{index: 0, operator: Equal, values: [\"" + path +
         "\"]}]\n      matchActions: [" + actions + "]\n";
}

std::string OnLock(const std::string& path, const std::string& actions) {
  return Policy("file_lock", "file", path, actions);
}

/// Locks a file; the errno, or 0.
int Lock(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return EPROTO;
  const int result = flock(file, LOCK_SH) == 0 ? 0 : errno;
  close(file);
  return result;
}

/// As events tell it: Debian's kernels hash by SHA-256 unless they are told otherwise.
std::string HashOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  std::array<unsigned char, crypto_hash_sha256_BYTES> hash{};
  crypto_hash_sha256(hash.data(), reinterpret_cast<const unsigned char*>(bytes.data()),
                     bytes.size());
  std::array<char, 2 * crypto_hash_sha256_BYTES + 1> text{};
  return std::string("sha256:") +
         sodium_bin2hex(text.data(), text.size(), hash.data(), hash.size());
}

/// BPF LSM, on a kernel that runs programs that sleep whoever else sleeps in them.
bool ArePossible(kernel::Backend backend) {
  utsname system{};
  uname(&system);
  return backend == kernel::Backend::kLsm && kernel::VersionOf(system.release) >= std::pair{6, 2};
}

std::vector<kernel::Backend> Possible() {
  std::vector<kernel::Backend> backends = DenyingBackends();
  std::erase_if(backends, [](kernel::Backend backend) { return !ArePossible(backend); });
  return backends;
}

class Hashes : public DenyingTest {
 protected:
  void SetUp() override {
    DenyingTest::SetUp();
    (void)Workload(cgroup_.path());
    std::ofstream(file_) << "some text";
    std::ofstream(other_) << "another one";
  }
  [[nodiscard]] Outcome Run(const std::string& path) const {
    return cgroup_.Run([&]() -> int {
      const int error = Lock(path);
      if (error == 0) _exit(0);
      return error;
    });
  }
  static std::vector<tetragon::ProcessLsm> Told() {
    return TakeTold(&tetragon::GetEventsResponse::process_lsm);
  }

  const Cgroup cgroup_{"app"};
  const std::string file_ = programs_.path() + "/file", other_ = programs_.path() + "/other";
};

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Hashes);
INSTANTIATE_TEST_SUITE_P(With, Hashes, ::testing::ValuesIn(Possible()), BackendOf);

TEST_P(Hashes, AreToldOfWhatIsDenied) {
  Must(gatehouse().Apply(OnLock(file_, kDeny)));
  EXPECT_EQ(Run(file_), Denied(EPERM));
  EXPECT_EQ(Run(other_), Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].ima_hash(), HashOf(file_));
  EXPECT_EQ(told[0].action(), tetragon::KPROBE_ACTION_OVERRIDE);
  EXPECT_EQ(told[0].args(0).file_arg().path(), file_);
  EXPECT_THAT(told[0].tags(), IsEmpty());
}

TEST_P(Hashes, AreToldOfWhatIsAllowedToThoseWhoAsk) {
  // A hook whose program is the plainest, and then replaced.
  Must(gatehouse().Apply(Policy("file_lock", "file", file_, "{action: Post}", "q")));
  EXPECT_EQ(Run(file_), Allowed());
  Must(gatehouse().Apply(OnLock(file_, kTell)));
  EXPECT_EQ(Run(file_), Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 3U);
  for (const auto& event : told) {
    EXPECT_EQ(event.ima_hash(), event.policy_name() == "p" ? HashOf(file_) : "");
  }
}

TEST_P(Hashes, AreToldOfPrograms) {
  const std::string program = kernel::testing::ActorPath();
  Must(gatehouse().Apply(Policy("bprm_check_security", "linux_binprm", program, kTell)));
  EXPECT_EQ(cgroup_.Run(program), Allowed());
  Must(gatehouse().Apply(Policy("bprm_check_security", "linux_binprm", program, kDeny, "q")));
  EXPECT_EQ(cgroup_.Run(program), Denied(EPERM));
  const auto told = Told();
  ASSERT_EQ(told.size(), 3U);
  for (const auto& event : told) EXPECT_EQ(event.ima_hash(), HashOf(program));
}

TEST_P(Hashes, NeverChangeAnAnswer) {
  // A file that takes a while, so that others come while its hash is made; more at once than CPUs.
  std::ofstream(file_) << std::string(256 << 10, 'x');
  Must(gatehouse().Apply(OnLock(file_, kDeny)));
  constexpr int kProcesses = 4, kRounds = 5;
  std::vector<pid_t> pids;
  for (int i = 0; i < kProcesses; ++i) {
    pids.push_back(kernel::testing::ForkInto(cgroup_.path()));
    if (pids.back() != 0) continue;
    int wrong = 0;
    for (int round = 0; round < kRounds; ++round) {
      if (Lock(file_) != EPERM) ++wrong;
      if (Lock(other_) != 0) ++wrong;
    }
    _exit(wrong);
  }
  for (const pid_t pid : pids) {
    int status = -1;
    waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  const auto told = Told();
  EXPECT_EQ(told.size(), size_t{kProcesses} * kRounds);
  for (const auto& event : told) EXPECT_EQ(event.ima_hash(), HashOf(file_));
}

TEST_P(Hashes, AreRefusedOnOtherHooks) {
  const auto refusal = [](const std::string& hook) {
    return Refusal(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
        "  podSelector: {}\n  lsmhooks:\n  - hook: " +
        hook + "\n    selectors: [{matchActions: [" + kTell + "]}]\n");
  };
  EXPECT_THAT(refusal("inode_mkdir"), HasSubstr("first argument of the hook"));
  EXPECT_THAT(refusal("file_open"), HasSubstr("not open yet"));
  EXPECT_THAT(refusal("file_permission"), HasSubstr("lets no program sleep"));
}

class HashesElsewhere : public KernelTest {};

TEST_F(HashesElsewhere, AreRefused) {
  const Cgroup cgroup("app");
  (void)Workload(cgroup.path());
  if (ArePossible(gatehouse().kernel().backend())) return;
  EXPECT_THAT(Refusal(Policy("bprm_check_security", "linux_binprm", "/bin/true", kTell)),
              HasSubstr("imaHash is not possible"));
}

}  // namespace
}  // namespace gatehouse::test
