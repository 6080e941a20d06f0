// SPDX-License-Identifier: Apache-2.0
// Each operator on each subject: a positive control, the outcome, the event.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <initializer_list>
#include <ostream>

#include "fixture.h"
#include "policy/parse.h"

namespace gatehouse::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Values with which an operator holds, or does not hold, for a path.
struct OperatorCase {
  const char* op;
  const char* what;
  bool holds;
  std::vector<std::string> (*values)(const std::string& path);
};

void PrintTo(const OperatorCase& c, std::ostream* out) { *out << c.op << " " << c.what; }

std::string Directory(const std::string& path) { return path.substr(0, path.rfind('/')); }
std::string Name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

std::vector<std::string> Path(const std::string& path) { return {path}; }
std::vector<std::string> OtherPath(const std::string& path) { return {Directory(path) + "/other"}; }
std::vector<std::string> Shorter(const std::string& path) {
  return {path.substr(0, path.size() - 1)};
}
std::vector<std::string> Longer(const std::string& path) { return {path + "x"}; }
std::vector<std::string> AmongOthers(const std::string& path) {
  return {"/bin/sh", Directory(path) + "/other", path, "/zzz"};
}
std::vector<std::string> OnlyOthers(const std::string& path) {
  return {"/bin/sh", Directory(path), path + "x", "/zzz"};
}
std::vector<std::string> AmongThousands(const std::string& path) {
  std::vector<std::string> values{path};
  for (int i = 0; i < 3000; ++i) values.push_back("/opt/program-" + std::to_string(i));
  return values;
}
std::vector<std::string> OnlyThousands(const std::string& path) {
  std::vector<std::string> values = AmongThousands(path);
  values.erase(values.begin());
  return values;
}
std::vector<std::string> Root(const std::string&) { return {"/"}; }
std::vector<std::string> InDirectory(const std::string& path) {
  return {"/opt/", Directory(path) + "/"};
}
std::vector<std::string> InOtherDirectory(const std::string& path) {
  return {"/opt/", Directory(path) + "x/"};
}
std::vector<std::string> LastByte(const std::string& path) {
  return {path.substr(path.size() - 1)};
}
std::vector<std::string> Tail(const std::string& path) { return {"/other", "/" + Name(path)}; }
std::vector<std::string> OtherTail(const std::string& path) {
  return {"/other", "x/" + Name(path)};
}
std::vector<std::string> ItsDirectory(const std::string& path) { return {Directory(path)}; }
std::vector<std::string> HalfADirectory(const std::string& path) {
  const std::string directory = Directory(path);
  return {directory.substr(0, directory.size() - 1), directory + "x"};
}
std::vector<std::string> Names(const std::string& path) {
  return {"/opt/*", Directory(path) + "/*"};
}
std::vector<std::string> NamesAbove(const std::string& path) {
  return {Directory(Directory(path)) + "/*"};
}
std::vector<std::string> Everywhere(const std::string& path) { return {"**/" + Name(path)}; }
std::vector<std::string> OneByteWrong(const std::string& path) {
  const std::string name = Name(path);
  return {Directory(path) + "/[!" + name[0] + "]" + name.substr(1), Directory(path) + "/?"};
}
std::vector<std::string> Thousands(const std::string& path) {
  const std::string name = Name(path);
  std::vector<std::string> values{Directory(path) + "/[" + name[0] + "]?" + name.substr(2)};
  for (int i = 0; i < 5000; ++i) values.push_back("/opt/*/program-" + std::to_string(i) + "*");
  return values;
}
std::vector<std::string> OtherThousands(const std::string& path) {
  std::vector<std::string> values = Thousands(path);
  values.erase(values.begin());
  return values;
}
std::vector<std::string> Middle(const std::string& path) {
  return {"/opt/", path.substr(1, path.size() - 2)};
}
std::vector<std::string> MiddleInCapitals(const std::string& path) {
  std::string middle = Middle(path)[1];
  for (char& c : middle) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return {middle};
}

const OperatorCase kCases[] = {
    {"Equal", "Path", true, Path},
    {"Equal", "OtherPath", false, OtherPath},
    {"Equal", "Shorter", false, Shorter},
    {"Equal", "Longer", false, Longer},
    {"Equal", "AmongOthers", true, AmongOthers},
    {"NotEqual", "Path", false, Path},
    {"NotEqual", "OtherPath", true, OtherPath},
    {"NotEqual", "AmongOthers", false, AmongOthers},
    {"In", "Path", true, Path},
    {"In", "OtherPath", false, OtherPath},
    {"In", "AmongOthers", true, AmongOthers},
    {"In", "OnlyOthers", false, OnlyOthers},
    {"In", "AmongThousands", true, AmongThousands},
    {"In", "OnlyThousands", false, OnlyThousands},
    {"NotIn", "Path", false, Path},
    {"NotIn", "OnlyOthers", true, OnlyOthers},
    {"NotIn", "AmongThousands", false, AmongThousands},
    {"NotIn", "OnlyThousands", true, OnlyThousands},
    {"Prefix", "Root", true, Root},
    {"Prefix", "InDirectory", true, InDirectory},
    {"Prefix", "InOtherDirectory", false, InOtherDirectory},
    {"Prefix", "Path", true, Path},
    {"Prefix", "Shorter", true, Shorter},
    {"Prefix", "Longer", false, Longer},
    {"Prefix", "AmongThousands", true, AmongThousands},
    {"NotPrefix", "Root", false, Root},
    {"NotPrefix", "InDirectory", false, InDirectory},
    {"NotPrefix", "InOtherDirectory", true, InOtherDirectory},
    {"NotPrefix", "Longer", true, Longer},
    {"Postfix", "LastByte", true, LastByte},
    {"Postfix", "Tail", true, Tail},
    {"Postfix", "OtherTail", false, OtherTail},
    {"Postfix", "Path", true, Path},
    {"Postfix", "AmongThousands", true, AmongThousands},
    {"NotPostfix", "LastByte", false, LastByte},
    {"NotPostfix", "Tail", false, Tail},
    {"NotPostfix", "OtherTail", true, OtherTail},
    {"Glob", "Path", true, Path},
    {"Glob", "Longer", false, Longer},
    {"Glob", "Names", true, Names},
    {"Glob", "NamesAbove", false, NamesAbove},
    {"Glob", "Everywhere", true, Everywhere},
    {"Glob", "OneByteWrong", false, OneByteWrong},
    {"Glob", "Thousands", true, Thousands},
    {"Glob", "OtherThousands", false, OtherThousands},
    {"NotGlob", "Names", false, Names},
    {"NotGlob", "NamesAbove", true, NamesAbove},
    {"NotGlob", "OtherThousands", true, OtherThousands},
    {"InDir", "Root", true, Root},
    {"InDir", "ItsDirectory", true, ItsDirectory},
    {"InDir", "Path", true, Path},
    {"InDir", "HalfADirectory", false, HalfADirectory},
    {"NotInDir", "ItsDirectory", false, ItsDirectory},
    {"NotInDir", "HalfADirectory", true, HalfADirectory},
    {"SubString", "Middle", true, Middle},
    {"SubString", "MiddleInCapitals", false, MiddleInCapitals},
    {"SubStringIgnCase", "MiddleInCapitals", true, MiddleInCapitals},
    {"SubStringIgnCase", "OtherPath", false, OtherPath},
};

std::string CaseName(const ::testing::TestParamInfo<OperatorCase>& info) {
  return std::string(info.param.op) + info.param.what;
}

class Operators : public KernelTest, public ::testing::WithParamInterface<OperatorCase> {};

TEST_P(Operators, Object) {
  const Cgroup cgroup("app");
  const auto workload = Workload(cgroup.path());
  const std::string target = programs_.Add("bin/target");
  EXPECT_EQ(cgroup.Run(target), Allowed()) << "positive control";

  Must(gatehouse().Apply(
      OneRule("one", {Object(GetParam().op, GetParam().values(target))}, {Override(EACCES)})));
  const Attempt attempt = cgroup.Try(target);
  const std::vector<Posted> posted = gatehouse().TakePosted();
  if (!GetParam().holds) {
    EXPECT_EQ(attempt.outcome, Allowed());
    EXPECT_THAT(posted, IsEmpty());
    EXPECT_EQ(gatehouse().Hits("one"), 0);
    return;
  }
  EXPECT_EQ(attempt.outcome, gatehouse().Denial(EACCES));
  EXPECT_THAT(posted, ElementsAre(Posted{.pid = attempt.pid,
                                         .policy = "one",
                                         .object = target,
                                         .actions = GH_ACTION_POST | GH_ACTION_OVERRIDE,
                                         .error = -EACCES,
                                         .flags = gatehouse().DenialFlags(),
                                         .workload = workload->id}));
  EXPECT_EQ(gatehouse().Hits("one"), 1);
}

TEST_P(Operators, Binary) {
  const Cgroup cgroup("app");
  const auto workload = Workload(cgroup.path());
  const std::string caller = programs_.Add("sbin/caller"), target = programs_.Add("bin/target");
  EXPECT_EQ(cgroup.TryChain({caller, target}).outcome, Allowed()) << "positive control";

  const PolicyText policy =
      OneRule("one", {Binary(GetParam().op, GetParam().values(caller)), Object("Equal", {target})},
              {Override(EACCES)});
  if (!gatehouse().KnowsBinary()) {
    const auto refused = gatehouse().Apply(policy);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().code, ErrorCode::kUnsupported);
    EXPECT_THAT(refused.error().Message(), HasSubstr("matchBinaries"));
    EXPECT_EQ(cgroup.TryChain({caller, target}).outcome, Allowed());
    return;
  }
  Must(gatehouse().Apply(policy));
  const Attempt attempt = cgroup.TryChain({caller, target});
  const std::vector<Posted> posted = gatehouse().TakePosted();
  if (!GetParam().holds) {
    EXPECT_EQ(attempt.outcome, Allowed());
    EXPECT_THAT(posted, IsEmpty());
    return;
  }
  EXPECT_EQ(attempt.outcome, gatehouse().Denial(EACCES));
  EXPECT_EQ(attempt.steps_left, 0);
  EXPECT_THAT(posted, ElementsAre(Posted{.pid = attempt.pid,
                                         .policy = "one",
                                         .object = target,
                                         .actions = GH_ACTION_POST | GH_ACTION_OVERRIDE,
                                         .error = -EACCES,
                                         .flags = gatehouse().DenialFlags(),
                                         .workload = workload->id}));
}

INSTANTIATE_TEST_SUITE_P(All, Operators, ::testing::ValuesIn(kCases), CaseName);

class Values : public KernelTest {
 protected:
  /// Whether a policy that denies what `filter` holds for denies `program`.
  bool Denies(const FilterText& filter, const std::string& program) {
    Must(gatehouse().Apply(OneRule("one", {filter}, {Override(EPERM)})));
    const Outcome outcome = cgroup_.Run(program);
    EXPECT_TRUE(outcome == Allowed() || outcome == gatehouse().Denial(EPERM)) << outcome;
    return outcome != Allowed();
  }

  void SetUp() override {
    KernelTest::SetUp();
    Workload(cgroup_.path());
  }

  const Cgroup cgroup_{"app"};
};

TEST_F(Values, PathsOfAnyLength) {
  for (const size_t length : std::initializer_list<size_t>{64, 65, 66, 67, 68, 69, 70, 71, 72, 127,
                                                           128, 255, 256, 1023, 1024, 4094, 4095}) {
    SCOPED_TRACE(length);
    const std::string program = programs_.AddOfLength(length);
    ASSERT_EQ(program.size(), length);
    std::string sibling = program;
    sibling.back() = 'q';
    EXPECT_TRUE(Denies(Object("In", {program, sibling}), program));
    EXPECT_FALSE(Denies(Object("In", {sibling}), program));
    EXPECT_FALSE(Denies(Object("NotIn", {program}), program));
    EXPECT_TRUE(Denies(Object("NotIn", {sibling}), program));
    EXPECT_TRUE(Denies(Object("Prefix", {program}), program));
    EXPECT_FALSE(Denies(Object("Prefix", {sibling}), program));
    EXPECT_TRUE(Denies(Object("Postfix", {program}), program));
    EXPECT_FALSE(Denies(Object("Postfix", {"x" + program.substr(1)}), program));
    EXPECT_TRUE(Denies(Object("Glob", {"**" + program.substr(length - 9)}), program));
    EXPECT_TRUE(Denies(Object("Glob", {"/**" + program.substr(length - 1)}), program));
    EXPECT_FALSE(Denies(Object("Glob", {"/**" + sibling.substr(length - 1)}), program));
  }
}

TEST_F(Values, HeadsAndTailsOfAnyLength) {
  const std::string program = programs_.AddOfLength(600);
  for (const size_t length :
       std::initializer_list<size_t>{1, 2, 3, 7, 8, 9, 15, 16, 17, 254, 255, 256, 257, 599, 600}) {
    SCOPED_TRACE(length);
    std::string head = program.substr(0, length), tail = program.substr(program.size() - length);
    EXPECT_TRUE(Denies(Object("Prefix", {head}), program));
    EXPECT_TRUE(Denies(Object("Postfix", {tail}), program));
    tail.front() = '?';
    EXPECT_FALSE(Denies(Object("Postfix", {tail}), program));
    if (length == 1) continue;  // every path begins with a slash
    head.back() = '?';
    EXPECT_FALSE(Denies(Object("Prefix", {head}), program));
  }
}

TEST_F(Values, HeadsOfManyLengthsAtOnce) {
  const std::string program = programs_.AddOfLength(400);
  std::vector<std::string> heads, tails;
  for (size_t length = 2; length <= 200; ++length) {
    heads.push_back(program.substr(0, length - 1) + "?");
    tails.push_back("?" + program.substr(program.size() - length + 1));
  }
  EXPECT_FALSE(Denies(Object("Prefix", heads), program));
  EXPECT_FALSE(Denies(Object("Postfix", tails), program));
  heads.push_back(program.substr(0, 150));
  tails.push_back(program.substr(program.size() - 150));
  EXPECT_TRUE(Denies(Object("Prefix", heads), program));
  EXPECT_TRUE(Denies(Object("Postfix", tails), program));
}

TEST_F(Values, SixtyDirectories) {
  std::string name;
  for (int i = 0; i < 60; ++i) name += "d" + std::to_string(i) + "/";
  const std::string program = programs_.Add(name + "program");
  EXPECT_TRUE(Denies(Object("In", {program}), program));
  EXPECT_FALSE(Denies(Object("NotIn", {program}), program));
  EXPECT_TRUE(Denies(Object("Prefix", {Directory(program) + "/"}), program));
  EXPECT_TRUE(Denies(Object("Postfix", {"/d58/d59/program"}), program));
}

TEST_F(Values, ComponentsOfOneByteUpToPathMax) {
  std::string name;
  while (programs_.path().size() + name.size() < 4090) name += "x/";
  const std::string program = programs_.Add(name + "y");
  EXPECT_TRUE(Denies(Object("In", {program}), program));
  EXPECT_TRUE(Denies(Object("Postfix", {"/x/y"}), program));
}

TEST_F(Values, PathOverPathMaxIsInNoSet) {
  ExpectCounter("path_too_long");
  const std::string program = programs_.AddOfLength(4095), first(200, 'm'), second(200, 'n');
  const auto run = [&] {
    return cgroup_.Try([&] {
      for (const std::string& directory : {Directory(program), first, second}) {
        if (mkdir(directory.c_str(), 0755) != 0 && errno != EEXIST) return errno;
        if (chdir(directory.c_str()) != 0) return errno;
      }
      if (link((programs_.path() + "/.actor").c_str(), "p") != 0 && errno != EEXIST) return errno;
      execl("p", "p", nullptr);
      return errno;
    });
  };
  EXPECT_EQ(run().outcome, Allowed()) << "positive control";
  Must(gatehouse().Apply(OneRule("one", {Object("Prefix", {"/"})}, {Override(EPERM)})));
  EXPECT_EQ(run().outcome, Allowed()) << "in no set";
  EXPECT_THAT(gatehouse().TakePosted(), IsEmpty());
  Must(gatehouse().Apply(OneRule("one", {Object("NotPrefix", {"/"})}, {Override(EPERM)})));
  EXPECT_EQ(run().outcome, gatehouse().Denial(EPERM)) << "an allow-list denies what it cannot see";
  const auto posted = gatehouse().TakePosted();
  ASSERT_EQ(posted.size(), 1);
  EXPECT_EQ(posted[0].unreadable, GH_UNREADABLE_TOO_LONG);
  EXPECT_EQ(posted[0].object, "");
}

TEST_F(Values, EmptySet) {
  const std::string program = programs_.Add("program");
  const auto apply = [&](const char* op) {
    PolicyText policy =
        OneRule("empty", {FilterText{op, {}, false, "programs"}}, {Override(EPERM)});
    policy.variables = {"programs"};
    BindingText binding{.name = "none", .template_name = "empty", .values = {{"programs", {}}}};
    EXPECT_FALSE(gatehouse().Apply(Text(policy) + Text(binding)).has_value())
        << "no text says that";
    binding.values["programs"] = {"/none"};
    auto documents = policy::Parse(Text(policy) + Text(binding), "test").value();
    std::get<policy::Binding>(documents[1].object).values.at("programs").literals.clear();
    Must(gatehouse().Change([&](bind::Resolver::Transaction& transaction) -> Result<void> {
      for (const policy::Document& document : documents) GH_TRY(transaction.Add(document));
      return {};
    }));
  };
  for (const char* op : {"Equal", "In", "Prefix", "Postfix", "Glob", "SubString", "NotEqual",
                         "NotIn", "NotPrefix", "NotPostfix", "NotGlob"}) {
    gatehouse().Reset();
    Workload(cgroup_.path());
    apply(op);
    const bool negated = std::string_view(op).starts_with("Not");
    EXPECT_EQ(cgroup_.Run(program), negated ? gatehouse().Denial(EPERM) : Allowed()) << op;
  }
}

TEST_F(Values, FiltersOfOneSelectorAreAnded) {
  const std::string program = programs_.Add("bin/program");
  const auto denies = [&](std::vector<FilterText> filters) {
    Must(gatehouse().Apply(OneRule("one", std::move(filters), {Override(EPERM)})));
    return cgroup_.Run(program) != Allowed();
  };
  const FilterText yes = Object("Prefix", {programs_.path()}), no = Object("Postfix", {"/other"});
  EXPECT_TRUE(denies({yes}));
  EXPECT_TRUE(denies({yes, Object("NotIn", {"/bin/sh"}), Object("Postfix", {"/program"})}));
  EXPECT_FALSE(denies({yes, no}));
  EXPECT_FALSE(denies({no, yes}));
  EXPECT_FALSE(denies({no, no}));
  EXPECT_TRUE(denies({})) << "no filter matches always";
}

TEST_F(Values, FirstMatchingSelectorActs) {
  const std::string program = programs_.Add("bin/program");
  PolicyText policy = OneRule("one", {}, {});
  auto& selectors = policy.hooks[0].selectors;
  selectors.clear();
  constexpr size_t kSelectors = GH_RULES_PER_POLICY_MAX;
  for (size_t i = 0; i < kSelectors; ++i) {
    selectors.push_back({{Object("In", {"/opt/program-" + std::to_string(i)})}, {Override(EIO)}});
  }
  selectors[kSelectors - 1] = {{Object("In", {program})}, {Override(ENOENT)}};
  Must(gatehouse().Apply(policy));
  EXPECT_EQ(cgroup_.Run(program), gatehouse().Denial(ENOENT));
  selectors[30] = {{Object("Prefix", {Directory(program)})}, {Override(EACCES)}};
  Must(gatehouse().Apply(policy));
  EXPECT_EQ(cgroup_.Run(program), gatehouse().Denial(EACCES));
  selectors[0] = {{Object("Equal", {program})}, {Post()}};
  Must(gatehouse().Apply(policy));
  EXPECT_EQ(cgroup_.Run(program), Allowed());

  std::vector<uint16_t> decided;
  for (const Posted& posted : gatehouse().TakePosted()) decided.push_back(posted.selector);
  EXPECT_THAT(decided, ::testing::UnorderedElementsAre(kSelectors - 1, 30, 0));

  selectors.push_back({{}, {Post()}});
  EXPECT_FALSE(gatehouse().Apply(policy).has_value()) << "one selector too many";
  EXPECT_EQ(cgroup_.Run(program), Allowed()) << "the old policy stands";
}

}  // namespace
}  // namespace gatehouse::test
