// SPDX-License-Identifier: Apache-2.0
#include "daemon/completion.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "policy/catalog.h"
#include "policy/regular_expression.h"
#include "policy/sites.h"
#include "policy/values.h"

namespace gatehouse::daemon {
namespace {

/// Null: it has none.
policy::Spec* SpecOf(policy::Document& document) {
  if (auto* policy = std::get_if<policy::TracingPolicy>(&document.object)) return &policy->spec;
  if (auto* tmpl = std::get_if<policy::Template>(&document.object)) return &tmpl->spec;
  return nullptr;
}

class Completion {
 public:
  Completion(policy::Document& document, const kernel::Kernel& kernel)
      : document_(document), object_("policy/" + document.key().ToString()), kernel_(kernel) {}

  Result<std::vector<policy::Diagnostic>> Run(policy::Spec& spec) {
    std::vector<policy::Hook> hooks;
    for (policy::Hook& hook : spec.hooks) {
      GH_ASSIGN(const bool is_meant, HasDigest(hook));
      if (!is_meant) continue;
      if (hook.generated) {
        GH_TRY(AddListed(hook, hooks));
      } else if (hook.kind == policy::HookKind::kUsdt) {
        GH_TRY(AddPlaces(hook, hooks));
      } else if (hook.may_be_missing && !kernel_.Has(policy::SiteOf(hook))) {
        Warn(hook, "this kernel has no " + policy::FunctionName(hook) + ", so the hook is left out",
             "remove ignore.callNotFound, if it must be there");
      } else {
        hooks.push_back(std::move(hook));
      }
    }
    if (hooks.size() > GH_HOOKS_PER_POLICY_MAX) {
      return Fail(ErrorCode::kInvalid, object_,
                  std::to_string(hooks.size()) +
                      " hooks, each name of a list and each place of a static probe counted, and "
                      "at most " +
                      std::to_string(int{GH_HOOKS_PER_POLICY_MAX}) + " are possible",
                  "write narrower patterns, or split the policy");
    }
    spec.hooks = std::move(hooks);
    Settle(spec.hooks);
    for (const policy::Hook& hook : spec.hooks) WarnOfMissingFiles(hook);
    return std::move(diagnostics_);
  }

 private:
  /// Of files that filters on identities name.
  void WarnOfMissingFiles(const policy::Hook& hook) {
    for (const policy::Selector& selector : hook.selectors) {
      for (const policy::Filter& filter : selector.filters) {
        if (policy::TraitsOf(filter, hook).operand != policy::ArgumentType::kFileIdentity) continue;
        for (const std::string& value : filter.values.literals) {
          if (!value.starts_with('/') || kernel_.FindFile(value)) continue;
          Warn(hook, value + " does not exist, so no file is the same",
               "write the path as the agent sees it, and add the policy again when the file is "
               "there");
        }
      }
    }
  }

  /// A hook on each name of a generated list.
  Result<void> AddListed(const policy::Hook& hook, std::vector<policy::Hook>& hooks) {
    const policy::GeneratedList& list = *hook.generated;
    const std::string object = object_ + ": list " + list.name;
    const std::string noun = hook.system_call ? " system calls" : " functions";
    GH_ASSIGN(std::vector<policy::Hook> listed, HooksOf(hook, object));
    const size_t all = listed.size();
    std::vector<policy::Site> sites;
    sites.reserve(all);
    for (const policy::Hook& each : listed) sites.push_back(policy::SiteOf(each));
    const std::vector<Result<void>> results = kernel_.CanAttach(sites);
    const auto refused =
        std::ranges::find_if(results, [](const Result<void>& result) { return !result; });
    size_t at = 0;
    const size_t left_out =
        std::erase_if(listed, [&](const policy::Hook&) { return !results[at++]; });
    if (listed.empty()) {
      const Error& first = refused->error();
      return Fail(first.code, object,
                  "to none of its " + std::to_string(all) + noun +
                      " a program can be attached; of the first, " + first.object + ": " +
                      first.cause,
                  first.remedy);
    }
    if (left_out != 0) {
      Warn(hook,
           std::to_string(left_out) + " of the " + std::to_string(all) + noun + " of list " +
               list.name + " cannot be attached to and are left out, the first of them " +
               refused->error().object + ": " + refused->error().cause,
           "");
    }
    std::ranges::move(listed, std::back_inserter(hooks));
    return {};
  }

  /// A hook on each place of a static probe.
  Result<void> AddPlaces(const policy::Hook& hook, std::vector<policy::Hook>& hooks) const {
    GH_ASSIGN(const std::vector<kernel::ProbePlace> places, kernel_.Places(policy::SiteOf(hook)));
    for (const kernel::ProbePlace& types : places) {
      policy::Hook& each = hooks.emplace_back(hook);
      each.place = static_cast<uint32_t>(&types - places.data());
      for (policy::Argument& argument : each.arguments) {
        if (!argument.untyped || argument.index >= types.size()) continue;
        argument.type = types[argument.index].value_or(argument.type);
      }
    }
    return {};
  }

  /// Whether the hook's file is the one that the policy means.
  Result<bool> HasDigest(const policy::Hook& hook) {
    if (hook.digests.empty()) return true;
    GH_ASSIGN(const bool has, kernel_.HasDigest(hook.source, hook.digests));
    if (has) return true;
    const std::string cause = hook.source + " has none of the digests in binaryDigests";
    if (!hook.may_differ) {
      return Fail(ErrorCode::kUnsupported, object_, cause,
                  "add its digest, or ignore: {digestVerificationFailure: true}");
    }
    Warn(hook, cause + ", so the hook is left out", "add its digest");
    return false;
  }

  /// One for each name, whether it can be attached to or not.
  Result<std::vector<policy::Hook>> HooksOf(const policy::Hook& hook,
                                            const std::string& object) const {
    using Kind = policy::Site::Kind;
    std::vector<std::string> names =
        kernel_.Names(hook.system_call ? Kind::kSystemCall : Kind::kFunction);
    const std::string& pattern = hook.generated->pattern;
    if (!hook.system_call) names = policy::Matching(pattern, std::move(names));
    if (names.empty()) {
      return Fail(ErrorCode::kUnsupported, object,
                  hook.system_call
                      ? "this kernel does not tell which system calls it has"
                      : "this kernel has no function whose name matches \"" + pattern + "\"",
                  "`bpftool btf dump file /sys/kernel/btf/vmlinux` lists its functions");
    }
    if (names.size() > GH_HOOKS_PER_POLICY_MAX) {
      return Fail(ErrorCode::kInvalid, object,
                  std::to_string(names.size()) + " functions match \"" + pattern +
                      "\", and at most " + std::to_string(int{GH_HOOKS_PER_POLICY_MAX}) +
                      " are possible",
                  "write a narrower pattern");
    }
    policy::Hook model = hook;
    model.generated.reset();
    std::vector<policy::Hook> hooks(names.size(), model);
    for (size_t i = 0; i < names.size(); ++i) hooks[i].call = std::move(names[i]);
    return hooks;
  }

  /// Calls `visit(hook, argument)` for each value of which only the kernel can tell all.
  template <typename Visit>
  static void EachUnsettled(std::vector<policy::Hook>& hooks, Visit visit) {
    for (policy::Hook& hook : hooks) {
      for (auto* const arguments : {&hook.arguments, &hook.data}) {
        for (policy::Argument& argument : *arguments) {
          if (argument.resolved || argument.type == policy::ArgumentType::kAuto) {
            visit(hook, argument);
          }
        }
      }
    }
  }

  void Settle(std::vector<policy::Hook>& hooks) {
    std::vector<kernel::Unsettled> unsettled;
    EachUnsettled(hooks, [&](const policy::Hook& hook, const policy::Argument& argument) {
      unsettled.push_back({policy::SiteOf(hook), &argument});
    });
    if (unsettled.empty()) return;
    const std::vector<Result<kernel::Settled>> settled = kernel_.Settle(unsettled);
    auto next = settled.begin();
    EachUnsettled(hooks, [&](policy::Hook& hook, policy::Argument& argument) {
      const Result<kernel::Settled>& result = *next++;
      if (!result) return Refuse(PositionOf(argument), result.error());
      if (argument.resolved) argument.resolved->chain = result->chain;
      if (argument.type != policy::ArgumentType::kAuto) return;
      argument.type = result->type;
      CheckUses(hook, argument);
    });
  }

  static policy::Position PositionOf(const policy::Argument& argument) {
    return argument.resolved ? argument.resolved->position : argument.position;
  }

  /// What depends on the type of an argument, which is known now.
  void CheckUses(policy::Hook& hook, const policy::Argument& argument) {
    for (policy::Argument& other : hook.arguments) {
      if (!other.length || other.length->subject != argument.subject()) continue;
      other.length->narrow = policy::TraitsOf(argument.type).bytes <= sizeof(uint32_t);
    }
    for (const policy::Selector& selector : hook.selectors) {
      for (const policy::Filter& filter : selector.filters) {
        const bool of_data = filter.subject == policy::Subject::kData;
        if (!of_data && filter.subject != policy::Subject::kArgument) continue;
        if (&(of_data ? hook.data : hook.arguments)[filter.which] != &argument) continue;
        const Result<void> fits = policy::CheckFilter(filter, hook);
        if (!fits) Refuse(filter.position, fits.error());
      }
    }
  }

  void Refuse(policy::Position position, const Error& error) {
    const std::string about = error.object.empty() ? object_ : object_ + ": " + error.object;
    diagnostics_.push_back({.file = document_.file,
                            .position = position,
                            .path = {},
                            .cause = about + ": " + error.cause,
                            .remedy = error.remedy});
  }

  void Warn(const policy::Hook& hook, const std::string& cause, std::string remedy) {
    diagnostics_.push_back({.file = document_.file,
                            .position = hook.position,
                            .path = {},
                            .cause = object_ + ": " + cause,
                            .remedy = std::move(remedy),
                            .severity = policy::Severity::kWarning});
  }

  policy::Document& document_;
  const std::string object_;
  const kernel::Kernel& kernel_;
  std::vector<policy::Diagnostic> diagnostics_;
};

}  // namespace

Result<std::vector<policy::Diagnostic>> Complete(policy::Document& document,
                                                 const kernel::Kernel& kernel) {
  policy::Spec* const spec = SpecOf(document);
  if (spec == nullptr) return std::vector<policy::Diagnostic>();
  return Completion(document, kernel).Run(*spec);
}

}  // namespace gatehouse::daemon
