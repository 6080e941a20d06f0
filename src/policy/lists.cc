// SPDX-License-Identifier: Apache-2.0
#include "policy/lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "policy/names.h"

namespace gatehouse::policy {
namespace {

constexpr size_t kListsMax = 64;
constexpr size_t kValuesMax = 255;  // each becomes a hook, and a policy has no more

enum class ListType { kSystemCalls };
constexpr std::array kListTypes{
    NameRow<ListType>{"syscalls", "", ListType::kSystemCalls},
    NameRow<ListType>{"generated_syscalls", "", {}},
    NameRow<ListType>{"generated_ftrace", "", {}},
};

constexpr std::array kListFields{
    Field<NameList>{{"name", Need::kRequired, "files"},
                    [](Reader& reader, YamlNode node, NameList& list) {
                      list.name = ReadVariableName(reader, node).value_or("");
                    }},
    Field<NameList>{{"type"},
                    [](Reader& reader, YamlNode node, NameList&) {
                      static_cast<void>(reader.Name<ListType>(node, "type of list", kListTypes));
                    }},
    Field<NameList>{{"values", Need::kRequired, "[sys_openat]"},
                    [](Reader& reader, YamlNode node, NameList& list) {
                      reader.Entries(node, kValuesMax, [&](YamlNode entry) {
                        if (auto name = ReadKernelName(reader, entry))
                          list.values.push_back({*name, entry.position()});
                      });
                    }},
    Field<NameList>{{"pattern", Need::kUnsupported}},
    Field<NameList>{{"validated", Need::kIgnored}},
};

}  // namespace

std::vector<NameList> ReadLists(Reader& reader, YamlNode node) {
  std::vector<NameList> lists;
  reader.Entries(node, kListsMax, [&](YamlNode entry) {
    NameList list;
    if (!reader.Fields<NameList>(entry, kListFields, list)) return;
    list.position = entry.position();
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

const NameList* FindList(Reader& reader, YamlNode call, const std::vector<NameList>& lists) {
  const std::string_view name = call.text().substr(kListPrefix.size());
  const auto found = std::ranges::find(lists, name, &NameList::name);
  if (found != lists.end()) return &*found;
  std::vector<std::string_view> known;
  for (const NameList& list : lists) known.push_back(list.name);
  reader.Report(call.position(), fmt::format("there is no list {}", Quote(name)),
                known.empty() ? "declare it in spec.lists" : NameRemedy(name, known, known));
  return nullptr;
}

}  // namespace gatehouse::policy
