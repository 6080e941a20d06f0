// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <condition_variable>
#include <deque>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "kube/test_certificates.h"

struct ssl_ctx_st;  // SSL_CTX, SSL
struct ssl_st;

namespace gatehouse::kube::testing {

/// A request that waits for its answer: one Answer, or Stream, any number of Send, and EndStream or
/// Break.
class TestCall {
 public:
  TestCall(ssl_st* ssl, std::string method, std::string target, std::string headers,
           std::string body);
  TestCall(const TestCall&) = delete;
  TestCall& operator=(const TestCall&) = delete;

  std::string method;
  std::string target;
  std::string headers;  ///< each with `\r\n`
  std::string body;

  [[nodiscard]] std::string Header(std::string_view name) const;

  /// `more`: further headers, each with `\r\n`.
  void Answer(int status, const std::string& text, const std::string& more = "");
  void Stream();
  void Send(std::string_view text);
  void EndStream();
  /// Ends the connection in the middle of what it is in.
  void Break();

  /// Waits until the call is answered. True: the connection can be used again.
  [[nodiscard]] bool WaitEnded();

 private:
  void Write(std::string_view text);
  void End(bool usable);

  ssl_st* ssl_;  // used by the test's thread from the call's beginning to its end
  std::mutex mutex_;
  std::condition_variable ended_condition_;
  bool ended_ = false;
  bool usable_ = false;
};

/// An HTTPS server on 127.0.0.1 whose answers a test gives by hand.
class TestServer {
 public:
  /// `client_authority`: PEM; not empty: clients must show a certificate that it signed.
  explicit TestServer(const TestCertificate& certificate, const std::string& client_authority = "");
  ~TestServer();
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;

  [[nodiscard]] std::string url() const;
  /// The next request, which must come within ten seconds; null if it does not.
  [[nodiscard]] std::shared_ptr<TestCall> Next();
  /// The next request with this text in its target; others meanwhile are kept for later.
  [[nodiscard]] std::shared_ptr<TestCall> Next(std::string_view part);
  /// Requests that nobody has taken.
  [[nodiscard]] size_t size();

 private:
  void Accept();
  void Serve(int connection);

  ssl_ctx_st* context_;
  int listener_;
  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable arrived_;
  std::deque<std::shared_ptr<TestCall>> calls_;
  std::list<std::shared_ptr<TestCall>> active_;  // not ended
  std::list<int> connections_;
  std::list<std::thread> threads_;
  bool stopping_ = false;
};

}  // namespace gatehouse::kube::testing
