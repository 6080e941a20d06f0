// SPDX-License-Identifier: Apache-2.0
// How a path is written, how long it is, and what it consists of.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "harness.h"

namespace gatehouse::bypass {
namespace {

namespace fs = std::filesystem;

/// A directory that is reached step by step, because its path may be longer than a system call
/// takes.
class Descent {
 public:
  explicit Descent(const std::string& start)
      : path_(start), at_(open(start.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {}
  ~Descent() { close(at_); }
  Descent(const Descent&) = delete;
  Descent& operator=(const Descent&) = delete;

  void Down(const std::string& name) {
    ASSERT_EQ(mkdirat(at_, name.c_str(), 0755), 0) << strerror(errno);
    const int below = openat(at_, name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
    ASSERT_GE(below, 0) << strerror(errno);
    close(at_);
    at_ = below;
    path_ += "/" + name;
  }
  void DownTo(size_t components, const std::string& name) {
    for (size_t i = 0; i < components; ++i) Down(name);
  }
  /// Down until `file` in it would have a path of `bytes` bytes.
  void Fill(size_t bytes, const std::string& file) {
    const size_t wanted = bytes - file.size() - 1;
    while (wanted - path_.size() > 201) Down(std::string(99, 'd'));
    const size_t rest = wanted - path_.size();
    if (rest > 100) Down(std::string(rest / 2 - 1, 'e'));
    Down(std::string(wanted - path_.size() - 1, 'f'));
  }
  void LinkHere(const std::string& program, const std::string& name) {
    ASSERT_EQ(linkat(AT_FDCWD, program.c_str(), at_, name.c_str(), 0), 0) << strerror(errno);
  }
  [[nodiscard]] int descriptor() const { return at_; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
  int at_;
};

TEST_P(Way, RelativePath) {
  const auto from = [&](const std::string& where, const std::string& program) {
    return Try([&] {
      Must(chdir(where.c_str()), "chdir");
      return Exec(program);
    });
  };
  fs::create_directory(Path("sub"));
  ExpectRuns(from(directory(), "allowed"), kGoodStatus, {allowed()});
  ExpectUnlisted(from(directory(), "./other"), kEvilStatus, {other()});
  ExpectUnlisted(from(Path("sub"), "../other"), kEvilStatus, {other()});
  ExpectStopped(from(Path("sub"), "../sub/../denied"), {denied()});
}

TEST_P(Way, DotsAndSlashes) {
  fs::create_directory(Path("sub"));
  for (const char* way : {"/./", "//", "/sub/../", "/sub/.././/./sub//..///"}) {
    ExpectRuns(Try(directory() + way + "allowed"), kGoodStatus, {allowed()});
    ExpectUnlisted(Try(directory() + way + "other"), kEvilStatus, {other()});
    ExpectStopped(Try("//" + directory() + way + "denied"), {denied()});
  }
  // An allowed path as a text on the way to another file.
  fs::rename(allowed(), Path("kept"));
  fs::create_directory(allowed());
  ExpectUnlisted(Try(allowed() + "/../other"), kEvilStatus, {other()});
}

TEST_P(Way, EmptyName) {
  const int file = open(other().c_str(), O_RDONLY | O_CLOEXEC);
  for (const Attempt& attempt :
       {Try([] { return Exec("", {"allowed"}); }), Try([&] { return ExecAt(file, "", 0); })}) {
    EXPECT_EQ(attempt.outcome, Denied(ENOENT));
    EXPECT_TRUE(attempt.seen.empty());
  }
  close(file);
}

TEST_P(Way, Path4095Bytes) {
  Descent descent(directory());
  descent.Fill(4095, "tool");
  descent.LinkHere(other(), "tool");
  descent.LinkHere(other(), "tooL");
  const std::string tool = descent.path() + "/tool", same_length = descent.path() + "/tooL";
  ASSERT_EQ(tool.size(), 4095U);
  Enforce({tool});
  ExpectListed(Try(tool), kEvilStatus, {tool});
  ExpectUnlisted(Try(same_length), kEvilStatus, {same_length});
}

TEST_P(Way, PathTooLong) {
  Descent descent(directory());
  descent.Fill(4095, "tool");
  descent.LinkHere(allowed(), "tool1");
  descent.Down("deeper");
  descent.LinkHere(allowed(), "tool");
  for (const char* name : {"../tool1", "tool"}) {
    const Attempt attempt = Try([&] { return ExecAt(descent.descriptor(), name, 0); });
    ExpectUnlisted(attempt, kGoodStatus, {GH_UNREADABLE_TOO_LONG});
  }
}

TEST_P(Way, DeletedPathTooLong) {
  Descent descent(directory());
  descent.Fill(4090, "tool");
  descent.LinkHere(other(), "tool");
  Enforce({descent.path() + "/tool"});
  const int file = openat(descent.descriptor(), "tool", O_RDONLY | O_CLOEXEC);
  ASSERT_EQ(unlinkat(descent.descriptor(), "tool", 0), 0);
  ExpectUnlisted(Try([&] { return ExecDescriptor(file); }), kEvilStatus, {GH_UNREADABLE_TOO_LONG});
  close(file);
}

TEST_P(Way, Components60) {
  Descent descent(directory());
  descent.DownTo(60, "component");
  descent.LinkHere(other(), "tool");
  descent.LinkHere(other(), "untold");
  Enforce({descent.path() + "/tool"});
  const Attempt listed = Try(descent.path() + "/tool");
  ExpectListed(listed, kEvilStatus, {descent.path() + "/tool"});
  ExpectUnlisted(Try(descent.path() + "/untold"), kEvilStatus, {descent.path() + "/untold"});
}

TEST_P(Way, Components1500) {
  Descent descent(directory());
  descent.DownTo(1500, "d");
  descent.LinkHere(other(), "tool");
  descent.LinkHere(other(), "untold");
  Enforce({descent.path() + "/tool"});
  const Attempt listed = Try(descent.path() + "/tool");
  ExpectListed(listed, kEvilStatus, {descent.path() + "/tool"});
  ExpectUnlisted(Try(descent.path() + "/untold"), kEvilStatus, {descent.path() + "/untold"});
}

TEST_P(Way, ComponentsMost) {
  Descent descent(directory());
  descent.DownTo((4095 - directory().size()) / 2 - 1, "d");
  descent.LinkHere(other(), "t");
  Enforce({descent.path() + "/t"});
  const Attempt listed = Try(descent.path() + "/t");
  ExpectListed(listed, kEvilStatus, {descent.path() + "/t"});
}

TEST_P(Way, Component255Bytes) {
  const std::string path = Path(std::string(255, 'x')), shorter = Path(std::string(254, 'x'));
  InstallEvil(path);
  InstallEvil(shorter);
  Enforce({path});
  ExpectListed(Try(path), kEvilStatus, {path});
  ExpectUnlisted(Try(shorter), kEvilStatus, {shorter});
}

TEST_P(Way, StrangeBytes) {
  for (const char* name :
       {"new\nline", "\xff\xfe\x80", "tab\tand\x01", " ", "\\", "\"quoted\"", "*", "al\xc3\xa9"}) {
    const std::string path = Path(name);
    InstallEvil(path);
    ExpectUnlisted(Try(path), kEvilStatus, {path});
    if (!allow_list()) {
      Enforce({path});
      ExpectStopped(Try(path), {path});
    }
  }
}

TEST_P(Way, AllowedPathWithMore) {
  // Equal is the whole path: neither a head nor a tail of it, nor another case.
  for (const std::string& path : {allowed() + "\n", allowed() + "2", Path("Allowed"),
                                  Path("allowe"), directory() + allowed()}) {
    InstallEvil(path);
    ExpectUnlisted(Try(path), kEvilStatus, {path});
  }
}

}  // namespace
}  // namespace gatehouse::bypass
