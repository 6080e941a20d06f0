// SPDX-License-Identifier: Apache-2.0
#include "policy/catalog.h"

#include <algorithm>
#include <array>

namespace gatehouse::policy {
namespace {

constexpr std::array kBprmArguments{
    HookArgument{0, ArgumentType::kLinuxBinprm, GH_SUBJECT_OBJECT},
};

constexpr std::array kHooks{
    HookRow{GH_HOOK_BPRM_CREDS_FOR_EXEC, "security_bprm_creds_for_exec", "bprm_creds_for_exec",
            kBprmArguments},
    HookRow{GH_HOOK_BPRM_CHECK, "security_bprm_check", "bprm_check_security", kBprmArguments},
};
static_assert(kHooks.size() == GH_HOOK_COUNT);

using OperatorName = NameRow<Operator>;
constexpr std::array kOperators{
    OperatorName{"Equal", "eq", Operator::kEqual},
    OperatorName{"NotEqual", "neq", Operator::kNotEqual},
    OperatorName{"In", "", Operator::kIn},
    OperatorName{"NotIn", "", Operator::kNotIn},
    OperatorName{"Prefix", "prefix", Operator::kPrefix},
    OperatorName{"NotPrefix", "notprefix", Operator::kNotPrefix},
    OperatorName{"Postfix", "postfix", Operator::kPostfix},
    OperatorName{"NotPostfix", "notpostfix", Operator::kNotPostfix},
    OperatorName{"GT", "GreaterThan", {}},
    OperatorName{"LT", "LessThan", {}},
    OperatorName{"Mask", "", {}},
    OperatorName{"InRange", "", {}},
    OperatorName{"NotInRange", "", {}},
    OperatorName{"InMap", "", {}},
    OperatorName{"NotInMap", "", {}},
    OperatorName{"SubString", "", {}},
    OperatorName{"SubStringIgnCase", "", {}},
    OperatorName{"SAddr", "", {}},
    OperatorName{"NotSAddr", "", {}},
    OperatorName{"DAddr", "", {}},
    OperatorName{"NotDAddr", "", {}},
    OperatorName{"SPort", "", {}},
    OperatorName{"NotSPort", "", {}},
    OperatorName{"DPort", "", {}},
    OperatorName{"NotDPort", "", {}},
    OperatorName{"SPortPriv", "", {}},
    OperatorName{"NotSPortPriv", "", {}},
    OperatorName{"DPortPriv", "", {}},
    OperatorName{"NotDPortPriv", "", {}},
    OperatorName{"Protocol", "", {}},
    OperatorName{"Family", "", {}},
    OperatorName{"State", "", {}},
    OperatorName{"FileType", "", {}},
    OperatorName{"NotFileType", "", {}},
    OperatorName{"CapabilitiesGained", "", {}},
    OperatorName{"CelExpr", "", {}},
};

constexpr std::array kPathOperators{
    Operator::kEqual,  Operator::kNotEqual,  Operator::kIn,      Operator::kNotIn,
    Operator::kPrefix, Operator::kNotPrefix, Operator::kPostfix, Operator::kNotPostfix,
};

using TypeName = NameRow<ArgumentType>;
constexpr std::array kArgumentTypes{
    TypeName{"linux_binprm", "", ArgumentType::kLinuxBinprm},
    TypeName{"auto", "", {}},
    TypeName{"int", "", {}},
    TypeName{"int8", "sint8", {}},
    TypeName{"uint8", "", {}},
    TypeName{"int16", "sint16", {}},
    TypeName{"uint16", "", {}},
    TypeName{"int32", "sint32", {}},
    TypeName{"uint32", "", {}},
    TypeName{"int64", "sint64", {}},
    TypeName{"long", "", {}},
    TypeName{"uint64", "ulong", {}},
    TypeName{"size_t", "", {}},
    TypeName{"char_buf", "", {}},
    TypeName{"char_iovec", "", {}},
    TypeName{"string", "", {}},
    TypeName{"data_loc", "", {}},
    TypeName{"filename", "", {}},
    TypeName{"fd", "", {}},
    TypeName{"file", "", {}},
    TypeName{"path", "", {}},
    TypeName{"dentry", "", {}},
    TypeName{"kiocb", "", {}},
    TypeName{"iov_iter", "", {}},
    TypeName{"skb", "", {}},
    TypeName{"sock", "", {}},
    TypeName{"socket", "", {}},
    TypeName{"sockaddr", "", {}},
    TypeName{"sockaddr_un", "", {}},
    TypeName{"cred", "", {}},
    TypeName{"user_namespace", "", {}},
    TypeName{"capability", "", {}},
    TypeName{"kernel_cap_t", "", {}},
    TypeName{"cap_inheritable", "", {}},
    TypeName{"cap_permitted", "", {}},
    TypeName{"cap_effective", "", {}},
    TypeName{"bpf_attr", "", {}},
    TypeName{"bpf_map", "", {}},
    TypeName{"bpf_prog", "", {}},
    TypeName{"bpf_cmd", "", {}},
    TypeName{"perf_event", "", {}},
    TypeName{"load_info", "", {}},
    TypeName{"module", "", {}},
    TypeName{"syscall64", "", {}},
    TypeName{"net_device", "", {}},
    TypeName{"const_buf", "", {}},
    TypeName{"nop", "", {}},
};

using ActionName = NameRow<ActionKind>;
constexpr std::array kActions{
    ActionName{"Post", "", ActionKind::kPost},
    ActionName{"NoPost", "", ActionKind::kNoPost},
    ActionName{"Override", "", ActionKind::kOverride},
    ActionName{"Sigkill", "", ActionKind::kSigkill},
    ActionName{"Signal", "", ActionKind::kSignal},
    ActionName{"NotifyEnforcer", "", {}},
    ActionName{"CleanupEnforcerNotification", "", {}},
    ActionName{"TrackSock", "", {}},
    ActionName{"UntrackSock", "", {}},
    ActionName{"GetUrl", "", {}},
    ActionName{"DnsLookup", "", {}},
    ActionName{"Set", "", {}},
};

using LabelOperatorName = NameRow<LabelOperator>;
constexpr std::array kLabelOperators{
    LabelOperatorName{"In", "", LabelOperator::kIn},
    LabelOperatorName{"NotIn", "", LabelOperator::kNotIn},
    LabelOperatorName{"Exists", "", LabelOperator::kExists},
    LabelOperatorName{"DoesNotExist", "", LabelOperator::kDoesNotExist},
};

constexpr std::array kModes{
    NameRow<Mode>{"enforce", "", Mode::kEnforce},
    NameRow<Mode>{"monitor", "", Mode::kMonitor},
};

constexpr std::array kOnOverlaps{
    NameRow<OnOverlap>{"Conflict", "", OnOverlap::kConflict},
    NameRow<OnOverlap>{"Merge", "", OnOverlap::kMerge},
};

constexpr std::array kOptions{
    NameRow<Option>{"policy-mode", "", Option::kPolicyMode},
    NameRow<Option>{"disable-kprobe-multi", "", Option::kNoEffect},
    NameRow<Option>{"disable-uprobe-multi", "", Option::kNoEffect},
    NameRow<Option>{"override-method", "", Option::kNoEffect},
};

}  // namespace

std::span<const HookRow> Hooks() { return kHooks; }

const HookRow* FindHook(HookKind kind, std::string_view call) {
  const auto* row = std::ranges::find_if(
      kHooks, [&](const HookRow& hook) { return hook.Spelling(kind) == call; });
  return row == kHooks.end() ? nullptr : row;
}

std::span<const NameRow<Operator>> Operators() { return kOperators; }

OperatorTraits TraitsOf(Operator op) {
  switch (op) {
    case Operator::kEqual:
    case Operator::kIn:
      return {GH_MATCH_EXACT, false};
    case Operator::kNotEqual:
    case Operator::kNotIn:
      return {GH_MATCH_EXACT, true};
    case Operator::kPrefix:
      return {GH_MATCH_PREFIX, false};
    case Operator::kNotPrefix:
      return {GH_MATCH_PREFIX, true};
    case Operator::kPostfix:
      return {GH_MATCH_POSTFIX, false};
    case Operator::kNotPostfix:
      return {GH_MATCH_POSTFIX, true};
  }
  return {};
}

std::span<const NameRow<ArgumentType>> ArgumentTypes() { return kArgumentTypes; }

ArgumentTypeTraits TraitsOf(ArgumentType type) {
  switch (type) {
    case ArgumentType::kLinuxBinprm:
      return {ValueKind::kPath, kPathOperators};
  }
  return {};
}

std::span<const Operator> BinaryOperators() { return kPathOperators; }

std::span<const NameRow<ActionKind>> Actions() { return kActions; }
std::span<const NameRow<LabelOperator>> LabelOperators() { return kLabelOperators; }
std::span<const NameRow<Mode>> Modes() { return kModes; }
std::span<const NameRow<OnOverlap>> OnOverlaps() { return kOnOverlaps; }
std::span<const NameRow<Option>> Options() { return kOptions; }

}  // namespace gatehouse::policy
