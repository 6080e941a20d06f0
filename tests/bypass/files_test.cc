// SPDX-License-Identifier: Apache-2.0
// Files: what stands where. A policy lists paths, not contents.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "harness.h"

namespace gatehouse::bypass {
namespace {

namespace fs = std::filesystem;

TEST_P(Way, None) {
  ExpectRuns(Try(allowed()), kGoodStatus, {allowed()});
  ExpectUnlisted(Try(other()), kEvilStatus, {other()});
  ExpectStopped(Try(denied()), {denied()});
}

TEST_P(Way, Symlink) {
  fs::create_symlink(other(), Path("to-other"));
  ExpectUnlisted(Try(Path("to-other")), kEvilStatus, {other()});
  fs::create_symlink(allowed(), Path("to-allowed"));
  ExpectRuns(Try(Path("to-allowed")), kGoodStatus, {allowed()});
  fs::create_symlink(denied(), Path("to-denied"));
  ExpectStopped(Try(Path("to-denied")), {denied()});
}

TEST_P(Way, SymlinkAtAllowedPath) {
  fs::remove(allowed());
  fs::create_symlink(other(), allowed());
  ExpectUnlisted(Try(allowed()), kEvilStatus, {other()});
}

TEST_P(Way, SymlinkedDirectory) {
  fs::create_directory_symlink(directory(), Path("self"));
  ExpectRuns(Try(Path("self/allowed")), kGoodStatus, {allowed()});
  ExpectStopped(Try(Path("self/self/denied")), {denied()});
}

TEST_P(Way, Hardlink) {
  fs::create_hard_link(denied(), Path("link"));
  ExpectUnlisted(Try(Path("link")), kEvilStatus, {Path("link")});
}

TEST_P(Way, HardlinkAtAllowedPath) {
  fs::remove(allowed());
  fs::create_hard_link(other(), allowed());
  ExpectRuns(Try(allowed()), kEvilStatus, {allowed()});
}

TEST_P(Way, RenameDenied) {
  fs::rename(denied(), Path("renamed"));
  ExpectUnlisted(Try(Path("renamed")), kEvilStatus, {Path("renamed")});
}

TEST_P(Way, RenameAllowed) {
  fs::rename(allowed(), Path("renamed"));
  ExpectUnlisted(Try(Path("renamed")), kGoodStatus, {Path("renamed")});
}

TEST_P(Way, RenameOverAllowed) {
  fs::rename(other(), allowed());
  ExpectRuns(Try(allowed()), kEvilStatus, {allowed()});
}

TEST_P(Way, RenameDirectory) {
  InstallEvil(Path("before/program"));
  Enforce({Path("before/program")});
  fs::rename(Path("before"), Path("after"));
  ExpectUnlisted(Try(Path("after/program")), kEvilStatus, {Path("after/program")});
}

TEST_P(Way, Copy) {
  fs::copy_file(denied(), Path("copy"));
  ExpectUnlisted(Try(Path("copy")), kEvilStatus, {Path("copy")});
}

TEST_P(Way, OverwriteInPlace) {
  fs::copy_file(other(), allowed(), fs::copy_options::overwrite_existing);
  ExpectRuns(Try(allowed()), kEvilStatus, {allowed()});
}

TEST_P(Way, DeletedFile) {
  const int file = open(denied().c_str(), O_RDONLY | O_CLOEXEC);
  fs::remove(denied());
  ExpectUnlisted(Try([&] { return ExecDescriptor(file); }), kEvilStatus, {denied() + " (deleted)"});
  close(file);
}

TEST_P(Way, DeletedAllowedFile) {
  const int file = open(allowed().c_str(), O_RDONLY | O_CLOEXEC);
  fs::remove(allowed());
  ExpectUnlisted(Try([&] { return ExecDescriptor(file); }), kGoodStatus,
                 {allowed() + " (deleted)"});
  close(file);
}

TEST_P(Way, DeletedAndReplaced) {
  const int file = open(other().c_str(), O_RDONLY | O_CLOEXEC);
  fs::remove(other());
  fs::copy_file(allowed(), other());
  ExpectUnlisted(Try([&] { return ExecDescriptor(file); }), kEvilStatus, {other() + " (deleted)"});
  close(file);
}

TEST_P(Way, NamedDeleted) {
  InstallEvil(denied() + " (deleted)");
  ExpectUnlisted(Try(denied() + " (deleted)"), kEvilStatus, {denied() + " (deleted)"});
  InstallEvil(allowed() + " (deleted)");
  ExpectUnlisted(Try(allowed() + " (deleted)"), kEvilStatus, {allowed() + " (deleted)"});
}

TEST_P(Way, DeletedMeetsListedName) {
  // The path of a deleted file is not told from that of a file which is called so.
  Enforce({other() + " (deleted)"});
  const int file = open(other().c_str(), O_RDONLY | O_CLOEXEC);
  fs::remove(other());
  const Attempt attempt = Try([&] { return ExecDescriptor(file); });
  ExpectListed(attempt, kEvilStatus, {other() + " (deleted)"});
  close(file);
}

TEST_P(Way, UnnamedTemporaryFile) {
  const int file = open(directory().c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0755);
  ASSERT_GE(file, 0) << strerror(errno);
  const int evil = open(other().c_str(), O_RDONLY | O_CLOEXEC);
  struct stat status{};
  ASSERT_EQ(fstat(evil, &status), 0);
  ASSERT_EQ(copy_file_range(evil, nullptr, file, nullptr, static_cast<size_t>(status.st_size), 0),
            status.st_size);
  const int readable =
      open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(fstat(file, &status), 0);
  close(evil);
  close(file);
  ExpectUnlisted(Try([&] { return ExecDescriptor(readable); }), kEvilStatus,
                 {Path("#" + std::to_string(status.st_ino) + " (deleted)")});
  close(readable);
}

TEST_P(Way, ProcFile) {
  // Nothing in /proc can be executed, and so no hook is reached.
  const Attempt attempt = Try("/proc/self/status");
  EXPECT_EQ(attempt.outcome, Denied(EACCES));
  EXPECT_TRUE(attempt.seen.empty());
}

}  // namespace
}  // namespace gatehouse::bypass
