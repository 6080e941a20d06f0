// SPDX-License-Identifier: Apache-2.0
// gatehouse workload add|delete|list
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>
#include <vector>

#include "cli/client.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/table.h"

namespace gatehouse::cli {
namespace {

struct Arguments {
  std::string cgroup, ns, pod, pod_uid, container, container_id, image;
  std::vector<std::string> labels;
  bool replace = false;
};

std::string PoliciesOf(const v1::WorkloadStatus& status) {
  std::string text;
  for (const v1::AppliedPolicy& policy : status.policies()) {
    text += (text.empty() ? "" : ", ") + NameOf(policy);
  }
  return text;
}

std::string LabelsOf(const v1::Workload& workload) {
  const std::map<std::string, std::string> sorted(workload.labels().begin(),
                                                  workload.labels().end());
  std::string text;
  for (const auto& [key, value] : sorted) {
    if (!text.empty()) text += ",";
    text.append(key).append("=").append(value);
  }
  return text;
}

const char* SourceName(v1::WorkloadStatus::Source source) {
  switch (source) {
    case v1::WorkloadStatus::SOURCE_API:
      return "api";
    case v1::WorkloadStatus::SOURCE_FILE:
      return "file";
    case v1::WorkloadStatus::SOURCE_RUNTIME:
      return "runtime";
    default:
      return "";
  }
}

Result<ExitStatus> Add(const Invocation& invocation, const Arguments& arguments) {
  v1::AddWorkloadRequest request;
  v1::Workload* workload = request.mutable_workload();
  workload->set_cgroup_path(arguments.cgroup);
  workload->set_namespace_(arguments.ns);
  workload->set_pod(arguments.pod);
  workload->set_pod_uid(arguments.pod_uid);
  workload->set_container(arguments.container);
  workload->set_container_id(arguments.container_id);
  workload->set_image(arguments.image);
  for (const std::string& label : arguments.labels) {
    const size_t equals = label.find('=');
    (*workload->mutable_labels())[label.substr(0, equals)] = label.substr(equals + 1);
  }
  request.set_replace(arguments.replace);
  GH_ASSIGN(Client client, Client::Connect(invocation.control_socket));
  GH_ASSIGN(const v1::AddWorkloadResponse response, client.Call(request));
  if (invocation.format == Format::kJson) {
    GH_TRY(PrintJson(response));
    return kDone;
  }
  const std::string policies = PoliciesOf(response.workload());
  fmt::print("{}: registered; {}\n", Printable(NameOf(response.workload().workload())),
             policies.empty() ? "no policy is about it" : "policies in force: " + policies);
  return kDone;
}

Result<ExitStatus> Delete(const Invocation& invocation, const std::string& cgroup) {
  v1::DeleteWorkloadRequest request;
  request.set_cgroup_path(cgroup);
  GH_ASSIGN(Client client, Client::Connect(invocation.control_socket));
  GH_ASSIGN(const v1::DeleteWorkloadResponse response, client.Call(request));
  if (invocation.format == Format::kJson) {
    GH_TRY(PrintJson(response));
  } else {
    fmt::print("{}: deleted\n", cgroup);
  }
  return kDone;
}

Result<ExitStatus> List(const Invocation& invocation) {
  GH_ASSIGN(Client client, Client::Connect(invocation.control_socket));
  GH_ASSIGN(const v1::ListWorkloadsResponse response, client.Call(v1::ListWorkloadsRequest()));
  if (invocation.format == Format::kJson) {
    GH_TRY(PrintJson(response));
    return kDone;
  }
  if (response.workloads().empty()) {
    Print("no workloads; register one with: gatehouse workload add --cgroup PATH\n");
    return kDone;
  }
  Table table({{"ID", Table::Align::kRight},
               {"WORKLOAD"},
               {"LABELS"},
               {"POLICIES"},
               {"SOURCE"},
               {"CGROUP"}});
  for (const v1::WorkloadStatus& status : response.workloads()) {
    table.Add({std::to_string(status.id()), NameOf(status.workload()), LabelsOf(status.workload()),
               PoliciesOf(status), SourceName(status.source()),
               status.workload().cgroup_path() + (status.cgroup_id() == 0 ? " (gone)" : "")});
  }
  Print(table.ToString());
  return kDone;
}

std::string CheckLabel(const std::string& label) {
  const size_t equals = label.find('=');
  if (equals != std::string::npos && equals > 0) return {};
  return "\"" + label + "\" is no label; write KEY=VALUE";
}

}  // namespace

void AddWorkloadCommands(CLI::App& app, Invocation& invocation) {
  CLI::App* group = AddGroup(app, "workload", "Register, delete and look at workloads",
                             "  gatehouse workload add --cgroup /sys/fs/cgroup/shop --label "
                             "app=shop\n"
                             "  gatehouse workload list\n"
                             "  gatehouse workload delete /sys/fs/cgroup/shop\n");

  CLI::App* add = AddCommand(
      *group, "add", "Tie a cgroup, with all that are below it, to an identity",
      "  gatehouse workload add --cgroup /sys/fs/cgroup/shop --label app=shop\n"
      "  gatehouse workload add --cgroup /sys/fs/cgroup/web --namespace shop --pod web-1 \\\n"
      "      --container app --image docker.io/library/nginx:1.25 --label app=web\n");
  const auto added = std::make_shared<Arguments>();
  add->add_option("--cgroup", added->cgroup, "Absolute path of the cgroup's directory")
      ->type_name("PATH")
      ->required();
  add->add_option("--namespace", added->ns, "Namespace of the pod")->type_name("NAME");
  add->add_option("--pod", added->pod, "Name of the pod")->type_name("NAME");
  add->add_option("--pod-uid", added->pod_uid, "Uid of the pod, for events")->type_name("UID");
  add->add_option("--container", added->container, "Name of the container")->type_name("NAME");
  add->add_option("--container-id", added->container_id, "Id that the runtime gave it")
      ->type_name("ID");
  add->add_option("--image", added->image, "Reference of the container's image")
      ->type_name("IMAGE");
  add->add_option("--label", added->labels, "A label of the pod; may be given often")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false)
      ->check(CLI::Validator(CheckLabel, "", "label"));
  add->add_flag("--replace", added->replace, "Give a cgroup that is known the new identity");
  AddClientOptions(*add, invocation);
  add->callback([&invocation, added] {
    invocation.run = [added](const Invocation& chosen) { return Add(chosen, *added); };
  });

  CLI::App* remove =
      AddCommand(*group, "delete", "Forget a workload; its processes go on as host's",
                 "  gatehouse workload delete /sys/fs/cgroup/shop\n");
  const auto removed = std::make_shared<Arguments>();
  remove->add_option("PATH", removed->cgroup, "Absolute path of the cgroup's directory")
      ->required();
  AddClientOptions(*remove, invocation);
  remove->callback([&invocation, removed] {
    invocation.run = [removed](const Invocation& chosen) {
      return Delete(chosen, removed->cgroup);
    };
  });

  CLI::App* list = AddCommand(*group, "list", "List workloads with the policies in force on them",
                              "  gatehouse workload list\n");
  AddClientOptions(*list, invocation);
  list->callback([&invocation] { invocation.run = List; });
}

}  // namespace gatehouse::cli
