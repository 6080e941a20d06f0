// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <csignal>
#include <memory>

#include "policy/format.h"
#include "policy/hook_selectors.h"
#include "policy/names.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kActionsMax = 3;
constexpr int64_t kErrnoMax = 4095;  // MAX_ERRNO of the kernel
constexpr int64_t kSignalMax = 64;   // _NSIG of the kernel
constexpr size_t kUrlBytesMax = 2048;
constexpr size_t kHostNameBytesMax = 253;  // RFC 1035, written with dots

struct ActionDraft {
  std::optional<ActionKind> kind;
  std::optional<Position> error_position;
  std::optional<Position> signal_position;
  std::optional<Position> rate_position;
  std::optional<Position> scope_position;
  std::optional<Position> url_position;
  std::optional<Position> host_position;
  std::optional<Position> socket_position;
  std::optional<Position> argument_position;
  std::optional<Position> value_position;
  std::optional<Position> kernel_stack_position;  // of `true` alone
  std::optional<Position> user_stack_position;
  std::optional<Position> hash_position;
  Action action;
};

/// `30`, `30s`, `5m`, `1h`: in seconds; nullopt, reported, if it is none of these.
std::optional<uint32_t> ReadInterval(Reader& reader, YamlNode node) {
  constexpr uint64_t kSecondsOfMinute = 60;
  constexpr uint64_t kSecondsOfHour = 3600;
  constexpr uint64_t kSecondsMax = uint64_t{365} * 24 * kSecondsOfHour;
  if (!node.IsScalar()) {
    (void)reader.String(node);  // reports that it is none
    return std::nullopt;
  }
  std::string_view digits = node.text();
  uint64_t unit = 1;
  if (digits.ends_with('m')) unit = kSecondsOfMinute;
  if (digits.ends_with('h')) unit = kSecondsOfHour;
  if (unit != 1 || digits.ends_with('s')) digits.remove_suffix(1);
  uint64_t number = 0;
  const char* const end = std::to_address(digits.end());
  const auto [parsed, error] = std::from_chars(std::to_address(digits.begin()), end, number);
  const bool good = parsed == end && error == std::errc() && number > 0;
  if (good && number <= kSecondsMax / unit) return static_cast<uint32_t>(number * unit);
  reader.Report(node.position(), fmt::format("{} is no interval up to a year", Quote(node.text())),
                "write a number of seconds, minutes or hours: 30, 30s, 5m, 1h");
  return std::nullopt;
}

void ReadUrl(Reader& reader, YamlNode node, ActionDraft& draft) {
  draft.url_position = node.position();
  const std::string url = ReadText(reader, node, kUrlBytesMax).value_or("http://");
  draft.action.target = url;
  if (url.starts_with("http://") || url.starts_with("https://")) return;
  reader.Report(node.position(), fmt::format("{} is no URL of http or https", Quote(url)),
                "write it as https://example.com/path");
}

/// Letters, digits, `-`, `_` and dots between them.
void ReadHostName(Reader& reader, YamlNode node, ActionDraft& draft) {
  draft.host_position = node.position();
  const std::string name = ReadText(reader, node, kHostNameBytesMax).value_or("a");
  draft.action.target = name;
  const bool good = name.find_first_not_of(
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                        "0123456789-_.") == std::string::npos &&
                    !name.starts_with('.') && name.find("..") == std::string::npos;
  if (good) return;
  reader.Report(node.position(), fmt::format("{} is no name of a host", Quote(name)),
                "write it as www.example.com");
}

template <bool Action::* Wanted, std::optional<Position> ActionDraft::* Given>
void ReadSwitch(Reader& reader, YamlNode node, ActionDraft& draft) {
  draft.action.*Wanted = reader.Bool(node).value_or(false);
  if (draft.action.*Wanted) draft.*Given = node.position();
}

constexpr std::array kActionFields{
    Field<ActionDraft>{{"action", Need::kRequired, "Post"},
                       [](Reader& reader, YamlNode node, ActionDraft& draft) {
                         draft.kind = reader.Name(node, "action", Actions());
                       },
                       "what the selector does when it matches"},
    Field<ActionDraft>{{"argError"},
                       [](Reader& reader, YamlNode node, ActionDraft& draft) {
                         draft.error_position = node.position();
                         const auto error = reader.Integer(node, -kErrnoMax, -1);
                         draft.action.error = static_cast<int32_t>(error.value_or(0));
                       },
                       "the errno that Override returns, or the enforcer, from -4095 to -1"},
    Field<ActionDraft>{{"argSig"},
                       [](Reader& reader, YamlNode node, ActionDraft& draft) {
                         draft.signal_position = node.position();
                         const auto signal = reader.Integer(node, 1, kSignalMax);
                         draft.action.signal = static_cast<int32_t>(signal.value_or(0));
                       },
                       "the number of the signal that Signal sends, or the enforcer"},
    Field<ActionDraft>{{"kernelStackTrace"},
                       ReadSwitch<&Action::kernel_stack, &ActionDraft::kernel_stack_position>,
                       "the event tells which functions of the kernel led to the hook"},
    Field<ActionDraft>{{"userStackTrace"},
                       ReadSwitch<&Action::user_stack, &ActionDraft::user_stack_position>,
                       "the event tells which functions of the program led there"},
    Field<ActionDraft>{{"imaHash"},
                       ReadSwitch<&Action::file_hash, &ActionDraft::hash_position>,
                       "the event tells the hash of the file, as the kernel's IMA makes it"},
    Field<ActionDraft>{{"rateLimit"},
                       [](Reader& reader, YamlNode node, ActionDraft& draft) {
                         draft.rate_position = node.position();
                         draft.action.interval_s = ReadInterval(reader, node).value_or(0);
                       },
                       "in this time the same event is posted once: 30, 30s, 5m, 1h"},
    Field<ActionDraft>{{"rateLimitScope"},
                       [](Reader& reader, YamlNode node, ActionDraft& draft) {
                         draft.scope_position = node.position();
                         draft.action.scope =
                             reader.Name(node, "scope", RateScopes()).value_or(RateScope::kThread);
                       },
                       "whose events are the same: those of a thread, a process, or of all"},
    Field<ActionDraft>{{"argUrl"}, ReadUrl, "the URL that GetUrl asks for"},
    Field<ActionDraft>{{"argFqdn"}, ReadHostName, "the name that DnsLookup looks up"},
    Field<ActionDraft>{{"argSock"},
                       [](Reader& reader, YamlNode node, ActionDraft& draft) {
                         draft.socket_position = node.position();
                         const auto index = reader.Integer(node, 0, GH_ARGUMENTS_MAX - 1);
                         draft.action.socket = static_cast<uint8_t>(index.value_or(0));
                       },
                       "the argument that is the socket, 0 if it is not said"},
    Field<ActionDraft>{{"argIndex"},
                       [](Reader& reader, YamlNode node, ActionDraft& draft) {
                         draft.argument_position = node.position();
                         const auto index = reader.Integer(node, 0, GH_ARGUMENTS_MAX - 1);
                         draft.action.argument = static_cast<uint32_t>(index.value_or(0));
                       },
                       "the argument that Set writes to"},
    Field<ActionDraft>{{"argValue"},
                       [](Reader& reader, YamlNode node, ActionDraft& draft) {
                         draft.value_position = node.position();
                         const auto value = reader.Integer(node, 0, UINT32_MAX);
                         draft.action.value = static_cast<uint32_t>(value.value_or(0));
                       },
                       "the number that Set writes"},
};

/// Reports a parameter that the action does not take.
void RefuseParameter(Reader& reader, ActionKind kind, std::string_view parameter,
                     const std::optional<Position>& given) {
  if (!given) return;
  reader.ReportField(parameter, *given, fmt::format("{} takes no {}", NameOf(kind), parameter),
                     "remove it");
}

/// Reports a parameter that the action needs and lacks, or has and does not take.
void CheckParameter(Reader& reader, Position action, ActionKind kind, std::string_view parameter,
                    bool needed, const std::optional<Position>& given, std::string_view example) {
  if (needed && !given) {
    reader.Report(action, fmt::format("{} is missing: {} needs it", parameter, NameOf(kind)),
                  fmt::format("add `{}: {}`", parameter, example));
  } else if (!needed) {
    RefuseParameter(reader, kind, parameter, given);
  }
}

std::optional<Action> ReadAction(Reader& reader, YamlNode node) {
  ActionDraft draft;
  if (!reader.Fields<ActionDraft>(node, kActionFields, draft) || !draft.kind) return std::nullopt;
  const ActionKind kind = *draft.kind;
  const bool notifies = kind == ActionKind::kNotifyEnforcer;
  // Policies for Tetragon have an argError beside Sigkill; there and here it has no effect.
  if (kind != ActionKind::kSigkill && !notifies) {
    CheckParameter(reader, node.position(), kind, "argError", kind == ActionKind::kOverride,
                   draft.error_position, "-1");
  }
  if (!notifies) {
    CheckParameter(reader, node.position(), kind, "argSig", kind == ActionKind::kSignal,
                   draft.signal_position, "15");
  } else if (!draft.error_position && !draft.signal_position) {
    reader.Report(node.position(), "argError and argSig are missing: NotifyEnforcer needs one",
                  "add `argSig: 9`");
  }
  CheckParameter(reader, node.position(), kind, "argUrl", kind == ActionKind::kGetUrl,
                 draft.url_position, "https://example.com");
  CheckParameter(reader, node.position(), kind, "argFqdn", kind == ActionKind::kDnsLookup,
                 draft.host_position, "www.example.com");
  CheckParameter(reader, node.position(), kind, "argIndex", kind == ActionKind::kSet,
                 draft.argument_position, "0");
  CheckParameter(reader, node.position(), kind, "argValue", kind == ActionKind::kSet,
                 draft.value_position, "1");
  if (!IsOfSocket(kind)) RefuseParameter(reader, kind, "argSock", draft.socket_position);
  const bool posts = kind == ActionKind::kPost;
  if (!posts) RefuseParameter(reader, kind, "rateLimit", draft.rate_position);
  if (!posts) RefuseParameter(reader, kind, "rateLimitScope", draft.scope_position);
  if (!posts) RefuseParameter(reader, kind, "kernelStackTrace", draft.kernel_stack_position);
  if (!posts) RefuseParameter(reader, kind, "userStackTrace", draft.user_stack_position);
  if (!posts) RefuseParameter(reader, kind, "imaHash", draft.hash_position);
  if (posts && draft.scope_position && !draft.rate_position) {
    reader.ReportField("rateLimitScope", *draft.scope_position, "there is no rateLimit",
                       "add `rateLimit: 5m`, or remove it");
  }
  draft.action.kind = kind;
  if (kind == ActionKind::kSigkill) {
    draft.action.signal = SIGKILL;
    draft.action.error = 0;
  }
  draft.action.position = node.position();
  return draft.action;
}

/// Whether a selector can have only one of two actions. What the agent does, it does when the event
/// has come.
bool Exclusive(ActionKind a, ActionKind b) {
  auto silent = [](ActionKind kind) { return kind == ActionKind::kNoPost; };
  if ((silent(a) && IsOfNetwork(b)) || (silent(b) && IsOfNetwork(a))) return true;
  auto posts = [](ActionKind kind) {
    return kind == ActionKind::kPost || kind == ActionKind::kNoPost;
  };
  auto signals = [](ActionKind kind) {
    return kind == ActionKind::kSigkill || kind == ActionKind::kSignal;
  };
  // The kernel's rule has one place for the signal and the socket, and one for the error.
  constexpr ActionKind kNotify = ActionKind::kNotifyEnforcer;
  auto names_one = [&](ActionKind kind) {
    return signals(kind) || IsOfSocket(kind) || kind == kNotify;
  };
  if (IsOfEnforcer(a) && IsOfEnforcer(b)) return true;
  if ((a == kNotify && b == ActionKind::kOverride) || (b == kNotify && a == ActionKind::kOverride))
    return true;
  return a == b || (posts(a) && posts(b)) || (names_one(a) && names_one(b));
}

}  // namespace

std::vector<Action> ReadActions(Reader& reader, YamlNode node) {
  std::vector<Action> actions;
  reader.Entries(node, kActionsMax, [&](YamlNode entry) {
    const std::optional<Action> action = ReadAction(reader, entry);
    if (!action) return;
    for (const Action& other : actions) {
      if (!Exclusive(action->kind, other.kind)) continue;
      reader.Report(entry.position(),
                    fmt::format("{} beside {} on line {}", NameOf(action->kind), NameOf(other.kind),
                                other.position.line),
                    "keep one of the two");
    }
    actions.push_back(*action);
  });
  return actions;
}

}  // namespace gatehouse::policy
