// SPDX-License-Identifier: Apache-2.0
#include "kube/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>

namespace gatehouse::kube {
namespace {

using ::testing::HasSubstr;

class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() {
    std::string pattern = std::filesystem::temp_directory_path() / "gatehouse-test.XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~ConfigTest() override { std::filesystem::remove_all(directory_); }

  std::string Write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ + "/" + name, std::ios::trunc) << text;
    return directory_ + "/" + name;
  }

  /// A kubeconfig file with these fields of its cluster and its user.
  Result<Config> Read(const std::string& cluster, const std::string& user,
                      const std::string& context = "") {
    return FromKubeconfig(Write("config",
                                "apiVersion: v1\nkind: Config\ncurrent-context: one\n"
                                "contexts:\n"
                                "- {name: one, context: {cluster: c, user: u}}\n"
                                "- {name: lost, context: {cluster: nowhere, user: u}}\n"
                                "clusters: [{name: c, cluster: {" +
                                    cluster + "}}]\nusers: [{name: u, user: {" + user + "}}]\n"),
                          context);
  }

  std::string directory_;
};

Environment Variables(std::map<std::string, std::string> variables) {
  return [variables = std::move(variables)](const char* name) -> const char* {
    const auto found = variables.find(name);
    return found == variables.end() ? nullptr : found->second.c_str();
  };
}

TEST_F(ConfigTest, InClusterReadsTheTokenAnewEachTime) {
  Write("token", "first\n");
  Write("ca.crt", "authority");
  const Result<Config> config = InCluster(
      Variables({{"KUBERNETES_SERVICE_HOST", "fd00::1"}, {"KUBERNETES_SERVICE_PORT", "443"}}),
      directory_);
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->server, "https://[fd00::1]:443");
  EXPECT_EQ(config->authority.Read().value(), "authority");
  EXPECT_EQ(config->token.Read().value(), "first\n");
  Write("token", "second\n");
  EXPECT_EQ(config->token.Read().value(), "second\n");
}

TEST_F(ConfigTest, InClusterSaysWhatIsMissing) {
  EXPECT_EQ(InCluster(Variables({}), directory_).error().object, "KUBERNETES_SERVICE_HOST");
  const Environment pod =
      Variables({{"KUBERNETES_SERVICE_HOST", "10.0.0.1"}, {"KUBERNETES_SERVICE_PORT", "443"}});
  EXPECT_EQ(InCluster(pod, directory_).error().object, directory_ + "/ca.crt");
  Write("ca.crt", "authority");
  EXPECT_EQ(InCluster(pod, directory_).error().object, directory_ + "/token");
}

TEST_F(ConfigTest, KubeconfigWithDataAndFiles) {
  Write("key.pem", "the key");
  const Result<Config> config =
      Read("server: 'https://10.0.0.1:6443/base/', certificate-authority-data: YXV0aG9yaXR5",
           "client-certificate-data: Y2VydA==, client-key: key.pem, token: secret");
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->server, "https://10.0.0.1:6443/base");
  EXPECT_EQ(config->authority.Read().value(), "authority");
  EXPECT_EQ(config->certificate.Read().value(), "cert");
  EXPECT_EQ(config->key.Read().value(), "the key");
  EXPECT_EQ(config->token.Read().value(), "secret");
}

TEST_F(ConfigTest, KubeconfigRefusesByName) {
  const std::string good = "server: 'https://10.0.0.1'";
  const std::pair<Result<Config>, const char*> refused[] = {
      {Read("server: 'http://10.0.0.1'", ""), "is not https"},
      {Read("server: 'https://a:b@10.0.0.1'", ""), "more than host, port and path"},
      {Read("server: ''", ""), "is no URL"},
      {Read(good + ", insecure-skip-tls-verify: true", ""), "insecure-skip-tls-verify"},
      {Read(good + ", proxy-url: 'http://10.0.0.2'", ""), "proxy-url"},
      {Read(good, "exec: {command: aws}"), "exec: the agent runs no programs"},
      {Read(good, "auth-provider: {name: gcp}"), "auth-provider"},
      {Read(good, "username: me, password: you"), "basic auth"},
      {Read(good, "as: admin"), "impersonation"},
      {Read(good, "client-certificate: a.pem"), "one is missing"},
      {Read(good + ", certificate-authority-data: '*'", ""), "is not base64"},
      {Read(good, "", "two"), "contexts has no \"two\""},
      {Read(good, "", "lost"), "clusters has no \"nowhere\""},
      {FromKubeconfig(Write("bad", "a: [b"), ""), "is no kubeconfig"},
      {FromKubeconfig(Write("list", "- a"), ""), "has no current-context"},
      {FromKubeconfig(Write("empty", ""), ""), "has no current-context"},
      {FromKubeconfig(Write("large", std::string(2u << 20, ' ')), ""), "more than 1 MiB"},
      {FromKubeconfig(directory_ + "/none", ""), "cannot be opened"},
  };
  for (const auto& [config, cause] : refused) {
    ASSERT_FALSE(config) << cause;
    EXPECT_THAT(config.error().Message(), HasSubstr(cause));
  }
}

TEST_F(ConfigTest, WhatIsSwitchedOffIsNotRefused) {
  const Result<Config> config =
      Read("server: 'https://10.0.0.1', insecure-skip-tls-verify: false", "tokenFile: token");
  ASSERT_TRUE(config) << config.error().Message();
  EXPECT_EQ(config->token.file, directory_ + "/token");
}

}  // namespace
}  // namespace gatehouse::kube
