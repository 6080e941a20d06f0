// SPDX-License-Identifier: Apache-2.0
#include "workload/file.h"

#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "policy/reader.h"
#include "policy/source.h"
#include "policy/yaml_tree.h"

namespace gatehouse::workload {
namespace {

using policy::Field;
using policy::Need;
using policy::Reader;
using policy::YamlNode;

template <std::string Workload::* Member>
void ReadString(Reader& reader, YamlNode node, Workload& workload) {
  workload.*Member = reader.String(node).value_or("");
}

void ReadLabels(Reader& reader, YamlNode node, Workload& workload) {
  if (!reader.ExpectMapping(node)) return;
  node.EachPair([&](YamlNode key, YamlNode value) {
    if (!key.IsScalar()) return;  // the tree reports it
    const Reader::Scope scope(reader, key.text());
    if (auto text = reader.String(value)) workload.labels.emplace(key.text(), std::move(*text));
  });
}

constexpr std::array kFields{
    Field<Workload>{{"cgroup", Need::kRequired, "/sys/fs/cgroup/my.slice"},
                    ReadString<&Workload::cgroup>,
                    "the path of its cgroup"},
    Field<Workload>{{"namespace"}, ReadString<&Workload::ns>, "the pod's namespace"},
    Field<Workload>{{"pod"}, ReadString<&Workload::pod>, "the pod's name"},
    Field<Workload>{{"podUID"}, ReadString<&Workload::pod_uid>, "the pod's uid"},
    Field<Workload>{{"container"}, ReadString<&Workload::container>, "the container's name"},
    Field<Workload>{{"containerID"}, ReadString<&Workload::container_id>, "the container's id"},
    Field<Workload>{{"image"}, ReadString<&Workload::image>, "the container's image"},
    Field<Workload>{{"labels"}, ReadLabels, "what policies select it by"},
};

/// Reads the one document of a file.
class FileParser {
 public:
  FileParser(Reader& reader, std::string_view root) : reader_(reader), root_(root) {}

  void Read(YamlNode list) {
    const bool empty_list = list.kind() == policy::YamlKind::kSequence && list.size() == 0;
    if (empty_list) return;
    reader_.Entries(list, kWorkloadsPerFileMax, [&](YamlNode entry) { ReadWorkload(entry); });
  }

  std::vector<Workload> Take() { return std::move(workloads_); }

 private:
  void ReadWorkload(YamlNode entry) {
    const size_t reports = reader_.reports();
    Workload workload;
    workload.source = Source::kFile;
    if (!reader_.Fields<Workload>(entry, kFields, workload) || reader_.reports() != reports) return;
    if (auto cgroup = NormalizeCgroup(workload.cgroup, root_)) {
      workload.cgroup = std::move(*cgroup);
    } else {
      return Report(entry, std::move(cgroup).error());
    }
    if (auto valid = CheckIdentity(workload); !valid) {
      return Report(entry, std::move(valid).error());
    }
    const auto [first, added] = lines_.try_emplace(workload.cgroup, entry.position().line);
    if (!added) {
      return Report(entry, {ErrorCode::kExists, "cgroup " + workload.cgroup,
                            "is there twice, first on line " + std::to_string(first->second),
                            "remove one of the two"});
    }
    workloads_.push_back(std::move(workload));
  }

  void Report(YamlNode entry, Error error) {
    reader_.Report(entry.position(), error.object + ": " + error.cause, std::move(error.remedy));
  }

  Reader& reader_;
  std::string_view root_;
  std::vector<Workload> workloads_;
  std::map<std::string, uint32_t> lines_;
};

}  // namespace

tl::expected<std::vector<Workload>, std::vector<policy::Diagnostic>> ParseFile(
    std::string_view text, std::string_view file, std::string_view root,
    const policy::ParseLimits& limits) {
  policy::Diagnostics diagnostics(file);
  if (!policy::CheckText(text, limits, diagnostics)) return tl::unexpected(diagnostics.Take());

  policy::DocumentSplitter splitter(text);
  const std::optional<policy::RawDocument> document = splitter.Next();
  if (!document) return std::vector<Workload>();
  policy::YamlTree tree;
  size_t nodes_left = limits.nodes;
  Reader reader(limits, diagnostics);
  FileParser parser(reader, root);
  if (tree.Read(*document, limits, nodes_left, diagnostics) == policy::YamlOutcome::kTree) {
    parser.Read(tree.root());
  }
  if (const auto second = splitter.Next()) {
    diagnostics.Add({second->first_line, 1}, "", "a second document",
                    "put all workloads into one list");
  }
  if (diagnostics.errors() != 0) return tl::unexpected(diagnostics.Take());
  return parser.Take();
}

}  // namespace gatehouse::workload
