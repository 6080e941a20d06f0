// SPDX-License-Identifier: Apache-2.0
// Mounts, mount namespaces and root directories: what a path is relative to.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "harness.h"

namespace gatehouse::bypass {
namespace {

namespace fs = std::filesystem;

constexpr unsigned kOpenTreeClone = 1;
constexpr unsigned kAtRecursive = 0x8000;
// More mounts than the walk goes up (WALK_STEPS_MAX in bpf/path.h).
constexpr int kTooManyMounts = 2500;

bool KernelHasFilesystem(const std::string& name) {
  std::ifstream list("/proc/filesystems");
  for (std::string line; std::getline(list, line);) {
    if (line.ends_with("\t" + name)) return true;
  }
  return false;
}

/// A copy of the mount at `path` that is attached nowhere.
int DetachedCopy(const std::string& path) {
  return Must(syscall(SYS_open_tree, AT_FDCWD, path.c_str(),
                      static_cast<unsigned>(O_CLOEXEC) | kOpenTreeClone | kAtRecursive),
              "open_tree");
}

TEST_P(Way, BindFileOverAllowed) {
  const Attempt attempt = Try([&] {
    NewMountNamespace();
    Bind(other(), allowed());
    return Exec(allowed());
  });
  ExpectRuns(attempt, kEvilStatus, {allowed()});
}

TEST_P(Way, BindDeniedElsewhere) {
  InstallGood(Path("spot"));
  const Attempt attempt = Try([&] {
    NewMountNamespace();
    Bind(denied(), Path("spot"));
    return Exec(Path("spot"));
  });
  ExpectUnlisted(attempt, kEvilStatus, {Path("spot")});
}

TEST_P(Way, BindDirectoryOverAllowed) {
  InstallGood(Path("bin/tool"));
  InstallEvil(Path("mine/tool"));
  Enforce({allow_list() ? Path("bin/tool") : Path("mine/tool")});
  const Attempt attempt = Try([&] {
    NewMountNamespace();
    Bind(Path("mine"), Path("bin"));
    return Exec(Path("bin/tool"));
  });
  ExpectRuns(attempt, kEvilStatus, {Path("bin/tool")});
}

TEST_P(Way, BindOfAllowedDirectory) {
  // The other direction: the same file under a path of its own is not the listed path.
  fs::create_directory(Path("again"));
  const Attempt attempt = Try([&] {
    NewMountNamespace();
    Bind(directory(), Path("again"));
    return Exec(Path("again/allowed"));
  });
  ExpectUnlisted(attempt, kGoodStatus, {Path("again/allowed")});
}

TEST_P(Way, Overlay) {
  if (!KernelHasFilesystem("overlay"))
    GTEST_SKIP() << "this kernel has no overlay file system built in";
  InstallGood(Path("lower/tool"));
  InstallEvil(Path("upper/tool"));
  fs::create_directory(Path("work"));
  fs::create_directory(Path("merged"));
  const auto in_overlay = [&](const std::string& program) {
    return Try([&] {
      NewMountNamespace();
      const std::string options =
          "lowerdir=" + Path("lower") + ",upperdir=" + Path("upper") + ",workdir=" + Path("work");
      Must(mount("overlay", Path("merged").c_str(), "overlay", 0, options.c_str()),
           "mount overlay");
      Must(mount("overlay", Path("lower").c_str(), "overlay", 0, options.c_str()), "mount overlay");
      return Exec(program);
    });
  };
  // Whoever may mount puts an upper file over the listed one. The path is that in the overlay,
  // never one of its layers.
  Enforce({allow_list() ? Path("lower/tool") : Path("upper/tool")});
  ExpectRuns(in_overlay(Path("lower/tool")), kEvilStatus, {Path("lower/tool")});
  ExpectUnlisted(in_overlay(Path("merged/tool")), kEvilStatus, {Path("merged/tool")});
}

TEST_P(Way, RamFileSystem) {
  const Attempt attempt = Try([&] {
    NewMountNamespace();
    fs::create_directory(Path("ram"));
    Must(mount("ramfs", Path("ram").c_str(), "ramfs", 0, "mode=755"), "mount ramfs");
    InstallEvil(Path("ram/allowed"));
    return Exec(Path("ram/allowed"));
  });
  ExpectUnlisted(attempt, kEvilStatus, {Path("ram/allowed")});
}

TEST_P(Way, UserNamespaceBind) {
  // No privilege is needed for it: the user nobody makes the namespaces.
  const Attempt attempt = Try([&] {
    NewUserAndMountNamespace();
    Bind(other(), allowed());
    return Exec(allowed());
  });
  ExpectRuns(attempt, kEvilStatus, {allowed()});
}

TEST_P(Way, UserNamespaceNewRoot) {
  // A root directory of one's own, in which anything stands at the allowed path.
  const Attempt attempt = Try([&] {
    NewUserAndMountNamespace();
    MountTmpfs("/mnt");
    Install(other(), "/mnt" + allowed());
    Must(chdir("/mnt"), "chdir");
    Must(mount("/mnt", "/", nullptr, MS_MOVE, nullptr), "move the mount");
    Must(chroot("."), "chroot");
    return Exec(allowed());
  });
  ExpectRuns(attempt, kEvilStatus, {allowed()});
}

TEST_P(Way, UserNamespaceAlone) {
  // A namespace in which nothing was mounted changes no answer.
  ExpectStopped(Try([&] {
                  NewUserAndMountNamespace();
                  return Exec(denied());
                }),
                {denied()});
}

TEST_P(Way, DetachedMount) {
  ExpectUnlisted(Try([&] { return ExecDescriptor(DetachedCopy(denied())); }), kEvilStatus,
                 {GH_UNREADABLE_UNREACHABLE});
  ExpectUnlisted(Try([&] { return ExecAt(DetachedCopy(directory()), "denied", 0); }), kEvilStatus,
                 {GH_UNREADABLE_UNREACHABLE});
  ExpectUnlisted(Try([&] { return ExecAt(DetachedCopy("/"), allowed().substr(1), 0); }),
                 kGoodStatus, {GH_UNREADABLE_UNREACHABLE});
}

TEST_P(Way, LazilyUnmounted) {
  Enforce({Path("volume/tool"), Path("volume/inner/tool"), "/tool", "/inner/tool"});
  for (const char* program : {"tool", "inner/tool"}) {
    const Attempt attempt = Try([&] {
      NewMountNamespace();
      fs::create_directories(Path("volume"));
      MountTmpfs(Path("volume"));
      InstallEvil(Path("volume/tool"));
      fs::create_directory(Path("volume/inner"));
      MountTmpfs(Path("volume/inner"));
      InstallEvil(Path("volume/inner/tool"));
      const int file =
          Must(open(Path("volume/" + std::string(program)).c_str(), O_PATH | O_CLOEXEC), "open");
      Must(umount2(Path("volume").c_str(), MNT_DETACH), "umount");
      return ExecDescriptor(file);
    });
    ExpectUnlisted(attempt, kEvilStatus, {GH_UNREADABLE_UNREACHABLE});
  }
}

TEST_P(Way, OtherMountNamespace) {
  // A descriptor that was opened before the process left for a namespace of its own. The listed
  // program is stopped as well: its path means nothing there.
  for (const std::string& program : {denied(), allowed()}) {
    const Attempt attempt = Try([&] {
      const int file = Must(open(program.c_str(), O_PATH | O_CLOEXEC), "open");
      NewMountNamespace();
      return ExecDescriptor(file);
    });
    ExpectUnlisted(attempt, program == denied() ? kEvilStatus : kGoodStatus,
                   {GH_UNREADABLE_UNREACHABLE});
  }
}

TEST_P(Way, ProcRootOfOtherNamespace) {
  // /proc/PID/root leads into the namespace of another process.
  const Attempt attempt = Try([&] {
    const std::string program = "/proc/" + std::to_string(getppid()) + "/root" + denied();
    NewMountNamespace();
    return Exec(program);
  });
  ExpectUnlisted(attempt, kEvilStatus, {GH_UNREADABLE_UNREACHABLE});
}

TEST_P(Way, JoinedMountNamespace) {
  // Back in the namespace to which the descriptor belongs, its path is known again.
  const Attempt attempt = Try([&] {
    const int file = Must(open(denied().c_str(), O_PATH | O_CLOEXEC), "open");
    const int home = Must(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC), "open");
    NewMountNamespace();
    Must(setns(home, CLONE_NEWNS), "setns");
    return ExecDescriptor(file);
  });
  ExpectStopped(attempt, {denied()});
}

TEST_P(Way, Chroot) {
  // The path inside looks allowed; what counts is the path below the root of the mount namespace.
  InstallEvil(Path("jail") + allowed());
  const auto jailed = [&](const std::string& program) {
    return Try([&] {
      Must(chroot(Path("jail").c_str()), "chroot");
      Must(chdir("/"), "chdir");
      return Exec(program);
    });
  };
  ExpectUnlisted(jailed(allowed()), kEvilStatus, {Path("jail") + allowed()});
  Enforce({allow_list() ? allowed() : Path("jail") + allowed()});
  ExpectStopped(jailed(allowed()), {Path("jail") + allowed()});
}

TEST_P(Way, RenamedOutOfBind) {
  // The file leaves the tree that its mount shows, and has no path in it any more.
  InstallEvil(Path("shown/sub/tool"));
  fs::create_directory(Path("view"));
  fs::create_directory(Path("hidden"));
  Enforce({Path("hidden/sub/tool"), "/hidden/sub/tool", Path("view/sub/tool")});
  const Attempt attempt = Try([&] {
    NewMountNamespace();
    Bind(Path("shown"), Path("view"));
    const int file = Must(open(Path("view/sub/tool").c_str(), O_PATH | O_CLOEXEC), "open");
    fs::rename(Path("shown/sub"), Path("hidden/sub"));
    return ExecDescriptor(file);
  });
  ExpectUnlisted(attempt, kEvilStatus, {GH_UNREADABLE_UNREACHABLE});
}

TEST_P(Way, ManyMounts) {
  std::string deepest = directory();
  for (int i = 0; i < 200; ++i) deepest += "/m";
  const auto below_mounts = [&](const std::string& program) {
    return Try([&] {
      NewMountNamespace();
      std::string level = directory();
      for (int i = 0; i < 200; ++i) {
        level += "/m";
        fs::create_directory(level);
        MountTmpfs(level);
      }
      InstallEvil(level + "/tool");
      return Exec(level + "/" + program);
    });
  };
  ExpectUnlisted(below_mounts("tool"), kEvilStatus, {deepest + "/tool"});
  Enforce({deepest + "/tool"});
  ExpectListed(below_mounts("tool"), kEvilStatus, {deepest + "/tool"});
}

TEST_P(Way, TooManyMounts) {
  Enforce({Path("m/tool")});
  const Attempt attempt = Try([&] {
    NewMountNamespace();
    fs::create_directory(Path("m"));
    for (int i = 0; i < kTooManyMounts; ++i) MountTmpfs(Path("m"));
    InstallEvil(Path("m/tool"));
    return Exec(Path("m/tool"));
  });
  ExpectUnlisted(attempt, kEvilStatus, {GH_UNREADABLE_TOO_LONG});
}

}  // namespace
}  // namespace gatehouse::bypass
