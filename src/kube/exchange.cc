// SPDX-License-Identifier: Apache-2.0
#include "kube/exchange.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace gatehouse::kube {

std::string MessageOfStatus(std::string_view body) {
  constexpr size_t kMessageBytesMax = 512;
  const nlohmann::json status = nlohmann::json::parse(body, nullptr, false);
  if (!status.is_object()) return {};
  const auto message = status.find("message");
  if (message == status.end() || !message->is_string()) return {};
  std::string text = message->get<std::string>().substr(0, kMessageBytesMax);
  std::ranges::replace_if(text, [](char c) { return c >= 0 && c < ' '; }, ' ');
  return text;
}

std::string Describe(const Outcome& outcome, std::string_view body) {
  if (outcome.status == 0) return outcome.error;
  std::string text = "HTTP status " + std::to_string(outcome.status);
  const std::string message = MessageOfStatus(body);
  if (!message.empty()) return text + ": " + message;
  return outcome.error.empty() ? text : text + ": " + outcome.error;
}

}  // namespace gatehouse::kube
