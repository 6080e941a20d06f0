// SPDX-License-Identifier: Apache-2.0
#include "kube/config.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

#include "base/fd.h"

namespace gatehouse::kube {
namespace {

constexpr size_t kFileBytesMax = 1u << 20;

/// A part of a URL; "" if there is none.
std::string PartOf(CURLU* url, CURLUPart part) {
  char* text = nullptr;
  if (curl_url_get(url, part, &text, 0) != CURLUE_OK) return {};
  std::string result(text);
  curl_free(text);
  return result;
}

Result<std::string> Variable(const Environment& environment, const char* name) {
  const char* const value = environment(name);
  if (value != nullptr && *value != '\0') return value;
  return Fail(ErrorCode::kNotFound, name, "is not set, so this is no pod with a service account",
              "run it in a pod, or name a kubeconfig file");
}

}  // namespace

Result<std::string> ReadSmallFile(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid()) return FailErrno(path, "cannot be opened", errno);
  std::string text;
  std::array<char, 16384> buffer{};
  for (;;) {
    const ssize_t bytes = read(file.get(), buffer.data(), buffer.size());
    if (bytes < 0) return FailErrno(path, "cannot be read", errno);
    if (bytes == 0) return text;
    text.append(buffer.data(), static_cast<size_t>(bytes));
    if (text.size() > kFileBytesMax) {
      return Fail(ErrorCode::kInvalid, path, "has more than 1 MiB", "name the right file");
    }
  }
}

Result<std::string> Secret::Read() const {
  if (file.empty()) return text;
  return ReadSmallFile(file);
}

Result<std::string> CheckServer(const std::string& object, const std::string& url) {
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> parsed(curl_url(), &curl_url_cleanup);
  if (!parsed || curl_url_set(parsed.get(), CURLUPART_URL, url.c_str(), 0) != CURLUE_OK) {
    return Fail(ErrorCode::kInvalid, object, "\"" + url + "\" is no URL",
                "write https://HOST:PORT");
  }
  if (PartOf(parsed.get(), CURLUPART_SCHEME) != "https") {
    return Fail(ErrorCode::kRefused, object, "\"" + url + "\" is not https",
                "use https: over anything else, anybody on the way could write policies");
  }
  for (const CURLUPart part :
       {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_QUERY, CURLUPART_FRAGMENT}) {
    if (PartOf(parsed.get(), part).empty()) continue;
    return Fail(ErrorCode::kInvalid, object, "the URL has more than host, port and path",
                "write https://HOST:PORT");
  }
  std::string server = url;
  while (server.ends_with('/')) server.pop_back();
  return server;
}

Result<Config> InCluster(const Environment& environment, const std::string& directory) {
  GH_ASSIGN(std::string host, Variable(environment, "KUBERNETES_SERVICE_HOST"));
  GH_ASSIGN(const std::string port, Variable(environment, "KUBERNETES_SERVICE_PORT"));
  if (host.find(':') != std::string::npos) host = "[" + host + "]";  // IPv6
  Config config;
  GH_ASSIGN(config.server, CheckServer("KUBERNETES_SERVICE_HOST", "https://" + host + ":" + port));
  config.authority.file = directory + "/ca.crt";
  config.token.file = directory + "/token";
  // Missing now is missing for good; what they hold is read when it is needed.
  GH_TRY(config.authority.Read());
  GH_TRY(config.token.Read());
  return config;
}

}  // namespace gatehouse::kube
