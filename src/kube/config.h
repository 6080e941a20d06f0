// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>

#include "base/result.h"

/// The cluster: what a Kubernetes API server says of pods, namespaces and policies, and what the
/// agent tells it.
namespace gatehouse::kube {

/// A text that is given, or stands in a file.
struct Secret {
  std::string text;
  std::string file;  ///< not empty: the text is what it holds now, so that a rotation is noticed

  [[nodiscard]] bool given() const { return !text.empty() || !file.empty(); }
  /// Reads the file, if it is one, at most 1 MiB. Error: cannot be read, or is larger.
  [[nodiscard]] Result<std::string> Read() const;
};

/// Where the API server is, how it proves who it is, and how we do. The connection is always HTTPS
/// and its certificate is always verified.
struct Config {
  std::string server;  ///< `https://HOST[:PORT][/PATH]` without a slash at its end
  Secret authority;    ///< PEM, certificates of who signs the server's; not given: the system's
  Secret certificate;  ///< PEM, ours; not given: we show none
  Secret key;          ///< PEM, of the certificate
  Secret token;        ///< a bearer token, without white space around it; not given: none
};

/// Looks up an environment variable; null if it is not set.
using Environment = std::function<const char*(const char* name)>;

/// Of the service account of the pod that the agent runs in: KUBERNETES_SERVICE_HOST and _PORT, and
/// `token` and `ca.crt` in `directory`. Error: a variable or a file is missing.
[[nodiscard]] Result<Config> InCluster(const Environment& environment,
                                       const std::string& directory);
/// Where pods have them.
inline constexpr const char* kServiceAccountDirectory =
    "/var/run/secrets/kubernetes.io/serviceaccount";

/// Of the context `context` ("": the current one) in the kubeconfig file `path`; relative paths in
/// it begin where it is. Taken: server, certificate authority, client certificate and key, token
/// and tokenFile. Refused by name: plain HTTP, insecure-skip-tls-verify, exec plugins and auth
/// providers, basic auth, impersonation, proxies, tls-server-name.
[[nodiscard]] Result<Config> FromKubeconfig(const std::string& path, const std::string& context);

/// `url` without a slash at its end, if it is `https://HOST[:PORT][/PATH]` and nothing more; the
/// error's object is `object`.
[[nodiscard]] Result<std::string> CheckServer(const std::string& object, const std::string& url);

/// What the file holds. Error: cannot be read, or has more than 1 MiB.
[[nodiscard]] Result<std::string> ReadSmallFile(const std::string& path);

}  // namespace gatehouse::kube
