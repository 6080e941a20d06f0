// SPDX-License-Identifier: Apache-2.0
#include "daemon/agent.h"

#include <algorithm>
#include <memory_resource>
#include <set>

#include "daemon/completion.h"
#include "policy/format.h"

namespace gatehouse::daemon {
namespace {

policy::Diagnostic ToDiagnostic(const Error& error, std::string file, policy::Position position) {
  policy::Diagnostic diagnostic;
  diagnostic.file = std::move(file);
  diagnostic.position = position;
  diagnostic.cause = error.object.empty() ? error.cause : error.object + ": " + error.cause;
  diagnostic.remedy = error.remedy;
  return diagnostic;
}

bind::Kind StoredKind(const policy::Document& document) {
  if (std::holds_alternative<policy::Template>(document.object)) return bind::Kind::kTemplate;
  if (std::holds_alternative<policy::Binding>(document.object)) return bind::Kind::kBinding;
  return bind::Kind::kPolicy;
}

}  // namespace

/// A text on its way in.
struct Agent::Candidate {
  std::string_view text;
  std::string source;  ///< what diagnostics call it
  std::string origin;  ///< the policy file that it makes up; "": the API
  bool replace = false;

  ApplyResult result;
  std::vector<PackedText> texts;  ///< of result.documents

  void Reset() {
    result = {};
    texts.clear();
  }

  void Fail(const Error& error) {
    result.applied = false;
    result.code = error.code;
    result.diagnostics.push_back(ToDiagnostic(error, source, {}));
  }
};

/// What a batch of candidates amounts to.
struct Agent::Plan {
  struct Place {
    const Candidate* candidate;
    uint32_t line;
    [[nodiscard]] std::string ToString() const {
      return candidate->source + ":" + std::to_string(line);
    }
  };

  bind::Resolver::Transaction transaction;
  std::set<std::string, std::less<>> files;  ///< whose policies may move among them
  /// In memory of its own: what is here for a moment shall leave no gaps among what stays.
  std::pmr::monotonic_buffer_resource memory;
  std::pmr::map<policy::Key, Place> documents{&memory};
};

std::string JoinDiagnostics(const std::vector<policy::Diagnostic>& diagnostics, size_t max_bytes) {
  constexpr size_t kTailBytes = 40;  // "… and 18446744073709551615 more"
  std::string message;
  for (size_t i = 0; i < diagnostics.size(); ++i) {
    const std::string line = diagnostics[i].ToString();
    if (i > 0 && message.size() + line.size() + kTailBytes > max_bytes) {
      return message + "\n… and " + std::to_string(diagnostics.size() - i) + " more";
    }
    if (i > 0) message += "\n";
    message += line;
  }
  return message;
}

std::string ApplyResult::Message(size_t max_bytes) const {
  std::vector<policy::Diagnostic> all = diagnostics;
  for (const DocumentResult& document : documents) {
    all.insert(all.end(), document.diagnostics.begin(), document.diagnostics.end());
  }
  return JoinDiagnostics(all, max_bytes);
}

bool ApplyResult::refused() const {
  return policy::HasErrors(diagnostics) ||
         std::ranges::any_of(documents, [](const DocumentResult& document) {
           return document.outcome == Outcome::kRefused;
         });
}

Agent::Agent(compile::StringPool& strings, kernel::Kernel& kernel, AgentOptions options)
    : kernel_(kernel),
      options_(std::move(options)),
      sets_(strings, [this](const std::string& path) { return kernel_.FindFile(path); }),
      resolver_(sets_, {.allow_host_enforcement = options_.allow_host_enforcement,
                        .node_labels = options_.node_labels}),
      registry_(options_.cgroup_root) {}

/// The one place where a policy is held against what this kernel can do. The mode does not matter:
/// it can be changed at run time, and a policy that is accepted must be one that can be enforced.
Result<void> Agent::Admit(const policy::Document& document) const {
  GH_ASSIGN(const bind::Record record, bind::MakeRecord(document, sets_));
  if (!bind::IsForNode(document, options_.node_labels)) return {};
  if (!record.spec) return {};  // a binding: its template was held against the kernel
  const std::string object = "policy/" + record.key.ToString();
  for (const policy::HookInfo& hook : *record.spec->infos) {
    if (hook.network_actions.empty() || options_.allow_network_actions) continue;
    return Fail(ErrorCode::kRefused, object + ": " + hook.call,
                "action " + std::string(policy::NameOf(hook.network_actions.front().kind)) +
                    " reaches out of this node",
                "start gatehoused with --allow-network-actions, or remove the action");
  }
  for (const compile::HookProgram& hook : record.spec->hooks) {
    if (auto supported = kernel_.Supports(hook); !supported) {
      Error error = std::move(supported).error();
      error.object = object + ": " + error.object;
      return tl::unexpected(std::move(error));
    }
    if (hook.Overrides() && !options_.deny_by_signal &&
        kernel_.backend() == kernel::Backend::kSignal) {
      return Fail(ErrorCode::kUnsupported,
                  object + ": " + record.spec->infos->at(hook.hook_index).call,
                  "Override needs a backend that can return an errno, and here there is only "
                  "signal (`gatehouse status` says why)",
                  "use Sigkill, or start gatehoused with --deny-by-signal, which carries Override "
                  "out as SIGKILL");
    }
  }
  return {};
}

Result<Outcome> Agent::PlanDocument(const policy::Document& document, const Candidate& candidate,
                                    Plan& plan) const {
  const policy::Key& key = document.key();
  const std::string object = "policy/" + key.ToString();
  const Plan::Place place{&candidate, document.position.line};
  if (const auto [first, fresh] = plan.documents.emplace(key, place); !fresh) {
    return Fail(ErrorCode::kExists, object,
                "a document of that name is also at " + first->second.ToString(),
                "give one of them another name");
  }
  const StoredPolicy* existing = store_.Find(key);
  if (existing == nullptr) {
    GH_TRY(Admit(document));
    GH_TRY(plan.transaction.Add(document));
    return Outcome::kAdded;
  }
  if (existing->origin != candidate.origin && !plan.files.contains(existing->origin)) {
    if (existing->origin.empty()) {
      return Fail(ErrorCode::kExists, object, "exists already, added over the API",
                  "delete it first: gatehouse policy delete " + key.ToString());
    }
    return Fail(ErrorCode::kRefused, object,
                "exists already, from " + std::string(existing->origin), "change it in that file");
  }
  if (!candidate.replace) {
    return Fail(ErrorCode::kExists, object, "exists already",
                "use gatehouse policy replace, or delete it first");
  }
  if (existing->text.Unpack() == document.text) return Outcome::kUnchanged;
  GH_TRY(Admit(document));
  GH_TRY(plan.transaction.Replace(document));
  return Outcome::kReplaced;
}

bool Agent::PlanCandidate(Candidate& candidate, Plan& plan) const {
  candidate.Reset();
  bool good = true;
  const auto take = [&](policy::Document document) {
    DocumentResult result{.key = document.key(),
                          .kind = StoredKind(document),
                          .position = document.position,
                          .outcome = Outcome::kAdded,
                          .diagnostics = {}};
    const auto plan_it = [&]() -> Result<Outcome> {
      if (bind::IsForNode(document, options_.node_labels)) {
        GH_ASSIGN(result.diagnostics, Complete(document, kernel_));
        if (policy::HasErrors(result.diagnostics)) return Outcome::kRefused;
      }
      return PlanDocument(document, candidate, plan);
    };
    if (auto outcome = plan_it(); outcome) {
      result.outcome = *outcome;
      if (good && *outcome == Outcome::kRefused) candidate.result.code = ErrorCode::kInvalid;
      good = good && *outcome != Outcome::kRefused;
    } else {
      if (good) candidate.result.code = outcome.error().code;
      good = false;
      result.outcome = Outcome::kRefused;
      result.diagnostics.push_back(ToDiagnostic(outcome.error(), document.file, document.position));
    }
    candidate.result.documents.push_back(std::move(result));
    candidate.texts.emplace_back(document.text);
  };
  auto diagnostics = policy::ParseEach(candidate.text, candidate.source, {}, take);
  const bool readable = !policy::HasErrors(diagnostics);
  if (!readable) candidate.Reset();
  candidate.result.diagnostics = std::move(diagnostics);
  if (!readable) return false;
  if (!good) {
    for (DocumentResult& result : candidate.result.documents) {
      if (result.outcome != Outcome::kRefused) result.outcome = Outcome::kNotApplied;
    }
  }
  return good;
}

Result<void> Agent::Publish(bind::Resolver::Transaction& transaction) {
  GH_ASSIGN(const bind::Delta delta, transaction.Stage());
  if (!delta.empty()) GH_TRY(kernel_.Apply(delta));
  transaction.Commit();
  for (const auto& [id, program] : delta.added) programs_.insert_or_assign(id, program);
  for (const bind::InstanceId id : delta.removed) programs_.erase(id);
  return {};
}

void Agent::Remember(Candidate& candidate) {
  const auto now = std::chrono::system_clock::now();
  for (size_t i = 0; i < candidate.texts.size(); ++i) {
    const DocumentResult& result = candidate.result.documents[i];
    auto changed = now;
    if (result.outcome == Outcome::kUnchanged) {
      const StoredPolicy* existing = store_.Find(result.key);
      if (existing->origin == candidate.origin) continue;
      changed = existing->changed;
    }
    store_.Put(
        result.key,
        {.text = std::move(candidate.texts[i]), .origin = candidate.origin, .changed = changed});
  }
}

/// Refuses the document of `candidate` that the transaction failed on. False: it is in none, or in
/// one that changes nothing.
bool Agent::Blame(const Error& error, const Plan& plan, Candidate& candidate) {
  std::vector<DocumentResult>& documents = candidate.result.documents;
  const auto at_fault = [&](const policy::Key& key) {
    return std::ranges::find_if(documents, [&](const DocumentResult& result) {
      return result.key == key && result.outcome != Outcome::kUnchanged;
    });
  };
  for (const policy::Key& key : plan.transaction.at_fault()) {
    const auto refused = at_fault(key);
    if (refused == documents.end()) continue;
    for (DocumentResult& result : documents) result.outcome = Outcome::kNotApplied;
    refused->outcome = Outcome::kRefused;
    refused->diagnostics.push_back(ToDiagnostic(error, candidate.source, refused->position));
    candidate.result.code = error.code;
    return true;
  }
  return false;
}

/// Applies all candidates in one step, or none. False: some of them were refused, which is in their
/// results. Error: no single one is at fault.
Result<bool> Agent::ApplyBatch(const std::vector<Candidate*>& batch, bool dry_run) {
  Plan plan{.transaction = resolver_.Begin(), .files = {}, .memory = {}};
  for (const Candidate* candidate : batch) {
    if (!candidate->origin.empty()) plan.files.insert(candidate->origin);
  }
  bool good = true;
  for (Candidate* candidate : batch) good = PlanCandidate(*candidate, plan) && good;
  if (!good) return false;

  std::vector<std::pair<Candidate*, policy::Key>> gone;
  for (Candidate* candidate : batch) {
    if (candidate->origin.empty()) continue;
    for (const policy::Key& key : store_.KeysOf(candidate->origin)) {
      if (plan.documents.contains(key)) continue;
      GH_TRY(plan.transaction.Remove(key));
      gone.emplace_back(candidate, key);
    }
  }
  Result<void> done = {};
  if (!dry_run) {
    done = Publish(plan.transaction);
  } else if (auto delta = plan.transaction.Stage(); !delta) {
    done = tl::unexpected(std::move(delta).error());
  }
  if (!done) {
    if (batch.size() == 1 && Blame(done.error(), plan, *batch.front())) return false;
    return tl::unexpected(std::move(done).error());
  }
  if (!dry_run) {
    for (Candidate* candidate : batch) Remember(*candidate);
    for (const auto& [candidate, key] : gone) {
      store_.Remove(key);
      candidate->result.removed.push_back(key);
    }
  }
  for (Candidate* candidate : batch) candidate->result.applied = true;
  return true;
}

ApplyResult Agent::AddPolicies(std::string_view text, const std::string& source,
                               AddOptions options) {
  Candidate candidate{.text = text,
                      .source = source,
                      .origin = {},
                      .replace = options.replace,
                      .result = {},
                      .texts = {}};
  const std::lock_guard lock(mutex_);
  if (auto done = ApplyBatch({&candidate}, options.dry_run); !done) {
    candidate.Fail(done.error());
    for (DocumentResult& result : candidate.result.documents) {
      result.outcome = Outcome::kNotApplied;
    }
  }
  return std::move(candidate.result);
}

void Agent::SyncBatch(std::vector<Candidate*> batch) {
  // Each round either applies what is left, or drops at least one candidate.
  while (!batch.empty()) {
    const auto done = ApplyBatch(batch, false);
    if (done && *done) return;
    if (!done && batch.size() == 1) {
      batch.front()->Fail(done.error());
      return;
    }
    if (!done) {
      for (Candidate* candidate : batch) SyncBatch({candidate});
      return;
    }
    std::erase_if(batch, [](const Candidate* candidate) { return candidate->result.refused(); });
  }
}

std::vector<ApplyResult> Agent::SyncFiles(const std::vector<FileChange>& changes) {
  std::vector<Candidate> candidates;
  std::vector<Candidate*> batch;
  candidates.reserve(changes.size());
  for (const FileChange& change : changes) {
    candidates.push_back({.text = change.text ? std::string_view(*change.text) : std::string_view(),
                          .source = change.path,
                          .origin = change.path,
                          .replace = true,
                          .result = {},
                          .texts = {}});
    batch.push_back(&candidates.back());
  }
  {
    const std::lock_guard lock(mutex_);
    SyncBatch(std::move(batch));
  }
  std::vector<ApplyResult> results;
  results.reserve(candidates.size());
  for (Candidate& candidate : candidates) results.push_back(std::move(candidate.result));
  return results;
}

Result<void> Agent::DeletePolicy(const policy::Key& key) {
  const std::lock_guard lock(mutex_);
  const StoredPolicy* existing = store_.Find(key);
  if (existing == nullptr) {
    return Fail(ErrorCode::kNotFound, "policy/" + key.ToString(), "there is no such policy",
                "gatehouse policy list shows all");
  }
  if (!existing->origin.empty()) {
    return Fail(ErrorCode::kRefused, "policy/" + key.ToString(),
                "it comes from " + std::string(existing->origin), "delete it from that file");
  }
  auto transaction = resolver_.Begin();
  GH_TRY(transaction.Remove(key));
  GH_TRY(Publish(transaction));
  store_.Remove(key);
  return {};
}

Result<void> Agent::Configure(const policy::Key& key, std::optional<bool> enabled,
                              std::optional<policy::Mode> mode) {
  const std::lock_guard lock(mutex_);
  auto transaction = resolver_.Begin();
  GH_TRY(transaction.Configure(key, enabled, mode));
  return Publish(transaction);
}

}  // namespace gatehouse::daemon
