// SPDX-License-Identifier: Apache-2.0
#include "oci/unary_call.h"

#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <memory>
#include <string_view>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace gatehouse::oci {
namespace {

constexpr size_t kMessageOfServerMax = 2048;
constexpr size_t kReadBytes = 16u << 10;
/// A server that listens but does not accept yet: connect(2) of a unix socket does not wait.
constexpr std::chrono::milliseconds kConnectAgain{5};

/// What a call has come to.
struct Call {
  std::string body;  ///< of the request: prefix and message
  size_t sent = 0;
  std::string http_status, grpc_status, grpc_message;
  bool closed = false;
  uint32_t error = 0;  ///< HTTP/2 error code with which the stream was closed
};

ssize_t ReadBody(nghttp2_session*, int32_t, uint8_t* into, size_t bytes, uint32_t* flags,
                 nghttp2_data_source* source, void*) {
  auto& call = *static_cast<Call*>(source->ptr);
  const size_t count = std::min(bytes, call.body.size() - call.sent);
  call.body.copy(reinterpret_cast<char*>(into), count, call.sent);
  call.sent += count;
  if (call.sent == call.body.size()) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(count);
}

int OnHeader(nghttp2_session*, const nghttp2_frame*, const uint8_t* name, size_t name_bytes,
             const uint8_t* value, size_t value_bytes, uint8_t, void* user) {
  auto& call = *static_cast<Call*>(user);
  const std::string_view key(reinterpret_cast<const char*>(name), name_bytes);
  const std::string_view text(reinterpret_cast<const char*>(value), value_bytes);
  for (const auto& [header, into] : {std::pair{":status", &call.http_status},
                                     {"grpc-status", &call.grpc_status},
                                     {"grpc-message", &call.grpc_message}}) {
    if (key == header) *into = text.substr(0, kMessageOfServerMax);
  }
  return 0;
}

int OnClose(nghttp2_session*, int32_t, uint32_t error, void* user) {
  auto& call = *static_cast<Call*>(user);
  call.closed = true;
  call.error = error;
  return 0;
}

/// Messages travel percent-encoded (gRPC over HTTP/2).
std::string Decoded(std::string_view text) {
  const auto digit = [](char c) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    return kDigits.find(static_cast<char>(std::toupper(static_cast<unsigned char>(c))));
  };
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) != std::string_view::npos &&
        digit(text[i + 2]) != std::string_view::npos) {
      decoded += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      decoded += text[i];
    }
  }
  return decoded;
}

using Session = std::unique_ptr<nghttp2_session, decltype(&nghttp2_session_del)>;

/// A session with the request in it; nothing is sent yet. Null: out of memory.
Session Begin(Call& call, const std::string& method, const Deadline& deadline) {
  nghttp2_session_callbacks* raw_callbacks = nullptr;
  if (nghttp2_session_callbacks_new(&raw_callbacks) != 0) return {nullptr, nghttp2_session_del};
  const std::unique_ptr<nghttp2_session_callbacks, decltype(&nghttp2_session_callbacks_del)>
      callbacks(raw_callbacks, nghttp2_session_callbacks_del);
  nghttp2_session_callbacks_set_on_header_callback(callbacks.get(), OnHeader);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks.get(), OnClose);
  nghttp2_session* raw = nullptr;
  if (nghttp2_session_client_new(&raw, callbacks.get(), &call) != 0) {
    return {nullptr, nghttp2_session_del};
  }
  Session session(raw, nghttp2_session_del);
  const std::string timeout = std::to_string(deadline.left().count()) + "m";
  std::vector<nghttp2_nv> headers;
  const auto add = [&headers](std::string_view name, std::string_view value) {
    const auto bytes = [](std::string_view text) {
      return const_cast<uint8_t*>(reinterpret_cast<const uint8_t*>(text.data()));
    };
    headers.push_back({bytes(name), bytes(value), name.size(), value.size(), NGHTTP2_NV_FLAG_NONE});
  };
  add(":method", "POST");
  add(":scheme", "http");
  add(":path", method);
  add(":authority", "localhost");
  add("te", "trailers");
  add("content-type", "application/grpc");
  add("user-agent", "gatehouse-oci-hook/" GATEHOUSE_VERSION);
  add("grpc-timeout", timeout);
  const nghttp2_data_provider body{.source = {.ptr = &call}, .read_callback = ReadBody};
  // The names and values are copied.
  if (nghttp2_submit_settings(raw, NGHTTP2_FLAG_NONE, nullptr, 0) != 0 ||
      nghttp2_submit_request(raw, nullptr, headers.data(), headers.size(), &body, nullptr) < 0) {
    return {nullptr, nghttp2_session_del};
  }
  return session;
}

tl::unexpected<Error> TooLate(const std::string& object) {
  return Fail(ErrorCode::kSystem, object, "did not answer in time",
              "see whether gatehoused is well: gatehouse status");
}

Result<Fd> Connect(const std::string& path, const Deadline& deadline) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    return Fail(ErrorCode::kInvalid, path, "the path of the socket is too long",
                "use one of at most 107 bytes");
  }
  path.copy(address.sun_path, path.size());
  Fd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return FailErrno(path, "no socket", errno);
  while (connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno != EAGAIN) {
      return FailErrno(path, "cannot connect", errno, "see whether gatehoused runs");
    }
    if (deadline.left().count() == 0) return TooLate(path);
    std::this_thread::sleep_for(kConnectAgain);
  }
  return fd;
}

/// Sends all that the session has to send.
Result<void> Send(nghttp2_session* session, int fd, const std::string& object,
                  const Deadline& deadline) {
  for (;;) {
    const uint8_t* data = nullptr;
    ssize_t bytes = nghttp2_session_mem_send(session, &data);
    if (bytes < 0)
      return Fail(ErrorCode::kSystem, object, nghttp2_strerror(static_cast<int>(bytes)));
    if (bytes == 0) return {};
    while (bytes > 0) {
      if (!deadline.Wait(fd, POLLOUT)) return TooLate(object);
      const ssize_t sent = send(fd, data, static_cast<size_t>(bytes), MSG_NOSIGNAL);
      if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        return FailErrno(object, "the connection ended", errno);
      }
      if (sent > 0) data += sent, bytes -= sent;
    }
  }
}

Result<void> Exchange(nghttp2_session* session, Call& call, int fd, const std::string& object,
                      const Deadline& deadline) {
  std::array<uint8_t, kReadBytes> buffer{};
  while (!call.closed) {
    GH_TRY(Send(session, fd, object, deadline));
    // The session is over when a server breaks the protocol or says GOAWAY.
    if (nghttp2_session_want_read(session) == 0) break;
    if (!deadline.Wait(fd, POLLIN)) return TooLate(object);
    const ssize_t bytes = recv(fd, buffer.data(), buffer.size(), 0);
    if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) continue;
    if (bytes < 0) return FailErrno(object, "the connection ended", errno);
    if (bytes == 0) return Fail(ErrorCode::kSystem, object, "the connection ended without answer");
    const ssize_t taken =
        nghttp2_session_mem_recv(session, buffer.data(), static_cast<size_t>(bytes));
    if (taken < 0) {
      return Fail(
          ErrorCode::kSystem, object,
          std::string("does not speak HTTP/2: ") + nghttp2_strerror(static_cast<int>(taken)));
    }
  }
  return {};
}

std::string BodyOf(const std::string& message) {
  const auto bytes = static_cast<uint32_t>(message.size());
  std::string body(1, '\0');  // not compressed
  for (const int shift : {24, 16, 8, 0}) body += static_cast<char>((bytes >> shift) & 0xffu);
  return body + message;
}

}  // namespace

Result<void> CallUnary(const std::string& socket_path, const std::string& method,
                       const std::string& message, const Deadline& deadline) {
  GH_ASSIGN(const Fd fd, Connect(socket_path, deadline));
  Call call;
  call.body = BodyOf(message);
  const Session session = Begin(call, method, deadline);
  if (!session) return Fail(ErrorCode::kSystem, socket_path, "no memory for a session");
  GH_TRY(Exchange(session.get(), call, fd.get(), socket_path, deadline));
  if (call.grpc_status == "0" && call.http_status == "200") return {};
  if (!call.grpc_status.empty()) {
    return Fail(ErrorCode::kRefused, "gatehoused",
                "refuses (status " + call.grpc_status + "): " + Decoded(call.grpc_message));
  }
  return Fail(ErrorCode::kSystem, socket_path,
              "answers with HTTP status \"" + call.http_status +
                  "\" and no status of gRPC (error " + std::to_string(call.error) + " of HTTP/2)",
              "see whether this is the socket of gatehoused");
}

}  // namespace gatehouse::oci
