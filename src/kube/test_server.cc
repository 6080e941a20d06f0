// SPDX-License-Identifier: Apache-2.0
#include "kube/test_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>

namespace gatehouse::kube::testing {
namespace {

constexpr std::chrono::seconds kPatience{10};

X509* ReadCertificate(const std::string& pem) {
  BIO* const memory = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* const certificate = PEM_read_bio_X509(memory, nullptr, nullptr, nullptr);
  BIO_free_all(memory);
  return certificate;
}

EVP_PKEY* ReadKey(const std::string& pem) {
  BIO* const memory = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  EVP_PKEY* const key = PEM_read_bio_PrivateKey(memory, nullptr, nullptr, nullptr);
  BIO_free_all(memory);
  return key;
}

/// What the client sends, until `text` has `bytes` or, if `bytes` is 0, the end of the headers.
bool ReadUntil(SSL* ssl, std::string& text, size_t bytes) {
  std::array<char, 16384> buffer{};
  while (bytes == 0 ? text.find("\r\n\r\n") == std::string::npos : text.size() < bytes) {
    const int got = SSL_read(ssl, buffer.data(), static_cast<int>(buffer.size()));
    if (got <= 0) return false;
    text.append(buffer.data(), static_cast<size_t>(got));
  }
  return true;
}

std::string HeaderOf(std::string_view headers, std::string_view name) {
  while (!headers.empty()) {
    const std::string_view line = headers.substr(0, headers.find("\r\n"));
    headers.remove_prefix(std::min(headers.size(), line.size() + 2));
    if (line.size() > name.size() && line[name.size()] == ':' &&
        strcasecmp(std::string(line.substr(0, name.size())).c_str(), std::string(name).c_str()) ==
            0) {
      const size_t begin = line.find_first_not_of(' ', name.size() + 1);
      return std::string(begin == line.npos ? "" : line.substr(begin));
    }
  }
  return {};
}

}  // namespace

TestCall::TestCall(SSL* ssl, std::string method_text, std::string target_text,
                   std::string header_text, std::string body_text)
    : method(std::move(method_text)),
      target(std::move(target_text)),
      headers(std::move(header_text)),
      body(std::move(body_text)),
      ssl_(ssl) {}

std::string TestCall::Header(std::string_view name) const { return HeaderOf(headers, name); }

void TestCall::Write(std::string_view text) {
  while (!text.empty()) {
    const int sent = SSL_write(ssl_, text.data(), static_cast<int>(text.size()));
    if (sent <= 0) return;  // the client has gone, which the test sees by other means
    text.remove_prefix(static_cast<size_t>(sent));
  }
}

void TestCall::Answer(int status, const std::string& text, const std::string& more) {
  Write("HTTP/1.1 " + std::to_string(status) + " Some\r\nContent-Type: application/json\r\n" +
        more + "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text);
  End(true);
}

void TestCall::Stream() {
  Write("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
}

void TestCall::Send(std::string_view text) {
  std::array<char, 32> size{};
  snprintf(size.data(), size.size(), "%zx\r\n", text.size());
  Write(size.data() + std::string(text) + "\r\n");
}

void TestCall::EndStream() {
  Write("0\r\n\r\n");
  End(true);
}

void TestCall::Break() { End(false); }

void TestCall::End(bool usable) {
  const std::lock_guard lock(mutex_);
  if (ended_) return;
  ended_ = true;
  usable_ = usable;
  ended_condition_.notify_all();
}

bool TestCall::WaitEnded() {
  std::unique_lock lock(mutex_);
  ended_condition_.wait(lock, [&] { return ended_; });
  return usable_;
}

TestServer::TestServer(const TestCertificate& certificate, const std::string& client_authority)
    : context_(SSL_CTX_new(TLS_server_method())),
      listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  signal(SIGPIPE, SIG_IGN);  // a client that has gone
  X509* const own = ReadCertificate(certificate.certificate);
  SSL_CTX_use_certificate(context_, own);
  X509_free(own);
  EVP_PKEY* const key = ReadKey(certificate.key);
  SSL_CTX_use_PrivateKey(context_, key);
  EVP_PKEY_free(key);
  if (!client_authority.empty()) {
    X509* const authority = ReadCertificate(client_authority);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), authority);
    X509_free(authority);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (::bind(listener_, generic, size) != 0 || listen(listener_, SOMAXCONN) != 0 ||
      getsockname(listener_, generic, &size) != 0) {
    abort();
  }
  port_ = ntohs(address.sin_port);
  threads_.emplace_back([this] { Accept(); });
}

TestServer::~TestServer() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    shutdown(listener_, SHUT_RDWR);
    for (const int connection : connections_) shutdown(connection, SHUT_RDWR);
    for (const auto& call : active_) call->Break();
  }
  // Nobody adds a thread once the first, which accepts, has ended.
  threads_.front().join();
  threads_.pop_front();
  for (std::thread& thread : threads_) thread.join();
  close(listener_);
  SSL_CTX_free(context_);
}

std::string TestServer::url() const { return "https://127.0.0.1:" + std::to_string(port_); }

std::shared_ptr<TestCall> TestServer::Next() { return Next(""); }

std::shared_ptr<TestCall> TestServer::Next(std::string_view part) {
  std::unique_lock lock(mutex_);
  std::shared_ptr<TestCall> call;
  arrived_.wait_for(lock, kPatience, [&] {
    const auto found = std::ranges::find_if(
        calls_, [&](const auto& each) { return each->target.find(part) != std::string::npos; });
    if (found == calls_.end()) return false;
    call = std::move(*found);
    calls_.erase(found);
    return true;
  });
  return call;
}

size_t TestServer::size() {
  const std::lock_guard lock(mutex_);
  return calls_.size();
}

void TestServer::Accept() {
  for (;;) {
    const int connection = accept(listener_, nullptr, nullptr);
    const std::lock_guard lock(mutex_);
    if (connection < 0 || stopping_) {
      if (connection >= 0) close(connection);
      return;
    }
    const int on = 1;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    connections_.push_back(connection);
    threads_.emplace_back([this, connection] { Serve(connection); });
  }
}

void TestServer::Serve(int connection) {
  SSL* const ssl = SSL_new(context_);
  SSL_set_fd(ssl, connection);
  std::string text;
  while (SSL_accept(ssl) == 1 && ReadUntil(ssl, text, 0)) {
    const size_t first = text.find("\r\n");
    const size_t end = text.find("\r\n\r\n") + 4;
    const std::string headers = text.substr(first + 2, end - first - 4);
    const std::string length = HeaderOf(headers, "Content-Length");
    const size_t size = end + (length.empty() ? 0 : std::stoul(length));
    if (!ReadUntil(ssl, text, size)) break;
    const size_t target = text.find(' ') + 1;
    auto call = std::make_shared<TestCall>(ssl, text.substr(0, target - 1),
                                           text.substr(target, text.find(' ', target) - target),
                                           headers, text.substr(end, size - end));
    text.erase(0, size);
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) break;
      calls_.push_back(call);
      active_.push_back(call);
      arrived_.notify_all();
    }
    const bool usable = call->WaitEnded();
    const std::lock_guard lock(mutex_);
    active_.remove(call);
    if (!usable) break;
  }
  const std::lock_guard lock(mutex_);
  connections_.remove(connection);
  SSL_free(ssl);
  close(connection);
}

}  // namespace gatehouse::kube::testing
