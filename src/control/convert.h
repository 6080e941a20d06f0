// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gatehouse/gatehouse.pb.h>
#include <tetragon/sensors.pb.h>
#include <tetragon/tetragon.pb.h>

#include "daemon/agent.h"
#include "daemon/event_pipeline.h"
#include "daemon/source_health.h"

/// From the agent's values to the messages of the API. Pure functions.
namespace gatehouse::control {

// ---- tetragon ----
void Fill(const daemon::PolicyView& view, tetragon::TracingPolicyStatus* out);

// ---- gatehouse.v1 ----
void Fill(const policy::Diagnostic& diagnostic, v1::Diagnostic* out);
void Fill(const daemon::ApplyResult& result, v1::AddPoliciesResponse* out);
void Fill(const daemon::PolicyView& view, v1::PolicyStatus* out);
void Fill(const daemon::PolicyView& view, v1::PolicyStats* out);
void Fill(const daemon::WorkloadView& view, v1::WorkloadStatus* out);
void Fill(const kernel::Status& status, v1::GetStatusResponse* out);
void Fill(const daemon::EventCounts& counts, v1::EventStats* out);
/// `backend`: Override is carried out as a signal by kernel::Backend::kSignal.
void Fill(const daemon::Explanation& explanation, kernel::Backend backend,
          v1::ExplainResponse* out);

[[nodiscard]] v1::PolicyKind KindOf(const policy::Key& key, bind::Kind kind);
[[nodiscard]] workload::Workload FromMessage(const v1::Workload& workload);
/// "" for the host: what Agent::Explain takes.
[[nodiscard]] std::string NameOf(const v1::WorkloadRef& workload);

void Fill(const daemon::SourceHealth& health, v1::Source* out);

}  // namespace gatehouse::control
