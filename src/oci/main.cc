// SPDX-License-Identifier: Apache-2.0
// gatehouse-oci-hook: what container runtimes call before a container's program runs.
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "oci/hook.h"

namespace gatehouse::oci {
namespace {

constexpr int kUsageStatus = 2;
constexpr double kTimeoutMinS = 0.1;
constexpr double kTimeoutMaxS = 60;

constexpr const char* kDescription =
    "gatehouse-oci-hook tells gatehoused of a container that is being created, and returns when\n"
    "its policies are in the kernel. It is a createRuntime hook of OCI runtimes, which give it "
    "the\n"
    "state of the container on standard input; gatehouse hook install sets it up.";
constexpr const char* kFooter =
    "Exit status: 0 the container may start, 1 it must not, 2 wrong usage. The runtime stops a\n"
    "container whose hook does not return 0.\n"
    "See also: gatehouse-oci-hook(8)\n";

std::string CheckException(const std::string& text) {
  const size_t equals = text.find('=');
  const std::string what = equals == std::string::npos ? "" : text.substr(equals + 1);
  if (equals != 0 && (what == "allow" || what == "deny")) return {};
  return "\"" + text + "\" is not NAMESPACE=allow or NAMESPACE=deny";
}

int Main(int argc, const char* const* argv) {
  Options options;
  double timeout_s = std::chrono::duration<double>(options.timeout).count();
  std::string on_failure = "deny";
  std::vector<std::string> exceptions;
  CLI::App app(kDescription, "gatehouse-oci-hook");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("gatehouse-oci-hook " GATEHOUSE_VERSION));
  app.set_help_flag("-h,--help", "Print this text");
  app.add_option("--control-socket", options.control_socket, "Socket of the daemon")
      ->type_name("PATH")
      ->capture_default_str();
  app.add_option("--timeout", timeout_s, "How long the daemon may take, from 0.1 to 60")
      ->type_name("SECONDS")
      ->check(CLI::Range(kTimeoutMinS, kTimeoutMaxS))
      ->capture_default_str();
  app.add_option("--on-failure", on_failure,
                 "What happens to a container that the daemon did not take")
      ->type_name("allow|deny")
      ->check(CLI::IsMember({"allow", "deny"}))
      ->capture_default_str();
  app.add_option("--on-failure-namespace", exceptions,
                 "Another --on-failure for the pods of a namespace; may be given often")
      ->type_name("NAMESPACE=allow|deny")
      ->allow_extra_args(false)
      ->check(CLI::Validator(CheckException, "", "exception"));
  app.add_option("--log", options.log,
                 "Append what happens to this file; failures are told on standard error, too")
      ->type_name("FILE");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    std::fputs(app.help().c_str(), stdout);
    return 0;
  } catch (const CLI::CallForVersion& version) {
    std::printf("%s\n", version.what());
    return 0;
  } catch (const CLI::ParseError& error) {
    std::fprintf(stderr, "gatehouse-oci-hook: %s\nTry gatehouse-oci-hook --help\n", error.what());
    return kUsageStatus;
  }
  options.timeout = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::duration<double>(timeout_s));
  options.allow_on_failure = on_failure == "allow";
  for (const std::string& exception : exceptions) {
    const size_t equals = exception.find('=');
    options.allow_by_namespace[exception.substr(0, equals)] =
        exception.substr(equals + 1) == "allow";
  }
  return RunHook(options, STDIN_FILENO);
}

}  // namespace
}  // namespace gatehouse::oci

int main(int argc, char** argv) {
  try {
    return gatehouse::oci::Main(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "gatehouse-oci-hook: %s\n", error.what());
    return 1;
  }
}
