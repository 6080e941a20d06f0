// SPDX-License-Identifier: Apache-2.0
#include "event/text.h"

#include <fmt/format.h>
#include <google/protobuf/stubs/common.h>
#include <google/protobuf/stubs/strutil.h>
#include <signal.h>
#include <sys/stat.h>

#include <array>
#include <cstring>

namespace gatehouse::event {

std::string ToUtf8(std::string_view bytes) {
  namespace pb = google::protobuf;
  std::string text;
  while (true) {
    const int valid =
        pb::internal::UTF8SpnStructurallyValid(pb::StringPiece(bytes.data(), bytes.size()));
    const auto length = static_cast<size_t>(valid);
    text.append(bytes.substr(0, length));
    if (length >= bytes.size()) return text;
    fmt::format_to(std::back_inserter(text), "\\x{:02x}", static_cast<uint8_t>(bytes[length]));
    bytes.remove_prefix(length + 1);
  }
}

std::string JoinArguments(std::string_view argv) {
  const size_t end_of_first = argv.find('\0');
  if (end_of_first == std::string_view::npos) return {};
  std::string joined;
  std::string_view rest = argv.substr(end_of_first + 1);
  while (true) {
    const size_t end = rest.find('\0');
    const std::string_view argument = rest.substr(0, end);
    if (!joined.empty()) joined += ' ';
    if (argument.empty() || argument.find(' ') != std::string_view::npos) {
      joined.append("\"").append(argument).append("\"");
    } else {
      joined.append(argument);
    }
    if (end == std::string_view::npos) return ToUtf8(joined);
    rest.remove_prefix(end + 1);
  }
}

std::string ModeString(uint16_t mode) {
  constexpr std::array<std::pair<mode_t, char>, 7> kTypes = {{{S_IFREG, '-'},
                                                              {S_IFDIR, 'd'},
                                                              {S_IFLNK, 'l'},
                                                              {S_IFCHR, 'c'},
                                                              {S_IFBLK, 'b'},
                                                              {S_IFIFO, 'p'},
                                                              {S_IFSOCK, 's'}}};
  std::string text = "?rwxrwxrwx";
  for (const auto& [type, letter] : kTypes) {
    if ((mode & S_IFMT) == type) text[0] = letter;
  }
  constexpr size_t kPermissionBits = 9;
  for (size_t bit = 0; bit < kPermissionBits; ++bit) {
    if ((mode >> bit & 1) == 0) text[kPermissionBits - bit] = '-';
  }
  const auto special = [&](mode_t flag, size_t at, char letter) {
    if ((mode & flag) == 0) return;
    text[at] = text[at] == 'x' ? letter : static_cast<char>(letter - 'a' + 'A');
  };
  special(S_ISUID, 3, 's');
  special(S_ISGID, 6, 's');
  special(S_ISVTX, 9, 't');
  return text;
}

std::string SignalName(uint32_t signal) {
  if (signal == 0) return {};
  const char* name = ::sigabbrev_np(static_cast<int>(signal));
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("SIG{}", signal);
}

std::string Base64(std::string_view bytes) {
  std::string text;
  google::protobuf::Base64Escape(google::protobuf::StringPiece(bytes.data(), bytes.size()), &text);
  return text;
}

}  // namespace gatehouse::event
