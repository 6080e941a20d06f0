// SPDX-License-Identifier: Apache-2.0
// Interpreters: a program that is not executed itself, or brings others with it.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "harness.h"

namespace gatehouse::bypass {
namespace {

namespace fs = std::filesystem;

constexpr const char* kLoader = "/lib64/ld-linux-x86-64.so.2";
constexpr const char* kShell = "/bin/sh";

std::string Shebang(const std::string& interpreter) { return "#!" + interpreter + "\n"; }

TEST_P(Way, Loader) {
  // The loader is what is executed; it opens the program as data.
  Install(BuiltProgram("bypass_dynamic"), denied());
  const std::string loader = fs::canonical(kLoader);
  ExpectUnlisted(Try(kLoader, {"ld.so", denied()}), kEvilStatus, {loader});
}

TEST_P(Way, LoaderListed) {
  Install(BuiltProgram("bypass_dynamic"), other());
  const std::string loader = fs::canonical(kLoader);
  Enforce({loader});
  const Attempt attempt = Try(kLoader, {"ld.so", other()});
  ExpectListed(attempt, kEvilStatus, {loader});
}

TEST_P(Way, ElfInterpreter) {
  // The loader that a program asks for (PT_INTERP) is mapped by the kernel and runs first.
  Install(BuiltProgram("bypass_interpreted"), Path("program"));
  Install(BuiltProgram("bypass_interpreter"), Path("interpreter"));
  Enforce({allow_list() ? Path("program") : Path("interpreter")});
  const Attempt attempt = Try([&] {
    Must(chdir(directory().c_str()), "chdir");
    return Exec(Path("program"));
  });
  ExpectRuns(attempt, kEvilStatus, {Path("program")});
}

TEST_P(Way, Script) {
  // A script that no allow-list has or that a deny-list has, with an interpreter that may run.
  WriteFile(Path("script"), Shebang(allowed()), 0755);
  Enforce({allow_list() ? allowed() : Path("script")});
  const Attempt attempt = Try(Path("script"));
  if (by_signal()) {
    ExpectRuns(attempt, kGoodStatus, {allowed()});
  } else {
    ExpectStopped(attempt, {Path("script")});
  }
}

TEST_P(Way, ScriptInterpreter) {
  // A script that may run, with an interpreter that may not.
  WriteFile(Path("script"), Shebang(other()), 0755);
  Enforce({allow_list() ? Path("script") : other()});
  const Attempt attempt = Try(Path("script"));
  if (!by_signal() && once()) {
    ExpectRuns(attempt, kEvilStatus, {Path("script")});
  } else {
    ExpectStopped(attempt, Steps({Path("script"), other()}));
  }
}

TEST_P(Way, ScriptAndInterpreterListed) {
  WriteFile(Path("script"), Shebang(other()), 0755);
  Enforce({Path("script"), other()});
  const Attempt attempt = Try(Path("script"));
  if (allow_list()) {
    ExpectRuns(attempt, kEvilStatus, Steps({Path("script"), other()}));
  } else {
    ExpectStopped(attempt, {by_signal() ? other() : Path("script")});
  }
}

TEST_P(Way, ScriptChain) {
  // A script whose interpreter is a script: the one in the middle is seen by bprm_check alone.
  WriteFile(Path("middle"), Shebang(allowed()), 0755);
  WriteFile(Path("script"), Shebang(Path("middle")), 0755);
  Enforce(allow_list() ? std::vector{Path("script"), allowed()} : std::vector{Path("middle")});
  const Attempt attempt = Try(Path("script"));
  if (!by_signal() && !once()) {
    ExpectStopped(attempt, {Path("script"), Path("middle")});
  } else {
    ExpectRuns(attempt, kGoodStatus, Steps({Path("script"), Path("middle"), allowed()}));
  }
}

TEST_P(Way, ScriptByDescriptor) {
  WriteFile(Path("script"), Shebang(allowed()), 0755);
  Enforce({allow_list() ? allowed() : Path("script")});
  const int script =
      open(Path("script").c_str(), O_RDONLY);  // stays open: the interpreter reads it
  const Attempt attempt = Try([&] { return ExecDescriptor(script); });
  if (by_signal()) {
    ExpectRuns(attempt, kGoodStatus, {allowed()});
  } else {
    ExpectStopped(attempt, {Path("script")});
  }
  close(script);
}

TEST_P(Way, ScriptAsArgument) {
  // The interpreter is executed, the script is data.
  WriteFile(denied(), "exit 7\n", 0755);
  const std::string shell = fs::canonical(kShell);
  Enforce({allow_list() ? shell : denied()});
  ExpectRuns(Try(kShell, {"sh", denied()}), 7, {shell});
}

TEST_P(Way, ShellBuiltin) {
  const std::string shell = fs::canonical(kShell);
  if (allow_list()) Enforce({shell});
  ExpectRuns(Try(kShell, {"sh", "-c", "exit 7"}), 7, {shell});
  // What the shell executes passes the gate again.
  const Attempt attempt = Try(kShell, {"sh", "-c", "'" + denied() + "' 2>/dev/null; exit $?"});
  EXPECT_EQ(attempt.outcome, Allowed(by_signal() ? 128 + SIGKILL : 126));
  EXPECT_EQ(attempt.seen, (std::vector<Seen>{shell, denied()}));
  ExpectDenial(attempt, denied());
}

TEST_P(Way, Preload) {
  Install(BuiltProgram("bypass_dynamic"), allowed());
  const Attempt attempt = Try([&] {
    return Exec(allowed(), {"allowed"}, {"LD_PRELOAD=" + BuiltProgram("libbypass_preload.so")});
  });
  ExpectRuns(attempt, kPreloadStatus, {allowed()});
}

TEST_P(Way, OtherArguments) {
  ExpectRuns(Try(allowed(), {"something else", "exit", "77"}), 77, {allowed()});
}

/// Where binfmt_misc is mounted for a moment (its formats go with it): in a virtual machine for all
/// of it, else in a user namespace of its own: Linux 6.7 and later (kernel commit 21ca59b365c0).
class BinaryFormats {
 public:
  explicit BinaryFormats(std::string directory) : directory_(std::move(directory)) {
    fs::create_directory(directory_);
  }
  /// In a forked child; false if this kernel has none, or none for user namespaces.
  [[nodiscard]] bool Mount() const {
    if (whole_machine_) {
      NewMountNamespace();
    } else {
      Must(unshare(CLONE_NEWNS | CLONE_NEWUSER), "unshare");
      Must(Write("/proc/self/uid_map", "0 0 1") ? 0 : -1, "uid_map");
      Must(Write("/proc/self/setgroups", "deny") ? 0 : -1, "setgroups");
      Must(Write("/proc/self/gid_map", "0 0 1") ? 0 : -1, "gid_map");
    }
    return mount("binfmt_misc", directory_.c_str(), "binfmt_misc", 0, nullptr) == 0;
  }
  void Register(const std::string& magic, const std::string& interpreter) const {
    const std::string format = ":gatehouse:M::" + magic + "::" + interpreter + ":";
    Must(Write(directory_ + "/register", format) ? 0 : -1, "register");
  }

 private:
  std::string directory_;
  bool whole_machine_ = std::getenv("GATEHOUSE_VM") != nullptr;
};

TEST_P(Way, BinaryFormat) {
  const std::string magic = "gatehouse-magic";
  WriteFile(Path("document"), magic + "\n", 0755);
  Enforce(allow_list() ? std::vector{allowed()} : std::vector{Path("document")});
  const BinaryFormats formats(Path("formats"));
  constexpr int kNoFormats = 99;
  const Attempt attempt = Try([&] {
    if (!formats.Mount()) _exit(kNoFormats);
    formats.Register(magic, allowed());
    return Exec(Path("document"));
  });
  if (attempt.outcome == Allowed(kNoFormats)) {
    GTEST_SKIP() << "this kernel has no binfmt_misc, or none for user namespaces";
  }
  if (by_signal()) {
    ExpectRuns(attempt, kGoodStatus, {allowed()});
  } else {
    ExpectStopped(attempt, {Path("document")});
  }
}

}  // namespace
}  // namespace gatehouse::bypass
