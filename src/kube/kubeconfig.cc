// SPDX-License-Identifier: Apache-2.0
// FromKubeconfig: the only file of this folder that calls yaml-cpp.
#include <sodium.h>
#include <yaml-cpp/yaml.h>

#include <array>
#include <filesystem>
#include <string_view>
#include <vector>

#include "kube/config.h"

namespace gatehouse::kube {
namespace {

struct Refused {
  const char* field;
  const char* cause;
  const char* remedy;
};

constexpr std::array kRefusedOfClusters{
    Refused{"insecure-skip-tls-verify", "the server's certificate would not be verified",
            "name its certificate-authority instead"},
    Refused{"proxy-url", "proxies are not supported", "name the server itself"},
    Refused{"tls-server-name", "another name than the server's is not supported",
            "name the server as its certificate does"},
};

constexpr std::array kRefusedOfUsers{
    Refused{"exec", "the agent runs no programs to get credentials",
            "use a token, a tokenFile or a client certificate"},
    Refused{"auth-provider", "auth providers are not supported",
            "use a token, a tokenFile or a client certificate"},
    Refused{"username", "basic auth is not supported",
            "use a token, a tokenFile or a client certificate"},
    Refused{"password", "basic auth is not supported",
            "use a token, a tokenFile or a client certificate"},
    Refused{"as", "impersonation is not supported", "use the credentials of the agent itself"},
};

/// One kubeconfig file. Its functions throw what yaml-cpp throws.
class Kubeconfig {
 public:
  Kubeconfig(std::string path, const std::string& text)
      : path_(std::move(path)), root_(YAML::Load(text)) {}

  Result<Config> Read(const std::string& context_name) const {
    const std::string name = context_name.empty() ? Text(root_, "current-context") : context_name;
    if (name.empty()) {
      return Fail(ErrorCode::kInvalid, path_, "has no current-context", "name a context");
    }
    GH_ASSIGN(const YAML::Node context, Named("contexts", "context", name));
    GH_ASSIGN(const YAML::Node cluster, Named("clusters", "cluster", Text(context, "cluster")));
    GH_TRY(Refuse(cluster, kRefusedOfClusters));
    Config config;
    GH_ASSIGN(config.server, CheckServer(path_, Text(cluster, "server")));
    GH_ASSIGN(config.authority, Either(cluster, "certificate-authority"));
    GH_ASSIGN(const YAML::Node user, Named("users", "user", Text(context, "user")));
    GH_TRY(Refuse(user, kRefusedOfUsers));
    GH_ASSIGN(config.certificate, Either(user, "client-certificate"));
    GH_ASSIGN(config.key, Either(user, "client-key"));
    if (config.certificate.given() != config.key.given()) {
      return Fail(ErrorCode::kInvalid, path_, "of client certificate and key one is missing",
                  "add the other");
    }
    config.token = {Text(user, "token"), FilePath(Text(user, "tokenFile"))};
    return config;
  }

 private:
  /// Of a scalar field; "" if it is not there.
  static std::string Text(const YAML::Node& node, const char* field) {
    const YAML::Node value = node[field];
    return value && value.IsScalar() ? value.Scalar() : std::string();
  }

  [[nodiscard]] std::string FilePath(const std::string& path) const {
    return path.empty() ? path : (std::filesystem::path(path_).parent_path() / path).string();
  }

  /// The field `field` of the entry of `list` with this name.
  [[nodiscard]] Result<YAML::Node> Named(const char* list, const char* field,
                                         const std::string& name) const {
    for (const YAML::Node& entry : root_[list]) {
      if (Text(entry, "name") != name) continue;
      YAML::Node value = entry[field];
      if (value && value.IsMap()) return value;
      if (value && value.IsNull()) return YAML::Node(YAML::NodeType::Map);
      break;
    }
    return Fail(ErrorCode::kNotFound, path_, std::string(list) + " has no \"" + name + "\"",
                "name another context, or add it");
  }

  template <size_t N>
  [[nodiscard]] Result<void> Refuse(const YAML::Node& node,
                                    const std::array<Refused, N>& refused) const {
    for (const Refused& each : refused) {
      const YAML::Node value = node[each.field];
      if (!value || (value.IsScalar() && (value.Scalar() == "false" || value.Scalar().empty()))) {
        continue;
      }
      return Fail(ErrorCode::kRefused, path_, std::string(each.field) + ": " + each.cause,
                  each.remedy);
    }
    return {};
  }

  /// `field` names a file, `field`-data holds what would be in it, in base64, and wins.
  [[nodiscard]] Result<Secret> Either(const YAML::Node& node, const std::string& field) const {
    const std::string data = Text(node, (field + "-data").c_str());
    if (data.empty()) return Secret{"", FilePath(Text(node, field.c_str()))};
    std::string text(data.size(), '\0');
    size_t size = 0;
    if (sodium_base642bin(reinterpret_cast<unsigned char*>(text.data()), text.size(), data.data(),
                          data.size(), " \n\r", &size, nullptr,
                          sodium_base64_VARIANT_ORIGINAL) != 0) {
      return Fail(ErrorCode::kInvalid, path_, field + "-data is not base64", "encode it");
    }
    text.resize(size);
    return Secret{std::move(text), ""};
  }

  std::string path_;
  YAML::Node root_;
};

}  // namespace

Result<Config> FromKubeconfig(const std::string& path, const std::string& context) {
  GH_ASSIGN(const std::string text, ReadSmallFile(path));
  try {
    return Kubeconfig(path, text).Read(context);
  } catch (const YAML::Exception& exception) {
    return Fail(ErrorCode::kInvalid, path, std::string("is no kubeconfig: ") + exception.what(),
                "name the right file");
  }
}

}  // namespace gatehouse::kube
