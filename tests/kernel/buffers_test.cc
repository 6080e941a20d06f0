// SPDX-License-Identifier: Apache-2.0
// Arguments that are buffers: bytes, as many as another argument or what is returned says.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "fixture.h"

namespace gatehouse::test {
namespace {

using ::testing::HasSubstr;
using namespace std::string_literals;

constexpr const char* kKill = "{action: Sigkill}";
constexpr const char* kWritten = "{index: 1, type: char_buf, sizeArgIndex: 3, label: data}";
constexpr const char* kRead = "{index: 1, type: char_buf, returnCopy: true}";
constexpr size_t kMost = GH_PATH_MAX - 1;

/// A hook of a policy, in parts as they are written.
struct CallText {
  std::string call = "sys_write";
  std::string args = kWritten;
  std::string op = "Prefix";
  std::string value = "secret";
  std::string actions = kKill;
  bool returns = false;  ///< with matchReturnActions
};

std::string Policy(const CallText& text) {
  return "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n"
         "  podSelector: {}\n  kprobes:\n  - call: " +
         text.call + "\n    args: [" + text.args + "]\n" +
         (text.returns ? "    return: true\n    returnArg: {index: 0, type: long}\n" : "") +
         "    selectors: [{matchArgs: [{index: 1, operator: " + text.op + ", values: [\"" +
         text.value + "\"]}], " + (text.returns ? "matchReturnActions" : "matchActions") + ": [" +
         text.actions + "]}]\n";
}

class Buffers : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    (void)Workload(cgroup_.path());
  }
  /// What becomes of a process that writes that to /dev/null.
  [[nodiscard]] Outcome Write(const std::string& data) const {
    const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const Outcome outcome =
        cgroup_.Run([&] { return Errno(syscall(SYS_write, null, data.data(), data.size())); });
    close(null);
    return outcome;
  }
  /// ... that reads at most `most` bytes of a pipe that has `data`.
  [[nodiscard]] Outcome Read(const std::string& data, size_t most) const {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    EXPECT_EQ(write(ends[1], data.data(), data.size()), static_cast<ssize_t>(data.size()));
    const Outcome outcome = cgroup_.Run([&] {
      std::array<char, 64> room{"secret, before"};
      return Errno(syscall(SYS_read, ends[0], room.data(), most));
    });
    close(ends[0]);
    close(ends[1]);
    return outcome;
  }
  static std::vector<tetragon::ProcessKprobe> Told() {
    return TakeTold(&tetragon::GetEventsResponse::process_kprobe);
  }

  const Cgroup cgroup_{"app"};
};

TEST_F(Buffers, AreComparedUpToTheirLength) {
  Must(gatehouse().Apply(Policy({.op = "Equal"})));
  EXPECT_EQ(Write("secret"), Killed(SIGKILL));
  EXPECT_EQ(Write("secrets"), Allowed());
  EXPECT_EQ(Write("secre"), Allowed());
  EXPECT_EQ(Write(""), Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(0).bytes_arg(), "secret");
  EXPECT_EQ(told[0].args(0).label(), "data");
}

TEST_F(Buffers, AreBytesNotTexts) {
  Must(gatehouse().Apply(Policy({.op = "Postfix", .value = "\\0\\x01\\0"})));
  EXPECT_EQ(Write("a\0\1\0"s), Killed(SIGKILL));
  EXPECT_EQ(Write("a\0\1"s), Allowed());
  EXPECT_EQ(Write("a\1\0"s), Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(0).bytes_arg(), "a\0\1\0"s);
}

TEST_F(Buffers, OfLongOnesTheBeginning) {
  Must(gatehouse().Apply(Policy({})));
  const std::string most = "secret" + std::string(kMost - 6, 'x');
  EXPECT_EQ(Write(most), Killed(SIGKILL));
  EXPECT_EQ(Write(most + "y"), Killed(SIGKILL));
  EXPECT_EQ(Write("x" + most), Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].args(0).bytes_arg(), most);
  EXPECT_EQ(told[1].args(0).truncated_bytes_arg().bytes_arg(), most);
  EXPECT_EQ(told[1].args(0).truncated_bytes_arg().orig_size(), kMost + 1);
}

/// Of `size` bytes, no stretch of which is like another.
std::string Bytes(size_t size) {
  std::string bytes = "secret";
  for (size_t i = 0; bytes.size() < size; ++i) bytes += std::to_string(i) + " ";
  bytes.resize(size);
  return bytes;
}

constexpr const char* kWhole = "{index: 1, type: char_buf, sizeArgIndex: 3, maxData: true}";
constexpr size_t kMostWhole = size_t{GH_PARTS_MAX} * GH_PART_BYTES;

TEST_F(Buffers, WithMaxDataAllOfLongOnes) {
  Must(gatehouse().Apply(Policy({.args = kWhole})));
  const std::vector<size_t> sizes = {6,       kMost,      kMost + 1,      GH_PART_BYTES,
                                     100'000, kMostWhole, kMostWhole + 1, 2 * kMostWhole};
  for (const size_t size : sizes) EXPECT_EQ(Write(Bytes(size)), Killed(SIGKILL));
  const auto told = Told();
  ASSERT_EQ(told.size(), sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    const tetragon::KprobeArgument& argument = told[i].args(0);
    const bool whole = sizes[i] <= kMostWhole;
    EXPECT_EQ(argument.has_truncated_bytes_arg(), !whole);
    const std::string& bytes =
        whole ? argument.bytes_arg() : argument.truncated_bytes_arg().bytes_arg();
    EXPECT_TRUE(bytes == Bytes(std::min(sizes[i], kMostWhole))) << bytes.size();
    if (!whole) {
      EXPECT_EQ(argument.truncated_bytes_arg().orig_size(), sizes[i]);
    }
  }
}

TEST_F(Buffers, WithMaxDataAllThatCanBeRead) {
  Must(gatehouse().Apply(Policy({.args = kWhole})));
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t readable = 10 * page;
  EXPECT_EQ(cgroup_.Run([&]() -> int {
    void* const room = mmap(nullptr, 2 * readable, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (room == MAP_FAILED || munmap(static_cast<char*>(room) + readable, readable) != 0) {
      return EPROTO;
    }
    std::memcpy(room, Bytes(readable).data(), readable);
    return Errno(syscall(SYS_write, -1, room, 2 * readable));
  }),
            Killed(SIGKILL));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  const auto& cut = told[0].args(0).truncated_bytes_arg();
  EXPECT_TRUE(cut.bytes_arg() == Bytes(size_t{2} * GH_PART_BYTES)) << cut.bytes_arg().size();
  EXPECT_EQ(cut.orig_size(), 2 * readable);
  ExpectCounter("string_fault");
}

// Whoever does not ask for it is not told more by its rule.
TEST_F(Buffers, MaxDataIsOfThePolicyThatAsks) {
  const std::string one = Policy({.args = kWhole, .actions = "{action: Post}"});
  std::string other = Policy({.args = kWritten, .actions = "{action: Post}"});
  other.replace(other.find("name: p}"), 8, "name: q}");
  Must(gatehouse().Apply(one));
  Must(gatehouse().Apply(other));
  EXPECT_EQ(Write(Bytes(5'000)), Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 2U);
  for (const auto& event : told) {
    EXPECT_EQ(event.args(0).has_truncated_bytes_arg(), event.policy_name() == "q");
  }
}

TEST_F(Buffers, ALengthIsAsWideAsItsArgument) {
  Must(gatehouse().Apply(
      Policy({.args = std::string(kWritten) + ", {index: 2, type: int}", .op = "Equal"})));
  const std::string data = "secrets";  // its page is there in the child, too
  const auto write = [&](uint64_t length) {
    return cgroup_.Run([&] { return Errno(syscall(SYS_write, -1, data.data(), length)); });
  };
  EXPECT_EQ(write(7), Denied(EBADF));
  EXPECT_EQ(write((uint64_t{1} << 32U) + 6), Killed(SIGKILL));
  EXPECT_EQ(write(0xffffffff), Denied(EBADF)) << "a negative length is none";
}

TEST_F(Buffers, ThatCannotBeReadAreInNoSet) {
  Must(gatehouse().Apply(Policy({.op = "NotPrefix"})));
  EXPECT_EQ(cgroup_.Run([] { return Errno(syscall(SYS_write, 1, nullptr, 5)); }), Killed(SIGKILL));
  EXPECT_EQ(Write("secret"), Allowed());
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(0).bytes_arg(), "");
  EXPECT_THAT(told[0].tags(), ::testing::Contains(HasSubstr("fault")));
  ExpectCounter("string_fault");
}

// Before the call, the room for it has something else.
TEST_F(Buffers, WithReturnCopyWhatWasRead) {
  Must(gatehouse().Apply(Policy({.call = "sys_read", .args = kRead, .returns = true})));
  EXPECT_EQ(Read("other", 64), Allowed());
  EXPECT_EQ(Read("secret key", 5), Allowed());
  EXPECT_EQ(Read("secret key", 8), Killed(SIGKILL));
  EXPECT_EQ(cgroup_.Run([] {
    std::array<char, 8> room{"secret"};
    return Errno(syscall(SYS_read, -1, room.data(), room.size()));
  }),
            Denied(EBADF))
      << "an error is no length";
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_EQ(told[0].args(0).bytes_arg(), "secret k");
  EXPECT_EQ(told[0].return_().long_arg(), 8);
}

TEST_F(Buffers, SeveralOfOneCall) {
  Must(gatehouse().Apply(
      Policy({.call = "sys_writev", .args = "{index: 1, type: char_iovec, sizeArgIndex: 3}"})));
  const auto write = [&](std::string first, std::string second, unsigned long n) {
    return cgroup_.Run([&] {
      const std::array<iovec, 2> pieces{
          {{first.data(), first.size()}, {second.data(), second.size()}}};
      return Errno(syscall(SYS_writev, -1, pieces.data(), n));
    });
  };
  EXPECT_EQ(write("sec", "ret key", 2), Killed(SIGKILL));
  EXPECT_EQ(write("sec", "ret key", 1), Denied(EBADF));
  EXPECT_EQ(write("", "secret", 2), Killed(SIGKILL));
  EXPECT_EQ(write("a secret", "secret", 2), Denied(EBADF));
  const auto told = Told();
  ASSERT_EQ(told.size(), 2U);
  EXPECT_EQ(told[0].args(0).bytes_arg(), "secret key");
  EXPECT_EQ(told[1].args(0).bytes_arg(), "secret");
}

TEST_F(Buffers, AllOfSeveral) {
  Must(gatehouse().Apply(
      Policy({.call = "sys_writev",
              .args = "{index: 1, type: char_iovec, sizeArgIndex: 3, maxData: true}"})));
  const std::string data = Bytes(50'000);
  EXPECT_EQ(cgroup_.Run([&] {
    std::string copy = data;
    const std::array<iovec, 3> pieces{
        {{copy.data(), 3}, {copy.data() + 3, 40'000}, {copy.data() + 40'003, 9'997}}};
    return Errno(syscall(SYS_writev, -1, pieces.data(), pieces.size()));
  }),
            Killed(SIGKILL));
  const auto told = Told();
  ASSERT_EQ(told.size(), 1U);
  EXPECT_TRUE(told[0].args(0).bytes_arg() == data) << told[0].args(0).bytes_arg().size();
}

TEST_F(Buffers, OfAnIterator) {
  const std::string of_pipe =
      Policy({.call = "pipe_write\n    syscall: false",
              .args = "{index: 0, type: kiocb}, {index: 1, type: iov_iter, maxData: true}"});
  if (!gatehouse().denies()) {
    EXPECT_THAT(Refusal(of_pipe), HasSubstr("backend signal serves"));
    return;
  }
  Must(gatehouse().Apply(of_pipe));
  const auto send = [&](std::string first, std::string second, bool vector) {
    return cgroup_.Run([&] {
      std::array<int, 2> ends{};
      if (pipe(ends.data()) != 0) return EPROTO;
      const std::array<iovec, 2> pieces{
          {{first.data(), first.size()}, {second.data(), second.size()}}};
      if (vector) return Errno(syscall(SYS_writev, ends[1], pieces.data(), pieces.size()));
      return Errno(syscall(SYS_write, ends[1], first.data(), first.size()));
    });
  };
  EXPECT_EQ(send("secret key", "", false), Killed(SIGKILL));
  EXPECT_EQ(send("a secret", "", false), Allowed());
  EXPECT_EQ(send("sec", "ret", true), Killed(SIGKILL));
  const std::string much = Bytes(9'000);
  EXPECT_EQ(send(much.substr(0, 4'000), much.substr(4'000), true), Killed(SIGKILL));
  const auto told = Told();
  ASSERT_EQ(told.size(), 3U);
  EXPECT_TRUE(told[2].args(1).bytes_arg() == much) << told[2].args(1).bytes_arg().size();
  EXPECT_EQ(told[0].args(1).bytes_arg(), "secret key");
  EXPECT_EQ(told[1].args(1).bytes_arg(), "secret");
}

TEST_F(Buffers, AreCheckedAgainstTheFunction) {
  EXPECT_THAT(Refusal(Policy({.args = "{index: 1, type: char_buf, sizeArgIndex: 7}"})),
              HasSubstr("sizeArgIndex: argument 6 of"));
}

}  // namespace
}  // namespace gatehouse::test
