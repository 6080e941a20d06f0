// SPDX-License-Identifier: Apache-2.0
#include "kube/loop.h"

#include <curl/curl.h>

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

namespace gatehouse::kube {
namespace {

using std::chrono::milliseconds;

constexpr long kConnectTimeoutMs = 10'000;
constexpr long kKeepAliveSeconds = 30;
constexpr milliseconds kWaitMax{60'000};
// If a turn took longer, bytes may have come that were not read yet.
constexpr std::chrono::seconds kLongTurn{1};

std::string_view Trim(std::string_view text) {
  const size_t begin = text.find_first_not_of(" \t\r\n");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

bool StartsWithIgnoringCase(std::string_view text, std::string_view lower) {
  return text.size() >= lower.size() &&
         std::equal(lower.begin(), lower.end(), text.begin(),
                    [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + 32 : b); });
}

/// libcurl takes the address of `text` as it is; a copy would be held twice.
void SetBlob(CURL* curl, CURLoption option, const std::string& text) {
  curl_blob blob{const_cast<char*>(text.data()), text.size(), CURL_BLOB_COPY};
  curl_easy_setopt(curl, option, &blob);
}

}  // namespace

/// One exchange's request, from Begin to End. The handle is kept for the next one.
class Loop::Transfer {
 public:
  explicit Transfer(Exchange& exchange) : exchange_(exchange), curl_(curl_easy_init()) {}
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  ~Transfer() {
    curl_slist_free_all(headers_);
    curl_easy_cleanup(curl_);
  }

  [[nodiscard]] CURL* curl() const { return curl_; }
  [[nodiscard]] bool busy() const { return busy_; }

  /// When it is to begin, or to be given up.
  [[nodiscard]] std::optional<Clock::time_point> due() const {
    return busy_ ? std::optional(last_byte_ + request_.idle_max) : exchange_.due();
  }

  /// Makes the request. Error: a file of the configuration cannot be read; then Fail is to follow.
  [[nodiscard]] Result<void> Prepare(const Config& config, Clock::time_point now) {
    request_ = exchange_.Begin(now);
    outcome_ = {};
    answered_ = false;
    error_[0] = '\0';
    last_byte_ = now;
    busy_ = true;
    curl_easy_reset(curl_);
    curl_slist_free_all(std::exchange(headers_, nullptr));
    GH_TRY(SetCredentials(config));
    curl_easy_setopt(curl_, CURLOPT_URL, (config.server + request_.target).c_str());
    curl_easy_setopt(curl_, CURLOPT_PROTOCOLS_STR, "https");
    curl_easy_setopt(curl_, CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2});
    curl_easy_setopt(curl_, CURLOPT_PROXY, "");
    curl_easy_setopt(curl_, CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1});
    curl_easy_setopt(curl_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl_, CURLOPT_USERAGENT, "gatehouse/" GATEHOUSE_VERSION);
    curl_easy_setopt(curl_, CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
    curl_easy_setopt(curl_, CURLOPT_TIMEOUT_MS, static_cast<long>(request_.total_max.count()));
    curl_easy_setopt(curl_, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl_, CURLOPT_TCP_KEEPIDLE, kKeepAliveSeconds);
    curl_easy_setopt(curl_, CURLOPT_TCP_KEEPINTVL, kKeepAliveSeconds);
    curl_easy_setopt(curl_, CURLOPT_CUSTOMREQUEST, request_.method.c_str());
    if (!request_.body.empty()) {
      curl_easy_setopt(curl_, CURLOPT_POSTFIELDSIZE, static_cast<long>(request_.body.size()));
      curl_easy_setopt(curl_, CURLOPT_POSTFIELDS, request_.body.c_str());
      AddHeader("Content-Type: " + request_.content_type);
    }
    AddHeader("Accept: application/json");
    curl_easy_setopt(curl_, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(curl_, CURLOPT_ERRORBUFFER, error_.data());
    curl_easy_setopt(curl_, CURLOPT_PRIVATE, this);
    curl_easy_setopt(curl_, CURLOPT_HEADERFUNCTION, &Transfer::OnHeader);
    curl_easy_setopt(curl_, CURLOPT_HEADERDATA, this);
    curl_easy_setopt(curl_, CURLOPT_WRITEFUNCTION, &Transfer::OnBody);
    curl_easy_setopt(curl_, CURLOPT_WRITEDATA, this);
    return {};
  }

  void End(std::string error, Clock::time_point now) {
    busy_ = false;
    outcome_.error = std::move(error);
    exchange_.End(outcome_, now);
  }
  void End(CURLcode code, Clock::time_point now) {
    if (code == CURLE_OK) return End("", now);
    End(error_[0] != '\0' ? error_.data() : curl_easy_strerror(code), now);
  }

  [[nodiscard]] bool Silent(Clock::time_point now) const {
    return busy_ && now - last_byte_ >= request_.idle_max;
  }
  [[nodiscard]] std::string SilentError() const {
    return "no byte for " + std::to_string(request_.idle_max.count()) + " ms";
  }

 private:
  void AddHeader(const std::string& text) { headers_ = curl_slist_append(headers_, text.c_str()); }

  [[nodiscard]] Result<void> SetCredentials(const Config& config) {
    GH_ASSIGN(const std::string authority, config.authority.Read());
    if (!authority.empty()) {
      SetBlob(curl_, CURLOPT_CAINFO_BLOB, authority);
      // The system's authorities would be trusted as well.
      curl_easy_setopt(curl_, CURLOPT_CAINFO, nullptr);
      curl_easy_setopt(curl_, CURLOPT_CAPATH, nullptr);
    }
    GH_ASSIGN(const std::string certificate, config.certificate.Read());
    GH_ASSIGN(const std::string key, config.key.Read());
    if (!certificate.empty()) {
      SetBlob(curl_, CURLOPT_SSLCERT_BLOB, certificate);
      SetBlob(curl_, CURLOPT_SSLKEY_BLOB, key);
    }
    GH_ASSIGN(const std::string text, config.token.Read());
    const std::string_view token = Trim(text);
    if (token.find_first_of("\r\n") != std::string_view::npos) {
      return Fail(ErrorCode::kInvalid, config.token.file, "the token has more than one line");
    }
    if (!token.empty()) AddHeader("Authorization: Bearer " + std::string(token));
    return {};
  }

  static size_t OnHeader(char* data, size_t size, size_t count, void* context) {
    auto& self = *static_cast<Transfer*>(context);
    const std::string_view line(data, size * count);
    constexpr std::string_view kRetryAfter = "retry-after:";
    if (line.starts_with("HTTP/")) self.outcome_.retry_after.reset();  // 100 Continue came before
    if (StartsWithIgnoringCase(line, kRetryAfter)) {
      self.outcome_.retry_after = ParseRetryAfter(line.substr(kRetryAfter.size()));
    }
    self.last_byte_ = Clock::now();
    if (!Trim(line).empty()) return line.size();
    long status = 0;
    curl_easy_getinfo(self.curl_, CURLINFO_RESPONSE_CODE, &status);
    if (status < 200 || self.answered_) return line.size();  // or trailers
    self.answered_ = true;
    self.outcome_.status = static_cast<int>(status);
    self.exchange_.Answered(self.outcome_.status, self.last_byte_);
    return line.size();
  }

  static size_t OnBody(char* data, size_t size, size_t count, void* context) {
    auto& self = *static_cast<Transfer*>(context);
    self.last_byte_ = Clock::now();
    const bool more = self.exchange_.Receive({data, size * count}, self.last_byte_);
    // The exchange may have taken its time, which is not the server's.
    self.last_byte_ = Clock::now();
    return more ? size * count : CURL_WRITEFUNC_ERROR;
  }

  Exchange& exchange_;
  CURL* const curl_;
  curl_slist* headers_ = nullptr;
  Request request_;
  Outcome outcome_;
  std::array<char, CURL_ERROR_SIZE> error_{};
  Clock::time_point last_byte_;
  bool busy_ = false;
  bool answered_ = false;
};

Loop::Loop(Config config, const std::vector<Exchange*>& exchanges) : config_(std::move(config)) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  multi_ = curl_multi_init();
  for (Exchange* const exchange : exchanges) {
    transfers_.push_back(std::make_unique<Transfer>(*exchange));
  }
}

Loop::~Loop() {
  transfers_.clear();
  curl_multi_cleanup(multi_);
}

void Loop::Wake() { curl_multi_wakeup(multi_); }

void Loop::Stop() {
  stopped_ = true;
  Wake();
}

void Loop::Run() {
  while (!stopped_) {
    const Clock::time_point begun = Clock::now();
    for (const auto& transfer : transfers_) {
      if (!transfer->busy() && transfer->due().value_or(Clock::time_point::max()) <= begun) {
        Start(*transfer);
      }
    }
    int running = 0;
    curl_multi_perform(multi_, &running);
    Collect();
    const Clock::time_point now = Clock::now();
    if (now - begun < kLongTurn) GiveUpSilent(now);
    if (!stopped_) curl_multi_poll(multi_, nullptr, 0, WaitMs(), nullptr);
  }
  for (const auto& transfer : transfers_) {
    if (transfer->busy()) curl_multi_remove_handle(multi_, transfer->curl());
  }
}

void Loop::Start(Transfer& transfer) {
  const Clock::time_point now = Clock::now();
  const Result<void> prepared = transfer.Prepare(config_, now);
  if (!prepared) return transfer.End(prepared.error().Message(), now);
  curl_multi_add_handle(multi_, transfer.curl());
}

void Loop::GiveUpSilent(Clock::time_point now) {
  for (const auto& transfer : transfers_) {
    if (!transfer->Silent(now)) continue;
    curl_multi_remove_handle(multi_, transfer->curl());
    transfer->End(transfer->SilentError(), now);
  }
}

/// Ends what has come to its end.
void Loop::Collect() {
  int left = 0;
  while (const CURLMsg* const message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* const curl = message->easy_handle;
    const CURLcode code = message->data.result;
    Transfer* transfer = nullptr;
    curl_easy_getinfo(curl, CURLINFO_PRIVATE, &transfer);
    curl_multi_remove_handle(multi_, curl);
    transfer->End(code, Clock::now());
  }
}

int Loop::WaitMs() const {
  const Clock::time_point now = Clock::now();
  Clock::duration wait = kWaitMax;
  for (const auto& transfer : transfers_) {
    if (const auto due = transfer->due()) wait = std::min(wait, *due - now);
  }
  // Rounded up: a poll that ends just before the time would be made again and again.
  const auto ms = std::chrono::ceil<milliseconds>(std::max(wait, Clock::duration::zero()));
  return static_cast<int>(ms.count());
}

}  // namespace gatehouse::kube
