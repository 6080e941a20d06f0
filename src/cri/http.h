// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

/// HTTP to a server on a unix socket.
namespace gatehouse::cri {

struct HttpAnswer {
  long status = 0;
  std::string body;
};

/// Requests one after the other, over one connection. One thread.
class HttpClient {
 public:
  HttpClient(std::string socket, std::chrono::milliseconds timeout);
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();

  /// Waits for the answer to GET `path`, whatever its status. Errors (object: the socket): no
  /// answer in time, or one of more than 16 MiB.
  [[nodiscard]] Result<HttpAnswer> Get(const std::string& path);

 private:
  struct Handles;
  const std::string socket_;
  std::unique_ptr<Handles> handles_;
};

/// An answer that does not end, line by line. All but Wake for one thread.
class HttpLines {
 public:
  /// Begins to ask for `path`. `line` is called from Wait.
  HttpLines(std::string socket, const std::string& path,
            std::function<void(std::string_view)> line);
  HttpLines(const HttpLines&) = delete;
  HttpLines& operator=(const HttpLines&) = delete;
  ~HttpLines();

  /// Waits until lines have come, Wake was called, or `most`. Error: the answer has ended, is not
  /// one of status 200, or has a line of more than 1 MiB.
  [[nodiscard]] Result<void> Wait(std::chrono::milliseconds most);
  /// Whether the server has begun to answer.
  [[nodiscard]] bool begun() const;
  /// Ends a wait, or the next one. Any thread.
  void Wake();

 private:
  struct Handles;
  const std::string socket_;
  std::unique_ptr<Handles> handles_;
};

}  // namespace gatehouse::cri
