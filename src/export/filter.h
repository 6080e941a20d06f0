// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/field_mask.pb.h>
#include <tetragon/events.pb.h>

#include <memory>
#include <set>
#include <vector>

#include "base/result.h"
#include "event/enrich.h"

namespace gatehouse::exporting {

/// Which events, and which of their fields, a reader gets: the lists of a GetEventsRequest,
/// compiled.
///
/// An event passes if a filter of the allow list holds (or the list is empty) and none of the deny
/// list does. Inside a filter every field that is set must hold, inside a field one of its values.
/// Field filters then shape what passed, in order. Immutable; any thread.
class EventFilter {
 public:
  /// Errors (kInvalid: a regex, a field path; kUnsupported: a field that Gatehouse does not have)
  /// name the field: `allow_list[0].binary_regex[1]`. Nothing in the request is ignored.
  [[nodiscard]] static Result<EventFilter> Compile(const tetragon::GetEventsRequest& request);

  EventFilter();  ///< passes everything
  EventFilter(EventFilter&&) noexcept;
  EventFilter& operator=(EventFilter&&) noexcept;
  ~EventFilter();

  [[nodiscard]] bool Passes(const tetragon::GetEventsResponse& event) const;
  /// The event itself, or a copy with fields taken out.
  [[nodiscard]] event::EventPtr Shape(event::EventPtr event) const;

 private:
  struct Filter;
  struct FieldFilter;
  std::vector<Filter> allow_;
  std::vector<Filter> deny_;
  std::vector<FieldFilter> fields_;
};

}  // namespace gatehouse::exporting
