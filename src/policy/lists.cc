// SPDX-License-Identifier: Apache-2.0
#include "policy/lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/catalog.h"
#include "policy/format.h"
#include "policy/names.h"
#include "policy/regular_expression.h"
#include "policy/system_calls.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kListsMax = 64;
constexpr size_t kValuesMax = GH_HOOKS_PER_POLICY_MAX;  // each becomes a hook
constexpr size_t kPatternBytesMax = 1024;

constexpr std::array kListTypes{
    NameRow<ListType>{"syscalls", "", ListType::kSystemCalls},
    NameRow<ListType>{"generated_syscalls", "", ListType::kAllSystemCalls},
    NameRow<ListType>{"generated_ftrace", "", ListType::kMatchingFunctions},
};

struct ListDraft {
  std::optional<YamlNode> type;
  std::optional<YamlNode> values;
  std::optional<YamlNode> pattern;
  NameList list;
};

constexpr std::array kListFields{
    Field<ListDraft>{{"name", Need::kRequired, "files"},
                     [](Reader& reader, YamlNode node, ListDraft& draft) {
                       draft.list.name = ReadVariableName(reader, node).value_or("");
                     },
                     "what list:NAME refers to"},
    Field<ListDraft>{{"type"},
                     Keep<ListDraft, &ListDraft::type>,
                     "where the names come from: they are written, or the kernel is asked"},
    Field<ListDraft>{{"values"}, Keep<ListDraft, &ListDraft::values>, "the names"},
    Field<ListDraft>{{"pattern"},
                     Keep<ListDraft, &ListDraft::pattern>,
                     "a regular expression, for the functions of the kernel that it matches"},
    Field<ListDraft>{{"validated", Need::kIgnored}},
};

void ReadValues(Reader& reader, YamlNode node, NameList& list) {
  reader.Entries(node, kValuesMax, [&](YamlNode entry) {
    if (auto name = ReadListedName(reader, entry)) list.values.push_back({*name, entry.position()});
  });
}

void ReadPattern(Reader& reader, YamlNode node, NameList& list) {
  const std::optional<std::string> pattern = ReadText(reader, node, kPatternBytesMax);
  if (!pattern) return;
  list.pattern = *pattern;
  if (const std::optional<std::string> fault = FaultOf(*pattern)) {
    reader.Report(node.position(),
                  fmt::format("{} is no regular expression: {}", Quote(*pattern), *fault),
                  "write one in the syntax of RE2, such as \"^ksys_\"");
  }
}

/// A field that belongs to lists of some types: it must be there, or must not.
void ReadFieldOfType(Reader& reader, std::string_view field, const std::optional<YamlNode>& node,
                     bool wanted, std::string_view example, ListDraft& draft,
                     void (*read)(Reader&, YamlNode, NameList&)) {
  const std::string noun = draft.type ? fmt::format("a list of type {}", draft.type->text())
                                      : std::string("a list without type");
  if (!node) {
    if (!wanted) return;
    return reader.Report(draft.list.position, fmt::format("{} needs {}", noun, field),
                         fmt::format("add `{}: {}`", field, example));
  }
  const Reader::Scope scope(reader, field);
  if (wanted) return read(reader, *node, draft.list);
  reader.Report(node->position(), fmt::format("{} has no {}", noun, field), "remove it");
}

void ReadList(Reader& reader, YamlNode node, ListDraft& draft) {
  NameList& list = draft.list;
  list.position = node.position();
  if (draft.type) {
    const Reader::Scope scope(reader, "type");
    const auto type = reader.Name<ListType>(*draft.type, "type of list", kListTypes);
    if (!type) return;
    list.type = *type;
  }
  ReadFieldOfType(reader, "values", draft.values, !list.generated(), "[sys_openat]", draft,
                  ReadValues);
  ReadFieldOfType(reader, "pattern", draft.pattern, list.type == ListType::kMatchingFunctions,
                  "^ksys_", draft, ReadPattern);
}

/// Of a list that cannot stand for numbers.
void ReportNoNumbers(Reader& reader, YamlNode value, std::string cause, std::string remedy) {
  reader.Report(value.position(),
                fmt::format("{} stands for no numbers: {}", Quote(value.text()), cause),
                std::move(remedy));
}

bool SearchesMembers(Operator op) {
  return op != Operator::kGreater && op != Operator::kLess && op != Operator::kMask &&
         op != Operator::kNotMask && op != Operator::kCapabilitiesGained;
}

/// The number of one system call of a list; nullopt, reported, if there is none.
std::optional<std::string> ReadNumber(Reader& reader, YamlNode value, const ListedName& listed,
                                      ArgumentType type) {
  const auto refuse = [&](const std::string& cause, const std::string& remedy) {
    ReportNoNumbers(
        reader, value,
        fmt::format("{} on line {} {}", Quote(listed.name), listed.position.line, cause), remedy);
    return std::nullopt;
  };
  const std::optional<SystemCallName> call = FindSystemCall(listed.name);
  if (!call) return refuse("is no system call", "a system call's name begins with sys_");
  if (call->compat && type != ArgumentType::kSystemCall) {
    return refuse(
        fmt::format("is one of the 32-bit table, whose numbers a {} cannot tell from the others",
                    NameOf(type)),
        fmt::format("give the argument type {}", NameOf(ArgumentType::kSystemCall)));
  }
  const std::optional<uint32_t> number = NumberOf(*call);
  if (!number) return refuse("has no number that is known", "write its number as a value");
  return std::to_string(call->compat ? GH_COMPAT_CALL + *number : *number);
}

}  // namespace

std::vector<NameList> ReadLists(Reader& reader, YamlNode node) {
  std::vector<NameList> lists;
  reader.Entries(node, kListsMax, [&](YamlNode entry) {
    ListDraft draft;
    if (!reader.Fields<ListDraft>(entry, kListFields, draft)) return;
    ReadList(reader, entry, draft);
    NameList& list = draft.list;
    const auto other = std::ranges::find(lists, list.name, &NameList::name);
    if (other != lists.end()) {
      reader.ReportField("name", entry.position(),
                         fmt::format("list {} is there twice, first on line {}", Quote(list.name),
                                     other->position.line),
                         "remove one of the two");
    }
    lists.push_back(std::move(list));
  });
  return lists;
}

const NameList* FindList(Reader& reader, YamlNode node, const std::vector<NameList>& lists) {
  const std::string_view name = node.text().substr(kListPrefix.size());
  const auto found = std::ranges::find(lists, name, &NameList::name);
  if (found != lists.end()) return &*found;
  std::vector<std::string_view> known;
  for (const NameList& list : lists) known.push_back(list.name);
  reader.Report(node.position(), fmt::format("there is no list {}", Quote(name)),
                known.empty() ? "declare it in spec.lists" : NameRemedy(name, known, known));
  return nullptr;
}

bool TakesLists(ArgumentType type) {
  return TraitsOf(type).values == ValueKind::kNumber &&
         std::ranges::find(ArgumentTypes(), type, &NameRow<ArgumentType>::value) !=
             ArgumentTypes().end();
}

std::vector<std::string> ReadNumbersOfList(Reader& reader, YamlNode value,
                                           const std::vector<NameList>& lists, ArgumentType type,
                                           Operator op) {
  std::vector<std::string> numbers;
  const NameList* const list = FindList(reader, value, lists);
  if (list == nullptr) return numbers;
  if (!SearchesMembers(op)) {
    ReportNoNumbers(reader, value, fmt::format("{} compares with single numbers", NameOf(op)),
                    "use InMap or NotInMap");
  } else if (list->type != ListType::kSystemCalls) {
    ReportNoNumbers(
        reader, value,
        list->generated() ? "only the kernel knows its names" : "it is not of type syscalls",
        "use a list of type syscalls, with values");
  } else {
    for (const ListedName& listed : list->values) {
      if (auto number = ReadNumber(reader, value, listed, type)) numbers.push_back(*number);
    }
  }
  return numbers;
}

}  // namespace gatehouse::policy
