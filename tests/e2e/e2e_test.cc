// SPDX-License-Identifier: Apache-2.0
// gatehoused and gatehouse as an operator uses them: started as programs, told by the command line,
// judged by what becomes of programs in a cgroup.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "kernel/testing/workload.h"

namespace gatehouse::e2e {
namespace {

namespace fs = std::filesystem;
using kernel::testing::Allowed;
using kernel::testing::Cgroup;
using kernel::testing::Denied;
using kernel::testing::Killed;
using kernel::testing::Outcome;
using kernel::testing::ProgramTree;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr auto kDeadline = std::chrono::minutes(2);  // far beyond what any machine needs

std::string Setting(const char* name, const char* otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr || *text == '\0' ? otherwise : text;
}

std::string ReadFile(const fs::path& path) {
  const std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(std::move(line));
  return lines;
}

/// A program that is built beside the tests.
std::string Program(const std::string& name) {
  return (fs::read_symlink("/proc/self/exe").parent_path().parent_path() / "bin" / name).string();
}

/// Starts a program, its output in two files.
pid_t Start(std::vector<std::string> words, const std::string& out, const std::string& err) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t child = fork();
  if (child != 0) return child;
  dup2(open(out.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600), STDOUT_FILENO);
  dup2(open(err.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0600), STDERR_FILENO);
  execv(argv[0], argv.data());
  _exit(127);
}

/// What a program left behind.
struct Answer {
  int status = -1;  ///< exit status; -1: it was killed
  std::string out, err;
};

/// A running daemon with a directory of its own, and a cgroup to put a workload in.
class EndToEnd : public ::testing::Test {
 protected:
  EndToEnd() {
    std::string pattern = (fs::temp_directory_path() / "gatehouse-e2e-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
  }
  ~EndToEnd() override {
    if (daemon_ > 0) {
      kill(daemon_, SIGTERM);
      waitpid(daemon_, nullptr, 0);
    }
    std::error_code ignored;
    fs::remove_all(directory_, ignored);
  }

  void SetUp() override {
    const std::string backend = Setting("GATEHOUSE_BACKEND", "auto");
    std::vector<std::string> words{Program("gatehoused"), "--backend", backend, "--control-socket",
                                   Path("control.sock")};
    if (backend == "auto" || backend == "signal") words.emplace_back("--deny-by-signal");
    daemon_ = Start(words, Path("daemon.out"), Path("daemon.err"));
    ASSERT_GT(daemon_, 0);
    const auto deadline = std::chrono::steady_clock::now() + kDeadline;
    while (Gatehouse({"status"}).status != 0) {
      ASSERT_EQ(waitpid(daemon_, nullptr, WNOHANG), 0) << Log();
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << Log();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }

  [[nodiscard]] std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  [[nodiscard]] std::string Log() const { return ReadFile(Path("daemon.err")); }

  /// The command line, to its end.
  [[nodiscard]] Answer Gatehouse(const std::vector<std::string>& arguments) const {
    std::vector<std::string> words{Program("gatehouse"), "--control-socket", Path("control.sock")};
    words.insert(words.end(), arguments.begin(), arguments.end());
    const pid_t child = Start(words, Path("out"), Path("err"));
    int status = 0;
    waitpid(child, &status, 0);
    return {.status = WIFEXITED(status) ? WEXITSTATUS(status) : -1,
            .out = ReadFile(Path("out")),
            .err = ReadFile(Path("err"))};
  }
  [[nodiscard]] json Status() const {
    const Answer answer = Gatehouse({"status", "-o", "json"});
    EXPECT_EQ(answer.status, 0) << answer.err;
    return json::parse(answer.out);
  }
  /// Of the image in the kernel: it rises with every change and never falls.
  [[nodiscard]] json Generation() const { return Status().at("image").at("generation"); }

  /// What a program gets that the policy refuses.
  [[nodiscard]] Outcome Refusal() const {
    return Status().at("backend") == "signal" ? Killed(SIGKILL) : Denied(EACCES);
  }

  /// Asks the daemon to end; its exit status, or -1.
  [[nodiscard]] int Terminate() {
    kill(daemon_, SIGTERM);
    int status = 0;
    waitpid(std::exchange(daemon_, 0), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  }

  std::string directory_;
  pid_t daemon_ = 0;
  const Cgroup cgroup_{"e2e"};
  ProgramTree programs_;
  const std::string denied_ = programs_.Add("denied"), other_ = programs_.Add("other");
};

std::string DenyList(const std::string& program) {
  return R"(apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: deny
spec:
  podSelector:
    matchLabels:
      app: web
  kprobes:
  - call: security_bprm_creds_for_exec
    syscall: false
    args:
    - index: 0
      type: linux_binprm
    selectors:
    - matchArgs:
      - index: 0
        operator: In
        values: [)" +
         program + R"(]
      matchActions:
      - action: Override
        argError: -13
)";
}

TEST_F(EndToEnd, BadPoliciesAreRefusedAndChangeNothing) {
  const Outcome refusal = Refusal();
  const Answer workload =
      Gatehouse({"workload", "add", "--cgroup", cgroup_.path(), "--label", "app=web"});
  ASSERT_EQ(workload.status, 0) << workload.err;
  EXPECT_EQ(cgroup_.Run(denied_), Allowed());
  std::ofstream(Path("policy.yaml")) << DenyList(denied_);
  const Answer added = Gatehouse({"policy", "add", Path("policy.yaml")});
  ASSERT_EQ(added.status, 0) << added.err;
  EXPECT_THAT(added.out, HasSubstr("deny: added"));
  ASSERT_EQ(cgroup_.Run(denied_), refusal);
  ASSERT_EQ(cgroup_.Run(other_), Allowed());
  const json before = Generation();

  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(
           fs::path(Setting("GATEHOUSE_CORPUS", "tests/corpus/policies")) / "bad")) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  ASSERT_GT(files.size(), 40U);
  for (const fs::path& file : files) {
    SCOPED_TRACE(file.filename().string());
    const Answer refused = Gatehouse({"policy", "add", file.string()});
    EXPECT_EQ(refused.status, 1);
    EXPECT_EQ(refused.out, "");
    // Line by line as the parser says it (tests/corpus): FILE:LINE:COLUMN: CAUSE; REMEDY. What is
    // marked as a warning keeps nobody from applying the text.
    std::vector<std::string> said = Lines(refused.err), expected;
    const std::string warning = "warning: ";
    const std::regex form(R"(^(warning: )?[^:]+:[0-9]+:[0-9]+: .+; .+)");
    for (const std::string& line : Lines(ReadFile(fs::path(file).replace_extension("expected")))) {
      EXPECT_TRUE(std::regex_search(line, form)) << line;
      const size_t name = line.starts_with(warning) ? warning.size() : 0;
      expected.push_back(line.substr(0, name) + file.parent_path().string() + "/" +
                         line.substr(name));
    }
    ASSERT_FALSE(said.empty());
    EXPECT_THAT(said.back(), HasSubstr("nothing was applied"));
    said.pop_back();
    EXPECT_EQ(said, expected);
    ASSERT_EQ(cgroup_.Run(denied_), refusal);
    ASSERT_EQ(cgroup_.Run(other_), Allowed());
  }
  EXPECT_EQ(Generation(), before);

  EXPECT_EQ(Terminate(), 0) << Log();
  EXPECT_EQ(cgroup_.Run(denied_), Allowed()) << "nothing is left behind";
}

}  // namespace
}  // namespace gatehouse::e2e
