// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "cli/command.h"
#include "cli/table.h"
#include "cli/text_files.h"
#include "control/test_server.h"
#include "daemon/test_policies.h"

namespace gatehouse::cli {
namespace {

using daemon::testing::BindingText;
using daemon::testing::PolicyText;
using daemon::testing::TemplateText;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

struct Outcome {
  int status = 0;
  std::string out;
  std::string err;

  [[nodiscard]] nlohmann::json json() const { return nlohmann::json::parse(out); }
};

Outcome RunCli(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "gatehouse");
  std::vector<const char*> argv;
  for (const std::string& argument : arguments) argv.push_back(argument.c_str());
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  Outcome outcome;
  outcome.status = Run(static_cast<int>(argv.size()), argv.data());
  outcome.out = ::testing::internal::GetCapturedStdout();
  outcome.err = ::testing::internal::GetCapturedStderr();
  return outcome;
}

class CliTest : public ::testing::Test {
 protected:
  Outcome Call(std::vector<std::string> arguments) {
    arguments.insert(arguments.end(), {"--control-socket", server_.socket()});
    return RunCli(std::move(arguments));
  }

  std::string File(const std::string& name, const std::string& text) {
    server_.directory().Write(name, text);
    return server_.directory() / name;
  }

  control::testing::TestServer server_;
};

TEST_F(CliTest, AddsListsShowsAndDeletesPolicies) {
  const std::string file =
      File("p.yaml", PolicyText{}.ToString() + "---\n" + PolicyText{.name = "db"}.ToString());
  const Outcome added = Call({"policy", "add", file});
  EXPECT_EQ(added.status, 0) << added.err;
  EXPECT_EQ(added.out, "web: added (TracingPolicy)\ndb: added (TracingPolicy)\n");

  const Outcome list = Call({"policy", "list"});
  EXPECT_EQ(list.status, 0);
  EXPECT_THAT(list.out, HasSubstr("NAME  KIND           MODE     STATE    WORKLOADS"));
  EXPECT_THAT(list.out, HasSubstr("db    TracingPolicy  enforce  enabled"));
  const auto json = Call({"policy", "list", "-o", "json"}).json();
  ASSERT_EQ(json["policies"].size(), 2u);
  EXPECT_EQ(json["policies"][1]["policy"]["name"], "web");
  EXPECT_EQ(json["policies"][1]["state"], "POLICY_STATE_ENABLED");
  EXPECT_EQ(json["policies"][1]["source"], "api");

  EXPECT_EQ(Call({"policy", "show", "web"}).out, PolicyText{}.ToString());
  EXPECT_EQ(Call({"policy", "show", "web", "-o", "json"}).json()["status"]["mode"],
            "POLICY_MODE_ENFORCE");

  EXPECT_EQ(Call({"policy", "delete", "web"}).status, 0);
  const Outcome gone = Call({"policy", "delete", "web"});
  EXPECT_EQ(gone.status, 1);
  EXPECT_THAT(gone.err, HasSubstr("policy/web: there is no such policy"));
}

TEST_F(CliTest, DeletesOneAfterTheOtherAndTellsWhichInOneObject) {
  std::string text;
  for (const char* name : {"a", "b", "c"}) text += PolicyText{.name = name}.ToString() + "---\n";
  ASSERT_EQ(Call({"policy", "add", File("p.yaml", text)}).status, 0);
  const auto both = Call({"policy", "delete", "a", "b", "-o", "json"}).json();
  EXPECT_EQ(both.dump(),
            R"({"deleted":[{"name":"a","namespace":""},{"name":"b","namespace":""}]})");
  const Outcome partly = Call({"policy", "delete", "c", "none", "d", "-o", "json"});
  EXPECT_EQ(partly.status, 1);
  EXPECT_EQ(partly.json().dump(), R"({"deleted":[{"name":"c","namespace":""}]})");
  EXPECT_THAT(partly.err, HasSubstr("policy/none: there is no such policy"));
}

TEST_F(CliTest, ARefusedDocumentIsShownWithItsPlaceAndNothingIsApplied) {
  const std::string first = File("a.yaml", PolicyText{.name = "a"}.ToString());
  const std::string second =
      File("b.yaml", "# comment\n" + PolicyText{.name = "b", .selector = ""}.ToString());
  const Outcome added = Call({"policy", "add", first, second});
  EXPECT_EQ(added.status, 1);
  EXPECT_THAT(added.out, IsEmpty());
  EXPECT_THAT(added.err, HasSubstr(second + ":2:1: "));
  EXPECT_THAT(added.err, HasSubstr("--allow-host-enforcement"));
  EXPECT_THAT(added.err, HasSubstr("nothing was applied: 1 of 2 documents refused"));
  EXPECT_EQ(Call({"policy", "list", "-o", "json"}).json()["policies"].size(), 0u);
  EXPECT_EQ(Call({"policy", "add", first, second, "-o", "json"}).json()["applied"], false);
  EXPECT_EQ(Call({"policy", "add", first, server_.directory() / "none.yaml"}).status, 1);
}

TEST_F(CliTest, AddRefusesWhatReplaceTakes) {
  const std::string file = File("p.yaml", PolicyText{}.ToString());
  EXPECT_EQ(Call({"policy", "add", file}).status, 0);
  EXPECT_EQ(Call({"policy", "add", file}).status, 1);
  EXPECT_EQ(Call({"policy", "replace", file}).out, "web: unchanged (TracingPolicy)\n");
  File("p.yaml", PolicyText{.action = "Post"}.ToString());
  EXPECT_EQ(Call({"policy", "replace", "--dry-run", file}).out,
            "web: replaced (dry run) (TracingPolicy)\n");
  EXPECT_EQ(Call({"policy", "replace", file}).out, "web: replaced (TracingPolicy)\n");
}

TEST_F(CliTest, ModeAndSwitch) {
  ASSERT_EQ(Call({"policy", "add", File("p.yaml", PolicyText{}.ToString())}).status, 0);
  EXPECT_EQ(Call({"policy", "mode", "web", "monitor"}).out, "web: enabled, mode monitor\n");
  EXPECT_EQ(Call({"policy", "disable", "web"}).out, "web: disabled, mode monitor\n");
  EXPECT_EQ(Call({"policy", "enable", "web", "-o", "json"}).json()["state"],
            "POLICY_STATE_ENABLED");
  EXPECT_EQ(Call({"policy", "mode", "none", "monitor"}).status, 1);
  EXPECT_EQ(Call({"policy", "mode", "web", "off"}).status, 2);
}

TEST_F(CliTest, ConflictsShowInTheList) {
  ASSERT_EQ(Call({"workload", "add", "--cgroup", "/cg/a", "--label", "app=web"}).status, 0);
  ASSERT_EQ(Call({"policy", "add",
                  File("p.yaml", TemplateText() + "---\n" + BindingText("a", "/bin/a") + "---\n" +
                                     BindingText("b", "/bin/b"))})
                .status,
            0);
  const Outcome list = Call({"policy", "list"});
  EXPECT_THAT(list.out, HasSubstr("conflict"));
  EXPECT_EQ(Call({"policy", "list", "-o", "json"}).json()["policies"][0]["conflicts"], "1");
  EXPECT_THAT(list.out, HasSubstr("a: "));
  EXPECT_THAT(list.out, HasSubstr("\"b\""));
}

TEST_F(CliTest, AnOverriddenBindingSaysSo) {
  ASSERT_EQ(Call({"workload", "add", "--cgroup", "/cg/a", "--label", "app=web"}).status, 0);
  const auto priority = [](int n) {
    return "overrideAllowed: true\n  overridePriority: " + std::to_string(n);
  };
  ASSERT_EQ(
      Call({"policy", "add",
            File("p.yaml", TemplateText() + "---\n" + BindingText("low", "/bin/a", priority(1)) +
                               "---\n" + BindingText("high", "/bin/b", priority(2)))})
          .status,
      0);
  EXPECT_THAT(Call({"policy", "list"}).out,
              HasSubstr("low: overridden by a binding of higher priority on 1 workload\n"));
  const auto json = Call({"policy", "list", "-o", "json"}).json();
  EXPECT_EQ(json["policies"][2]["policy"]["name"], "low");
  EXPECT_EQ(json["policies"][2]["overridden"], "1");
  EXPECT_EQ(json["policies"][2]["conflicts"], "0");
}

TEST_F(CliTest, Workloads) {
  const Outcome added = Call({"workload", "add", "--cgroup", "/cg/a", "--namespace", "shop",
                              "--pod", "web-1", "--container", "app", "--image", "nginx:1",
                              "--label", "app=web", "--label", "tier=x=y"});
  EXPECT_EQ(added.status, 0) << added.err;
  EXPECT_EQ(added.out, "shop/web-1/app: registered; no policy is about it\n");
  ASSERT_EQ(Call({"policy", "add", File("p.yaml", PolicyText{}.ToString())}).status, 0);
  const Outcome list = Call({"workload", "list"});
  EXPECT_THAT(list.out, HasSubstr("shop/web-1/app  app=web,tier=x=y  web       api     /cg/a"));
  const auto json = Call({"workload", "list", "-o", "json"}).json();
  EXPECT_EQ(json["workloads"][0]["workload"]["labels"]["tier"], "x=y");
  EXPECT_EQ(json["workloads"][0]["policies"][0]["policy"]["name"], "web");
  EXPECT_EQ(Call({"workload", "add", "--cgroup", "/cg/a"}).status, 1);
  EXPECT_EQ(Call({"workload", "add", "--cgroup", "relative"}).status, 1);
  EXPECT_EQ(Call({"workload", "add", "--cgroup", "/cg/b", "--label", "novalue"}).status, 2);
  EXPECT_EQ(Call({"workload", "add"}).status, 2);
  EXPECT_EQ(Call({"workload", "delete", "/cg/a"}).status, 0);
  EXPECT_EQ(Call({"workload", "delete", "/cg/a"}).status, 1);
}

TEST_F(CliTest, Explain) {
  ASSERT_EQ(Call({"workload", "add", "--cgroup", "/cg/a", "--namespace", "shop", "--pod", "web-1",
                  "--container", "app", "--label", "app=web"})
                .status,
            0);
  ASSERT_EQ(
      Call({"policy", "add", File("p.yaml", PolicyText{.action = "Override"}.ToString())}).status,
      0);
  for (const char* workload : {"/cg/a", "shop/web-1/app"}) {
    const Outcome denied = Call({"explain", "--workload", workload, "--exec", "/usr/bin/curl"});
    EXPECT_EQ(denied.status, 0) << denied.err;
    EXPECT_THAT(denied.out, HasSubstr("shop/web-1/app executes /usr/bin/curl"));
    EXPECT_THAT(denied.out, HasSubstr("bprm_creds_for_exec: denied with EPERM, by web"));
    EXPECT_THAT(denied.out, HasSubstr("line 12"));
  }
  const auto json = Call({"explain", "--workload", "/cg/a", "--exec", "/usr/bin/true", "--hook",
                          "bprm_creds_for_exec", "-o", "json"})
                        .json();
  EXPECT_EQ(json["hooks"][0]["verdict"]["allowed"], true);
  EXPECT_THAT(Call({"explain", "--workload", "host", "--exec", "/usr/bin/curl"}).out,
              HasSubstr("host executes"));
  EXPECT_EQ(Call({"explain", "--workload", "/cg/none", "--exec", "/usr/bin/curl"}).status, 1);
  EXPECT_EQ(Call({"explain", "--workload", "/cg/a", "--exec", "curl"}).status, 1);
  EXPECT_EQ(Call({"explain", "--workload", "/cg/a"}).status, 2);
}

TEST_F(CliTest, StatusAndStats) {
  ASSERT_EQ(Call({"workload", "add", "--cgroup", "/cg/a", "--label", "app=web"}).status, 0);
  ASSERT_EQ(Call({"policy", "add", File("p.yaml", PolicyText{}.ToString())}).status, 0);
  const Outcome status = Call({"status"});
  EXPECT_THAT(status.out, HasSubstr("backend lsm"));
  EXPECT_THAT(status.out, HasSubstr("1 policies, 0 templates, 0 bindings"));
  EXPECT_THAT(status.out, HasSubstr("OTHER PROGRAM  ID\non_fork"));
  EXPECT_THAT(status.out, HasSubstr("in the kernel: 2 programs, 1 maps, 4.0 KiB\n"));
  const auto json = Call({"status", "-o", "json"}).json();
  EXPECT_EQ(json["backend"], "lsm");
  EXPECT_EQ(json["programs"].size(), 2u);
  EXPECT_EQ(
      RunCli({"--control-socket", server_.socket(), "-o", "json", "status"}).json()["backend"],
      "lsm");
  EXPECT_THAT(Call({"stats"}).out, HasSubstr("processes: 0 kept, 0 unknown"));
  EXPECT_THAT(Call({"stats"}).out, HasSubstr("0 of security_bprm_creds_for_exec  Post, Sigkill"));
  EXPECT_EQ(Call({"stats", "web", "-o", "json"}).json()["policies"][0]["rules"][0]["hits"], "0");
  EXPECT_EQ(Call({"stats", "none"}).status, 1);
}

TEST_F(CliTest, EventsEndAfterTheirTimeOrCount) {
  EXPECT_EQ(Call({"events", "--for", "0.1"}).status, 0);
  EXPECT_EQ(Call({"events", "--binary", "("}).status, 1);
  EXPECT_EQ(Call({"events", "--event", "process_none"}).status, 2);
  EXPECT_EQ(Call({"events", "-o", "table"}).status, 2);
}

TEST_F(CliTest, ADaemonThatIsNotThereIsNamedWithTheRemedy) {
  const std::string socket = server_.directory() / "none.sock";
  const Outcome absent = RunCli({"policy", "list", "--control-socket", socket});
  EXPECT_EQ(absent.status, 1);
  EXPECT_THAT(absent.err, HasSubstr(socket + ": no daemon answers there"));
  EXPECT_THAT(absent.err, HasSubstr("start gatehoused"));
  EXPECT_THAT(absent.out, IsEmpty());
}

TEST(UsageTest, WrongUsageIsStatusTwo) {
  const std::vector<std::vector<std::string>> wrong = {{},
                                                       {"policy"},
                                                       {"polcy", "list"},
                                                       {"policy", "add"},
                                                       {"policy", "list", "--frob"},
                                                       {"check"},
                                                       {"policy", "list", "-o", "xml"}};
  for (const auto& arguments : wrong) {
    const Outcome outcome = RunCli(arguments);
    EXPECT_EQ(outcome.status, 2) << ::testing::PrintToString(arguments);
    EXPECT_THAT(outcome.err, HasSubstr("--help"));
    EXPECT_THAT(outcome.out, IsEmpty());
  }
}

TEST(UsageTest, HelpTeachesEverywhere) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"--help"},
                                                    {"policy", "--help"},
                                                    {"policy", "add", "--help"},
                                                    {"workload", "--help"},
                                                    {"workload", "add", "--help"},
                                                    {"explain", "--help"},
                                                    {"events", "--help"},
                                                    {"check", "--help"},
                                                    {"status", "--help"}}) {
    const Outcome outcome = RunCli(arguments);
    EXPECT_EQ(outcome.status, 0);
    EXPECT_THAT(outcome.out, HasSubstr("Examples:")) << ::testing::PrintToString(arguments);
  }
  for (const char* group : {"policy", "workload"}) {
    EXPECT_THAT(RunCli({group, "--help"}).out, Not(HasSubstr("gatehouse check"))) << group;
    EXPECT_THAT(RunCli({group, "--help"}).out,
                HasSubstr(std::string("gatehouse ") + group + " add"));
  }
  EXPECT_THAT(RunCli({"--version"}).out, HasSubstr("gatehouse "));
}

class CheckTest : public ::testing::Test {
 protected:
  std::string File(const std::string& name, const std::string& text) {
    directory_.Write(name, text);
    return directory_ / name;
  }
  daemon::testing::TestDirectory directory_;
};

TEST_F(CheckTest, GoodFiles) {
  const std::string file =
      File("p.yaml", PolicyText{}.ToString() + "---\n" + PolicyText{.name = "b"}.ToString());
  const Outcome good = RunCli({"check", file});
  EXPECT_EQ(good.status, 0);
  EXPECT_EQ(good.out, "2 documents are good\nweb, b: Linux 5.10 or later with any backend\n");
  EXPECT_THAT(good.err, IsEmpty());
  const auto json = RunCli({"check", file, "-o", "json"}).json();
  EXPECT_EQ(json["kernels"][0]["needs"], "Linux 5.10 or later with any backend");
  EXPECT_EQ(json["kernels"][0]["policies"], (std::vector<std::string>{"web", "b"}));
}

TEST_F(CheckTest, ExplainsEachFieldOnRequest) {
  const std::string file = File("p.yaml", PolicyText{}.ToString());
  const Outcome outcome = RunCli({"check", "--explain", file});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out,
              HasSubstr(file + ":3:1: metadata: its name, and labels for other tools"));
  EXPECT_THAT(outcome.out, HasSubstr("spec.kprobes[0].call: the function or system call"));
  EXPECT_THAT(outcome.out, HasSubstr("1 document is good\n"));
  EXPECT_THAT(outcome.err, IsEmpty());
  const auto json = RunCli({"check", "--explain", file, "-o", "json"}).json();
  EXPECT_EQ(json["diagnostics"][0]["severity"], "note");
  EXPECT_EQ(json["good"], true);
}

TEST_F(CheckTest, EveryErrorHasItsPlaceAcrossFiles) {
  const std::string first = File("a.yaml", PolicyText{.action = "Overide"}.ToString());
  const std::string second =
      File("b.yaml", "\n" + PolicyText{.name = "b", .call = "security_file_open"}.ToString());
  const Outcome bad = RunCli({"check", first, second});
  EXPECT_EQ(bad.status, 1);
  EXPECT_THAT(bad.err, HasSubstr(first + ":13:"));
  EXPECT_THAT(bad.err, HasSubstr(second + ":11:"));
  EXPECT_THAT(bad.err, HasSubstr("gatehouse: 2 errors"));
  const auto json = RunCli({"check", first, second, "-o", "json"}).json();
  EXPECT_EQ(json["good"], false);
  EXPECT_EQ(json["diagnostics"][1]["file"], second);
  EXPECT_EQ(json["diagnostics"][1]["line"], 11);
}

TEST_F(CheckTest, WarningsDoNotMakeAFileWrong) {
  const std::string file =
      File("w.yaml",
           PolicyText{.filter = "matchArgs: [{index: 0, operator: Prefix, values: [/usr/, bin/]}]"}
                   .ToString() +
               "---\napiVersion: v1\nkind: Pod\n");
  const Outcome outcome = RunCli({"check", file});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, HasSubstr("1 document is good\n"));
  EXPECT_EQ(outcome.err,
            "warning: " + file +
                ":12:64: spec.kprobes[0].selectors[0].matchArgs[0].values[1]: \"bin/\" is not an "
                "absolute path, so it never matches; write the whole path, or use Postfix with "
                "\"/bin/\"\n"
                "warning: " +
                file +
                ":16:7: kind: \"Pod\" of \"v1\" is no policy, so the document is left out; have it "
                "in a file of its own\n");
  const auto json = RunCli({"check", file, "-o", "json"}).json();
  EXPECT_EQ(json["good"], true);
  EXPECT_EQ(json["documents"], 1);
  EXPECT_EQ(json["diagnostics"][0]["severity"], "warning");
  EXPECT_EQ(json["diagnostics"].size(), 2U);
}

TEST_F(CheckTest, BindingsAreHeldAgainstTheirTemplate) {
  const std::string tmpl = File("t.yaml", TemplateText());
  std::string text = BindingText("b", "/bin/b");
  const std::string good = File("good.yaml", text);
  text.replace(text.find("name: programs"), 14, "name: progams");
  const std::string bad = File("bad.yaml", text);
  EXPECT_EQ(RunCli({"check", tmpl, good}).status, 0);
  const Outcome wrong = RunCli({"check", tmpl, bad});
  EXPECT_EQ(wrong.status, 1);
  EXPECT_THAT(wrong.err, HasSubstr(bad + ":1:1: "));
  EXPECT_THAT(wrong.err, HasSubstr("progams"));
  const Outcome alone = RunCli({"check", good});
  EXPECT_EQ(alone.status, 0);
  EXPECT_THAT(alone.err, HasSubstr("warning: " + good));
}

TEST_F(CheckTest, OnePolicyTooManyHasItsPlace) {
  for (const char* selector : {"", "podSelector: {matchLabels: {app: web}}"}) {
    std::string text;
    for (size_t i = 0; i < GH_POLICIES_PER_GATE_MAX; ++i) {
      text += PolicyText{.name = "p" + std::to_string(i), .selector = selector, .action = "Post"}
                  .ToString() +
              "---\n";
    }
    const std::string many = File("many.yaml", text);
    EXPECT_EQ(RunCli({"check", many}).status, 0);
    const std::string last =
        File("last.yaml",
             "\n" + PolicyText{.name = "q", .selector = selector, .action = "Post"}.ToString());
    const Outcome outcome = RunCli({"check", many, last});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, HasSubstr(last + ":2:1: policy/q: "));
    EXPECT_THAT(outcome.err, HasSubstr("would have 4097 policies on one hook"));
    EXPECT_THAT(outcome.err, HasSubstr("; narrow its selector"));
  }
}

TEST_F(CheckTest, DuplicatesAndReachAreSeen) {
  const std::string first = File("a.yaml", PolicyText{}.ToString());
  const std::string second = File("b.yaml", PolicyText{}.ToString());
  const Outcome twice = RunCli({"check", first, second});
  EXPECT_EQ(twice.status, 1);
  EXPECT_THAT(twice.err, HasSubstr("a document of that name is also at " + first + ":1"));
  const Outcome host = RunCli({"check", File("h.yaml", PolicyText{.selector = ""}.ToString())});
  EXPECT_EQ(host.status, 0);
  EXPECT_THAT(host.err, HasSubstr("--allow-host-enforcement"));
  const Outcome monitor =
      RunCli({"check", File("m.yaml", PolicyText{.selector = "", .mode = "monitor"}.ToString())});
  EXPECT_THAT(monitor.err, IsEmpty());
}

TEST(TextFilesTest, KnowsWhichLineCameFromWhere) {
  TextFiles files;
  files.Add("a", "1\n2\n3");
  files.Add("b", "1\n");
  files.Add("c", "");
  files.Add("d", "1");
  EXPECT_EQ(files.text(), "1\n2\n3\n---\n1\n---\n---\n1");
  EXPECT_EQ(files.Locate(3), (std::pair<std::string, uint32_t>("a", 3)));
  EXPECT_EQ(files.Locate(5), (std::pair<std::string, uint32_t>("b", 1)));
  EXPECT_EQ(files.Locate(8), (std::pair<std::string, uint32_t>("d", 1)));
  EXPECT_EQ(files.Locate(0).first, "");
}

TEST(TableTest, ColumnsAreAlignedAndTerminalsAreSafe) {
  Table table({{"NAME"}, {"N", Table::Align::kRight}, {"LAST"}});
  table.Add({"ä", "100", ""});
  table.Add({"longer", "7", "x\x1b[31m\n"});
  EXPECT_EQ(table.ToString(),
            "NAME      N  LAST\n"
            "ä       100  -\n"
            "longer    7  x\\x1b[31m\\x0a\n");
  EXPECT_EQ(Printable("\xc2\x9bq"), "\\x9bq");
  EXPECT_EQ(HumanBytes(1023), "1023 B");
  EXPECT_EQ(HumanBytes(1536), "1.5 KiB");
  EXPECT_EQ(HumanBytes(3u << 30), "3.0 GiB");
}

}  // namespace
}  // namespace gatehouse::cli
