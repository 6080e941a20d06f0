// SPDX-License-Identifier: Apache-2.0
#include <sys/resource.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>
#include <string>
#include <vector>

#include "benches.h"

namespace {

using gatehouse::Result;
using gatehouse::bench::Report;
using gatehouse::bench::Settings;

struct Bench {
  const char* name;
  const char* help;
  Result<void> (*run)(const Settings&, Report&);
};

constexpr Bench kBenches[] = {
    {"maps", "programs and maps by number of policies", gatehouse::bench::BenchMaps},
    {"memory", "kernel memory of 10,000 policies; drops the machine's caches",
     gatehouse::bench::BenchMemory},
    {"decision", "cost of one decision with many policies against one",
     gatehouse::bench::BenchDecision},
    {"values", "cost of one decision by number of values and length of path",
     gatehouse::bench::BenchValues},
    {"updates", "time to add, replace and delete a policy", gatehouse::bench::BenchUpdates},
    {"exec", "time of an exec by number of policies", gatehouse::bench::BenchExec},
    {"hooks", "policies on other hooks: their cost, their first policy, 64 hooks at once",
     gatehouse::bench::BenchHooks},
    {"events", "events decoded and written by one core", gatehouse::bench::BenchEvents},
    {"daemon", "gatehoused: start, resident memory, from RPC to enforced",
     gatehouse::bench::BenchDaemon},
    {"oci", "gatehouse-oci-hook: what it adds to a container's start", gatehouse::bench::BenchOci},
};

/// One descriptor for each map and program of the baselines.
void AllowManyFiles() {
  constexpr rlim_t kFiles = 200'000;
  const rlimit limit{kFiles, kFiles};
  (void)setrlimit(RLIMIT_NOFILE, &limit);
  const rlimit locked{RLIM_INFINITY, RLIM_INFINITY};  // kernels before 5.11
  (void)setrlimit(RLIMIT_MEMLOCK, &locked);
}

/// The way to deny that every design is measured with.
Result<gatehouse::kernel::Backend> ChooseBackend() {
  using gatehouse::kernel::Backend;
  std::string reasons;
  for (const auto& probe : gatehouse::kernel::ProbeBackends()) {
    // The baselines have programs for these two.
    if (probe.available && probe.backend != Backend::kFmodRet) return probe.backend;
    reasons += std::string(BackendName(probe.backend)) + ": " + probe.absent_because + "\n";
  }
  return gatehouse::Fail(gatehouse::ErrorCode::kUnsupported, "kernel", "no backend: " + reasons);
}

Result<void> Run(const Bench& bench, Settings settings, const std::string& json) {
  AllowManyFiles();
  GH_ASSIGN(settings.backend, ChooseBackend());
  Report report(bench.name, settings.instructions ? "instructions" : "time");
  std::printf("%s: backend %s\n", bench.name, BackendName(settings.backend));
  GH_TRY(bench.run(settings, report));
  return json.empty() ? Result<void>{} : report.Write(json);
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Measures Gatehouse and two baselines on the running kernel. Needs root.");
  app.require_subcommand(1);
  Settings settings;
  std::string json;
  app.add_flag("--quick", settings.quick, "fewer policies and rounds");
  app.add_flag("--instructions", settings.instructions, "the machine's clock counts instructions");
  app.add_option("--json", json, "write the tables to this file, too");
  app.add_option("--design", settings.only_design,
                 "measure only this one (its name in the tables)");

  Result<void> result;
  for (const Bench& bench : kBenches) {
    app.add_subcommand(bench.name, bench.help)->fallthrough()->callback([&, bench] {
      result = Run(bench, settings, json);
    });
  }
  std::vector<std::string> files;
  CLI::App* summary = app.add_subcommand("summary", "figures and targets of earlier runs");
  summary->add_option("files", files, "JSON of benchmarks")->required();
  summary->callback([&] { result = gatehouse::bench::Summarize(files); });

  CLI11_PARSE(app, argc, argv);
  if (result) return 0;
  std::fprintf(stderr, "gatehouse-bench: %s\n", result.error().Message().c_str());
  return 1;
}
