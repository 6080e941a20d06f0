// SPDX-License-Identifier: Apache-2.0
#include "cri/http.h"

#include <curl/curl.h>

#include <utility>

namespace gatehouse::cri {
namespace {

constexpr size_t kBodyMax = size_t{16} << 20;
constexpr size_t kLineMax = size_t{1} << 20;
constexpr long kStatusOk = 200;

using Easy = std::unique_ptr<CURL, decltype(&curl_easy_cleanup)>;
using Multi = std::unique_ptr<CURLM, decltype(&curl_multi_cleanup)>;

/// A handle for `socket`; what it receives goes to `write` with `context`.
Easy MakeEasy(const std::string& socket, curl_write_callback write, void* context) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  Easy easy(curl_easy_init(), &curl_easy_cleanup);
  curl_easy_setopt(easy.get(), CURLOPT_UNIX_SOCKET_PATH, socket.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_PROTOCOLS_STR, "http");
  curl_easy_setopt(easy.get(), CURLOPT_PROXY, "");
  curl_easy_setopt(easy.get(), CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, write);
  curl_easy_setopt(easy.get(), CURLOPT_WRITEDATA, context);
  return easy;
}

void SetPath(CURL* easy, const std::string& path) {
  curl_easy_setopt(easy, CURLOPT_URL, ("http://localhost" + path).c_str());
}

long StatusOf(CURL* easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

}  // namespace

struct HttpClient::Handles {
  explicit Handles(const std::string& socket) : easy(MakeEasy(socket, &Write, this)) {}

  static size_t Write(char* data, size_t size, size_t count, void* context) {
    std::string& body = static_cast<Handles*>(context)->body;
    if (body.size() + size * count > kBodyMax) return 0;  // ends the transfer
    body.append(data, size * count);
    return size * count;
  }

  Easy easy;
  std::string body;
};

HttpClient::HttpClient(std::string socket, std::chrono::milliseconds timeout)
    : socket_(std::move(socket)), handles_(std::make_unique<Handles>(socket_)) {
  curl_easy_setopt(handles_->easy.get(), CURLOPT_TIMEOUT_MS, static_cast<long>(timeout.count()));
}

HttpClient::~HttpClient() = default;

Result<HttpAnswer> HttpClient::Get(const std::string& path) {
  handles_->body.clear();
  SetPath(handles_->easy.get(), path);
  const CURLcode code = curl_easy_perform(handles_->easy.get());
  if (code != CURLE_OK) {
    return Fail(ErrorCode::kSystem, socket_, path + ": " + curl_easy_strerror(code));
  }
  return HttpAnswer{.status = StatusOf(handles_->easy.get()), .body = std::move(handles_->body)};
}

struct HttpLines::Handles {
  Handles(const std::string& socket, std::function<void(std::string_view)> on_line)
      : easy(MakeEasy(socket, &Write, this)),
        multi(curl_multi_init(), &curl_multi_cleanup),
        line(std::move(on_line)) {}
  Handles(const Handles&) = delete;
  Handles& operator=(const Handles&) = delete;
  ~Handles() { curl_multi_remove_handle(multi.get(), easy.get()); }

  static size_t Write(char* data, size_t size, size_t count, void* context) {
    auto& handles = *static_cast<Handles*>(context);
    handles.received.append(data, size * count);
    return handles.received.size() > kLineMax && handles.received.find('\n') == std::string::npos
               ? 0
               : size * count;
  }

  /// Hands on the lines that are complete.
  void Take() {
    size_t begin = 0;
    for (size_t end = 0; (end = received.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (end > begin) line(std::string_view(received).substr(begin, end - begin));
    }
    received.erase(0, begin);
  }

  Easy easy;
  Multi multi;
  std::function<void(std::string_view)> line;
  std::string received;
};

HttpLines::HttpLines(std::string socket, const std::string& path,
                     std::function<void(std::string_view)> line)
    : socket_(std::move(socket)), handles_(std::make_unique<Handles>(socket_, std::move(line))) {
  SetPath(handles_->easy.get(), path);
  curl_multi_add_handle(handles_->multi.get(), handles_->easy.get());
}

HttpLines::~HttpLines() = default;

bool HttpLines::begun() const { return StatusOf(handles_->easy.get()) != 0; }

Result<void> HttpLines::Wait(std::chrono::milliseconds most) {
  int running = 0;
  curl_multi_perform(handles_->multi.get(), &running);
  if (running > 0 && handles_->received.find('\n') == std::string::npos) {
    curl_multi_poll(handles_->multi.get(), nullptr, 0, static_cast<int>(most.count()), nullptr);
    curl_multi_perform(handles_->multi.get(), &running);
  }
  const long status = StatusOf(handles_->easy.get());
  if (status == kStatusOk) handles_->Take();
  if (running > 0 && (status == 0 || status == kStatusOk)) return {};
  return Fail(ErrorCode::kSystem, socket_,
              status == kStatusOk ? "events: the stream has ended"
                                  : "events: HTTP status " + std::to_string(status));
}

void HttpLines::Wake() { curl_multi_wakeup(handles_->multi.get()); }

}  // namespace gatehouse::cri
