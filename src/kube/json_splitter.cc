// SPDX-License-Identifier: Apache-2.0
#include "kube/json_splitter.h"

#include <utility>

namespace gatehouse::kube {
namespace {

constexpr size_t kEnvelopeBytesMax = 1u << 20;
constexpr size_t kKeyBytesMax = 64;

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

tl::unexpected<Error> BadJson(const char* cause) {
  return Fail(ErrorCode::kInvalid, "", std::string("the server's answer is bad JSON: ") + cause);
}

}  // namespace

JsonSplitter::JsonSplitter(Shape shape, size_t object_bytes_max, Sink sink)
    : shape_(shape), object_bytes_max_(object_bytes_max), sink_(std::move(sink)) {}

bool JsonSplitter::InString(char c) {
  if (!in_string_) {
    if (c != '"') return false;
    in_string_ = true;
    string_.clear();
    return true;
  }
  if (escaped_) {
    escaped_ = false;
  } else if (c == '\\') {
    escaped_ = true;
  } else if (c == '"') {
    in_string_ = false;
    return true;
  }
  if (object_depth_ == 0 && string_.size() < kKeyBytesMax) string_ += c;
  return true;
}

Result<void> JsonSplitter::Emit() {
  object_depth_ = 0;
  between_ = Between::kNext;
  const bool more = sink_(object_);
  object_.clear();
  if (!more) return Fail(ErrorCode::kRefused, "", "nothing more is wanted");
  return {};
}

/// A character that is in no object and no string.
Result<void> JsonSplitter::Outside(char c) {
  if (shape_ == Shape::kSequence || in_items_) {
    if (IsSpace(c)) return {};
    if (c == '{' && (!in_items_ || between_ != Between::kNext)) {
      object_depth_ = ++depth_;
      object_ = c;
      return {};
    }
    if (in_items_ && c == ',' && between_ == Between::kNext) {
      between_ = Between::kEntry;
      return {};
    }
    if (in_items_ && c == ']' && between_ != Between::kEntry) {
      in_items_ = false;
      --depth_;
      envelope_ += c;
      return {};
    }
    return BadJson("something else than an object");
  }
  if (done_ && !IsSpace(c)) return BadJson("something behind its end");
  if (depth_ == 0 && !done_ && c != '{' && !IsSpace(c)) return BadJson("it is no object");
  envelope_ += c;
  if (c == ':' && depth_ == 1) key_ = string_;
  if (c == '{' || c == '[') {
    in_items_ = c == '[' && depth_ == 1 && key_ == "items";
    between_ = Between::kFirst;
    ++depth_;
  } else if (c == '}' || c == ']') {
    done_ = --depth_ == 0;
  } else if (c == ',' && depth_ == 1) {
    key_.clear();
  }
  return {};
}

Result<void> JsonSplitter::Feed(std::string_view bytes) {
  for (const char c : bytes) {
    const bool in_string = InString(c);
    if (object_depth_ != 0) {
      object_ += c;
      if (object_.size() > object_bytes_max_) return BadJson("an object is too large");
      if (in_string) continue;
      if (c == '{' || c == '[') {
        ++depth_;
      } else if (c == '}' || c == ']') {
        if (depth_-- == object_depth_) GH_TRY(Emit());
      }
    } else if (in_string) {
      if (shape_ == Shape::kSequence || in_items_ || depth_ == 0) {
        return BadJson("something else than an object");
      }
      envelope_ += c;
    } else {
      GH_TRY(Outside(c));
    }
    if (envelope_.size() > kEnvelopeBytesMax) return BadJson("a list with too much around it");
  }
  return {};
}

Result<std::string> JsonSplitter::Finish() {
  if (in_string_ || depth_ != 0 || (shape_ == Shape::kList && !done_)) {
    return BadJson("it ends too early");
  }
  return std::move(envelope_);
}

}  // namespace gatehouse::kube
