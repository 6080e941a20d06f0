// SPDX-License-Identifier: Apache-2.0
// gatehouse check: everything that can be said about policies without a daemon and without a
// kernel.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "bind/resolver.h"
#include "bind/selector.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/table.h"
#include "cli/text_files.h"
#include "policy/kernels.h"
#include "policy/parse.h"
#include "policy/sites.h"

namespace gatehouse::cli {
namespace {

struct Report {
  std::vector<policy::Diagnostic> findings;
  size_t documents = 0;
  /// What policies and templates need of a kernel, as a sentence, and those that need it.
  std::map<std::string, std::vector<policy::Key>> kernels;

  void Add(const policy::Document& document, const Error& error) {
    findings.push_back(
        {.file = document.file,
         .position = document.position,
         .path = {},
         .cause = error.object.empty() ? error.cause : error.object + ": " + error.cause,
         .remedy = error.remedy});
  }
  /// What may be as meant; does not make the files wrong.
  void Warn(const std::string& file, policy::Position position, std::string cause,
            std::string remedy) {
    findings.push_back({.file = file,
                        .position = position,
                        .path = {},
                        .cause = std::move(cause),
                        .remedy = std::move(remedy),
                        .severity = policy::Severity::kWarning});
  }
  [[nodiscard]] size_t errors() const {
    return static_cast<size_t>(
        std::ranges::count(findings, policy::Severity::kError, &policy::Diagnostic::severity));
  }
};

/// A document that was taken in, for what is found out about it later.
struct Place {
  std::string file;
  policy::Position position;
};

/// Takes the documents of all files into one resolver, as the daemon would.
class Checker {
 public:
  /// `explains`: with a note on each field.
  void Check(const TextFiles& files, bool explains) {
    limits_.explains = explains;
    Read(files);
    if (report_.errors() == 0) JudgeExamples();
  }

  [[nodiscard]] const Report& report() const { return report_; }

 private:
  void Read(const TextFiles& files) {
    bind::Resolver::Transaction transaction = resolver_.Begin();
    const auto take = [&](const policy::Document& document) {
      ++report_.documents;
      Take(document, transaction);
    };
    for (const TextFiles::File& file : files.files()) {
      for (policy::Diagnostic& diagnostic :
           policy::ParseEach(file.text, file.name, limits_, take)) {
        report_.findings.push_back(std::move(diagnostic));
      }
    }
    // With a document missing, what is said about the others would mislead.
    if (report_.errors() > 0) return;
    if (auto delta = transaction.Stage(); !delta) {
      AddAtFault(transaction, delta.error());
      return;
    }
    transaction.Commit();
    JudgeAll();
  }

  void Take(const policy::Document& document, bind::Resolver::Transaction& transaction) {
    const auto [known, fresh] =
        places_.emplace(document.key(), Place{document.file, document.position});
    if (!fresh) {
      report_.Add(document, {ErrorCode::kExists, "policy/" + document.key().ToString(),
                             "a document of that name is also at " + known->second.file + ":" +
                                 std::to_string(known->second.position.line),
                             "give one of them another name"});
      return;
    }
    if (auto added = transaction.Add(document); !added) {
      report_.Add(document, added.error());
      return;
    }
    AddExample(document);
    if (const policy::Spec* spec = SpecOf(document)) {
      report_.kernels[policy::NeedsOf(*spec).ToString()].push_back(document.key());
    }
    const auto* policy = std::get_if<policy::TracingPolicy>(&document.object);
    if (policy != nullptr && policy->spec.mode == policy::Mode::kEnforce &&
        bind::MatchesHost(policy->selector, policy->key.ns) && Enforces(policy->spec)) {
      report_.Warn(document.file, document.position,
                   "policy/" + policy->key.ToString() + ": enforces on the whole machine",
                   "add a podSelector or containerSelector, or start gatehoused with "
                   "--allow-host-enforcement");
    }
  }

  /// A workload that the document is about, one for all that ask for the same.
  void AddExample(const policy::Document& document) {
    const auto* policy = std::get_if<policy::TracingPolicy>(&document.object);
    const auto* binding = std::get_if<policy::Binding>(&document.object);
    if (policy == nullptr && binding == nullptr) return;
    auto example =
        bind::Example(policy != nullptr ? policy->selector : binding->selector, document.key().ns);
    examples_.emplace(example.cgroup, std::move(example));
  }

  /// Null: a binding has none.
  static const policy::Spec* SpecOf(const policy::Document& document) {
    if (const auto* policy = std::get_if<policy::TracingPolicy>(&document.object)) {
      return &policy->spec;
    }
    const auto* tmpl = std::get_if<policy::Template>(&document.object);
    return tmpl != nullptr ? &tmpl->spec : nullptr;
  }

  static bool Enforces(const policy::Spec& spec) {
    return std::ranges::any_of(spec.hooks, [](const policy::Hook& hook) {
      return std::ranges::any_of(hook.selectors, policy::Enforces);
    });
  }

  /// What the transaction could not be staged for, at the place of the document.
  void AddAtFault(const bind::Resolver::Transaction& transaction, const Error& error) {
    policy::Document document;
    for (const policy::Key& key : transaction.at_fault()) {
      const auto place = places_.find(key);
      if (place == places_.end()) continue;
      document.file = place->second.file;
      document.position = place->second.position;
      break;
    }
    report_.Add(document, error);
  }

  /// What would only show when there is a workload that the selectors are about.
  void JudgeExamples() {
    bind::Resolver::Transaction transaction = resolver_.Begin();
    bind::WorkloadId id = bind::kHostWorkload;
    for (const auto& [description, example] : examples_) {
      auto workload = std::make_shared<workload::Workload>(example);
      workload->id = ++id;
      transaction.PutWorkload(std::move(workload));
    }
    if (auto delta = transaction.Stage(); !delta) AddAtFault(transaction, delta.error());
  }

  /// What only shows when all documents are there.
  void JudgeAll() {
    for (const bind::PolicyStatus& status : resolver_.List()) {
      const Place& place = places_.at(status.key);
      if (status.state == bind::State::kPending) {
        report_.Warn(place.file, place.position,
                     "policy/" + status.key.ToString() + ": " + status.error,
                     "check the template together with its bindings, or have it in the daemon");
      } else if (status.state == bind::State::kRefused) {
        policy::Document document;
        document.file = place.file;
        document.position = place.position;
        report_.Add(document, {ErrorCode::kInvalid, "policy/" + status.key.ToString(), status.error,
                               "give exactly the template's variables their values"});
      }
    }
  }

  policy::ParseLimits limits_;
  compile::StringPool strings_;
  compile::ValueSets sets_{strings_};
  bind::Resolver resolver_{sets_, {.allow_host_enforcement = true}};
  std::map<policy::Key, Place> places_;
  std::map<std::string, workload::Workload> examples_;  // by what describes them
  Report report_;
};

/// `a, b, c and 7 more`
std::string NamesOf(const std::vector<policy::Key>& keys) {
  constexpr size_t kNamed = 8;
  std::string names;
  for (size_t i = 0; i < std::min(keys.size(), kNamed); ++i) {
    names += (i == 0 ? "" : ", ") + keys[i].ToString();
  }
  if (keys.size() > kNamed) names += fmt::format(" and {} more", keys.size() - kNamed);
  return names;
}

void PrintReport(const Report& report) {
  for (const policy::Diagnostic& finding : report.findings) {
    const bool note = finding.severity == policy::Severity::kNote;
    fmt::print(note ? stdout : stderr, "{}\n", Printable(finding.ToString()));
  }
  const size_t errors = report.errors();
  if (errors == 0) {
    fmt::print("{} {} good\n", report.documents,
               report.documents == 1 ? "document is" : "documents are");
    for (const auto& [needs, keys] : report.kernels) {
      fmt::print("{}: {}\n", Printable(NamesOf(keys)), Printable(needs));
    }
  } else {
    fmt::print(stderr, "gatehouse: {} {}\n", errors, errors == 1 ? "error" : "errors");
  }
}

const char* SeverityName(policy::Severity severity) {
  switch (severity) {
    case policy::Severity::kError:
      return "error";
    case policy::Severity::kWarning:
      return "warning";
    case policy::Severity::kNote:
      return "note";
  }
  __builtin_unreachable();
}

void PrintReportJson(const Report& report) {
  nlohmann::ordered_json json;
  json["good"] = report.errors() == 0;
  json["documents"] = report.documents;
  json["diagnostics"] = nlohmann::ordered_json::array();
  for (const policy::Diagnostic& finding : report.findings) {
    json["diagnostics"].push_back({{"severity", SeverityName(finding.severity)},
                                   {"file", finding.file},
                                   {"line", finding.position.line},
                                   {"column", finding.position.column},
                                   {"path", finding.path},
                                   {"cause", finding.cause},
                                   {"remedy", finding.remedy}});
  }
  json["kernels"] = nlohmann::ordered_json::array();
  for (const auto& [needs, keys] : report.kernels) {
    nlohmann::ordered_json names = nlohmann::ordered_json::array();
    for (const policy::Key& key : keys) names.push_back(key.ToString());
    json["kernels"].push_back({{"needs", needs}, {"policies", std::move(names)}});
  }
  PrintJson(json);
}

}  // namespace

void AddCheckCommand(CLI::App& app, Invocation& invocation) {
  CLI::App* command = AddCommand(
      app, "check", "Check policy files; needs neither root nor the daemon",
      "  gatehouse check policies/*.yaml\n"
      "  gatehouse check template.yaml bindings.yaml     bindings are held against their template\n"
      "  gatehouse check --explain policy.yaml           what each of its fields is about\n"
      "On which kernels a policy would work is said, too. Whether this kernel has the functions "
      "that\n"
      "it names, is checked by: gatehouse policy add --dry-run\n");
  struct Arguments {
    std::vector<std::string> paths;
    bool explains = false;
  };
  const auto given = std::make_shared<Arguments>();
  command
      ->add_option("FILE", given->paths,
                   "YAML files with any number of documents; - is standard input")
      ->required();
  command->add_flag("--explain", given->explains, "Say of each field what it is about");
  AddOutputOption(*command, invocation);
  command->callback([&invocation, given] {
    invocation.run = [given](const Invocation& chosen) -> Result<ExitStatus> {
      GH_ASSIGN(const TextFiles files, TextFiles::Read(given->paths));
      Checker checker;
      checker.Check(files, given->explains);
      if (chosen.format == Format::kJson) {
        PrintReportJson(checker.report());
      } else {
        PrintReport(checker.report());
      }
      return checker.report().errors() == 0 ? kDone : kFailed;
    };
  });
}

}  // namespace gatehouse::cli
