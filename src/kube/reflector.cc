// SPDX-License-Identifier: Apache-2.0
#include "kube/reflector.h"

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

#include "kube/json_fields.h"

namespace gatehouse::kube {
namespace {

using nlohmann::json;

// etcd takes 1.5 MiB for an object; a list or an event adds little.
constexpr size_t kObjectBytesMax = 4u << 20;
constexpr size_t kObjectsMax = 500'000;
constexpr size_t kPageObjects = 500;
constexpr size_t kErrorBytesMax = 4096;
// A watch that lasted so long was one, even if nothing happened.
constexpr std::chrono::seconds kGoodWatch{5};

constexpr int kOk = 200;
constexpr int kBadRequest = 400;
constexpr int kUnauthorized = 401;
constexpr int kForbidden = 403;
constexpr int kNotFound = 404;
constexpr int kGone = 410;
constexpr int kGatewayTimeout = 504;  // also: no such version yet

std::string Encode(std::string_view text) {
  constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '.' || c == '_' || c == '~';
    if (plain) {
      encoded += c;
    } else {
      encoded += {'%', kHex[byte >> 4], kHex[byte & 15]};
    }
  }
  return encoded;
}

std::optional<uint64_t> NumberOf(const std::string& text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

/// The object's, or "".
std::string ResourceVersionOf(const json& object) {
  const Result<const json*> metadata = ReadObject(object, "metadata");
  if (!metadata) return {};
  return ReadText(**metadata, "resourceVersion", kNameBytesMax).value_or("");
}

}  // namespace

const char* ReflectorStateName(ReflectorState state) {
  switch (state) {
    case ReflectorState::kStarting:
      return "starting";
    case ReflectorState::kWatching:
      return "watching";
    case ReflectorState::kAbsent:
      return "absent";
    case ReflectorState::kForbidden:
      return "forbidden";
    case ReflectorState::kAway:
      return "away";
  }
  return "";
}

Reflector::Reflector(Resource resource, Timing timing, Random random,
                     std::unique_ptr<Objects> objects, Clock::time_point now)
    : resource_(std::move(resource)),
      timing_(timing),
      random_(random),
      backoff_(timing.backoff_first, timing.backoff_max, std::move(random)),
      objects_(std::move(objects)),
      due_(now) {
  health_.resource = resource_.path;
  health_.since = now;
}

Reflector::~Reflector() = default;

std::string Reflector::ListTarget() {
  std::string target = resource_.path + '?';
  const bool cached = resource_.from_cache && !consistent_;
  // A limit would make the server read its storage, whatever else is said; then it is in pages.
  if (!cached) target += "limit=" + std::to_string(kPageObjects);
  if (!continue_.empty()) target += "&continue=" + Encode(continue_);
  if (cached) {
    target += resource_version_.empty() ? "resourceVersion=0"
                                        : "resourceVersion=" + Encode(resource_version_) +
                                              "&resourceVersionMatch=NotOlderThan";
  }
  return target;
}

std::string Reflector::WatchTarget() {
  const double seconds = static_cast<double>(timing_.watch.count()) * (1 + random_());
  return resource_.path +
         "?watch=true&allowWatchBookmarks=true&resourceVersion=" + Encode(resource_version_) +
         "&timeoutSeconds=" + std::to_string(static_cast<int64_t>(seconds));
}

Request Reflector::Begin(Clock::time_point now) {
  due_.reset();
  begun_ = now;
  status_ = 0;
  event_code_ = 0;
  error_.clear();
  error_body_.clear();
  progress_ = false;
  Request request;
  request.idle_max = timing_.idle_max;
  if (phase_ == Phase::kList) {
    if (!list_begun_) objects_->BeginList();
    list_begun_ = true;
    splitter_.emplace(JsonSplitter::Shape::kList, kObjectBytesMax,
                      [this](std::string_view text) { return TakeListed(text); });
    request.target = ListTarget();
    request.total_max = timing_.total_max;
  } else {
    splitter_.emplace(JsonSplitter::Shape::kSequence, kObjectBytesMax,
                      [this](std::string_view text) { return TakeEvent(text); });
    request.target = WatchTarget();
    // In case that the server forgets to end it.
    request.total_max = 2 * timing_.watch + timing_.total_max;
  }
  if (!resource_.field_selector.empty()) {
    request.target += "&fieldSelector=" + Encode(resource_.field_selector);
  }
  return request;
}

void Reflector::Answered(int status, Clock::time_point now) {
  status_ = status;
  if (phase_ != Phase::kWatch || status != kOk) return;
  SetState(ReflectorState::kWatching, now);
  const std::lock_guard lock(mutex_);
  ++health_.watches;
}

bool Reflector::Receive(std::string_view bytes, Clock::time_point /*now*/) {
  if (status_ != kOk) {
    error_body_ += bytes.substr(0, kErrorBytesMax - error_body_.size());
    return error_body_.size() < kErrorBytesMax;
  }
  const Result<void> fed = splitter_->Feed(bytes);
  if (!fed && error_.empty() && event_code_ == 0) error_ = fed.error().cause;
  if (phase_ == Phase::kWatch) objects_->Flush();
  const std::lock_guard lock(mutex_);
  health_.objects = objects_->size();
  return fed.has_value();
}

void Reflector::TakeObject(const Result<void>& taken) {
  if (taken) return;
  NoteError("an object cannot be read: " + taken.error().Message(), begun_);
  const std::lock_guard lock(mutex_);
  ++health_.unreadable;
}

bool Reflector::TakeListed(std::string_view text) {
  const json object = json::parse(text, nullptr, false);
  if (!object.is_object()) {
    error_ = "the server's answer is bad JSON: an object of a list is none";
    return false;
  }
  TakeObject(objects_->Put(object));
  if (objects_->size() <= kObjectsMax) return true;
  error_ = "the list has more than " + std::to_string(kObjectsMax) + " objects";
  return false;
}

bool Reflector::TakeEvent(std::string_view text) {
  const json event = json::parse(text, nullptr, false);
  const std::string type =
      event.is_object() ? ReadText(event, "type", kNameBytesMax).value_or("") : "";
  const json* const object =
      event.is_object() ? ReadObject(event, "object").value_or(nullptr) : nullptr;
  if (type.empty() || object == nullptr) {
    error_ = "the server's answer is bad JSON: something else than an event";
    return false;
  }
  if (type == "ERROR") {
    event_code_ = static_cast<int>(ReadInteger(*object, "code").value_or(0));
    if (event_code_ == 0) event_code_ = -1;
    error_ = "the watch ended with an error: " +
             ReadText(*object, "message", kErrorBytesMax).value_or("");
    return false;
  }
  if (type == "ADDED" || type == "MODIFIED") {
    TakeObject(objects_->Put(*object));
  } else if (type == "DELETED") {
    TakeObject(objects_->Remove(*object));
  } else if (type != "BOOKMARK") {
    error_ = "the watch has an event of an unknown type \"" + type + "\"";
    return false;
  }
  progress_ = true;
  const std::string version = ResourceVersionOf(*object);
  const std::optional<uint64_t> number = NumberOf(version);
  const std::optional<uint64_t> before = NumberOf(resource_version_);
  if (!version.empty() && !(number && before && *number < *before)) resource_version_ = version;
  if (type != "BOOKMARK") {
    const std::lock_guard lock(mutex_);
    ++health_.events;
  }
  return true;
}

void Reflector::StartOver(bool consistent) {
  phase_ = Phase::kList;
  continue_.clear();
  list_begun_ = false;
  consistent_ = consistent;
}

void Reflector::End(const Outcome& outcome, Clock::time_point now) {
  if (phase_ == Phase::kWatch) {
    EndWatch(outcome, now);
  } else if (outcome.status != kOk || !outcome.error.empty() || !error_.empty()) {
    // Of the cache: it does not have this version yet, or does not know what was asked.
    const bool cached = resource_.from_cache && !consistent_;
    const bool unserved = outcome.status == kBadRequest || outcome.status == kGatewayTimeout;
    if (outcome.status == kGone || (cached && unserved)) StartOver(true);
    Failed(outcome, error_.empty() ? Describe(outcome, error_body_) : error_, now);
  } else {
    EndList(now);
  }
  objects_->Flush();
  splitter_.reset();
  const std::lock_guard lock(mutex_);
  health_.objects = objects_->size();
}

/// A page has come as a whole, or so it seems.
void Reflector::EndList(Clock::time_point now) {
  const Result<std::string> envelope = splitter_->Finish();
  if (!envelope) return Failed({}, envelope.error().cause, now);
  const json list = json::parse(*envelope, nullptr, false);
  const json* const metadata =
      list.is_object() ? ReadObject(list, "metadata").value_or(nullptr) : nullptr;
  const Result<const json*> items = list.is_object()
                                        ? ReadObjects(list, "items", 0)
                                        : Fail(ErrorCode::kInvalid, "", "the list is no object");
  std::string version = metadata != nullptr ? ResourceVersionOf(list) : "";
  if (!items || version.empty()) {
    return Failed({}, "the server's answer is bad JSON: it is no list of objects", now);
  }
  const auto next = metadata->find("continue");
  continue_ = next != metadata->end() && next->is_string() ? next->get<std::string>() : "";
  due_ = now;
  if (!continue_.empty()) return;
  objects_->EndList();
  resource_version_ = std::move(version);
  phase_ = Phase::kWatch;
  list_begun_ = false;
  consistent_ = false;
  SetState(ReflectorState::kWatching, now);
  const std::lock_guard lock(mutex_);
  ++health_.lists;
  health_.synced = true;
}

void Reflector::EndWatch(const Outcome& outcome, Clock::time_point now) {
  if (outcome.status == kOk && (progress_ || now - begun_ >= kGoodWatch)) backoff_.Reset();
  const int code = event_code_ != 0 ? event_code_ : outcome.status;
  if (code == kGone) {
    StartOver(true);
  } else if (code == kNotFound) {
    StartOver(false);
  } else if (code == kOk && error_.empty() && outcome.error.empty()) {
    const Result<std::string> rest = splitter_->Finish();
    if (rest) {
      due_ = progress_ || now - begun_ >= kGoodWatch ? now : now + backoff_.Next();
      return;
    }
    error_ = rest.error().cause;
  }
  Failed(outcome, error_.empty() ? Describe(outcome, error_body_) : error_, now);
}

void Reflector::Failed(const Outcome& outcome, const std::string& error, Clock::time_point now) {
  ReflectorState state = ReflectorState::kAway;
  Clock::duration delay{};
  if (outcome.status == kNotFound || outcome.status == kForbidden) {
    state = outcome.status == kNotFound ? ReflectorState::kAbsent : ReflectorState::kForbidden;
    delay = Spread(timing_.absent, random_);
  } else {
    if (outcome.status == kUnauthorized) state = ReflectorState::kForbidden;
    delay = backoff_.Next();
  }
  if (outcome.retry_after) delay = std::max<Clock::duration>(delay, *outcome.retry_after);
  due_ = now + delay;
  SetState(state, now);
  NoteError(error, now);
}

void Reflector::SetState(ReflectorState state, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  if (health_.state == state) return;
  health_.state = state;
  health_.since = now;
}

void Reflector::NoteError(const std::string& error, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  health_.last_error = error;
  health_.last_error_at = now;
}

Health Reflector::health() const {
  const std::lock_guard lock(mutex_);
  return health_;
}

}  // namespace gatehouse::kube
