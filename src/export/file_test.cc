// SPDX-License-Identifier: Apache-2.0
#include "export/file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "export/file_exporter.h"
#include "export/json.h"

namespace gatehouse::exporting {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class FileTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
    directory_ = fs::temp_directory_path() /
                 ("gatehouse-file-" + std::to_string(::getpid()) + "-" + info->name());
    fs::create_directories(directory_);
    path_ = directory_ / "events.log";
  }
  void TearDown() override { fs::remove_all(directory_); }

  static std::string Read(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  fs::path Backup(int number) const { return path_.string() + "." + std::to_string(number); }

  RotatingFile Open(uint64_t rotate_bytes, unsigned backups, mode_t mode = 0600) {
    auto file = RotatingFile::Open(
        {.path = path_, .rotate_bytes = rotate_bytes, .backups = backups, .mode = mode});
    EXPECT_TRUE(file) << file.error().Message();
    return *std::move(file);
  }

  fs::path directory_;
  fs::path path_;
};

TEST_F(FileTest, AppendsWithTheModeAsked) {
  std::ofstream(path_) << "old\n";
  fs::remove(path_);
  RotatingFile file = Open(1'000, 2);
  ASSERT_TRUE(file.Write("a\n"));
  ASSERT_TRUE(file.Write("b\n"));
  EXPECT_EQ(Read(path_), "a\nb\n");
  EXPECT_EQ(file.size_bytes(), 4u);
  struct stat status{};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(status.st_nlink, 1u);
}

TEST_F(FileTest, ContinuesAFileThatIsThere) {
  std::ofstream(path_) << "old\n";
  RotatingFile file = Open(1'000, 2);
  ASSERT_TRUE(file.Write("new\n"));
  EXPECT_EQ(Read(path_), "old\nnew\n");
  EXPECT_EQ(file.size_bytes(), 8u);
}

TEST_F(FileTest, RotatesBeforeTheLimit) {
  RotatingFile file = Open(10, 2);
  for (const char* line : {"1111\n", "2222\n", "3333\n", "4444\n", "5555\n", "6666\n", "7777\n"}) {
    ASSERT_TRUE(file.Write(line));
  }
  EXPECT_EQ(Read(path_), "7777\n");
  EXPECT_EQ(Read(Backup(1)), "5555\n6666\n");
  EXPECT_EQ(Read(Backup(2)), "3333\n4444\n");
  EXPECT_FALSE(fs::exists(Backup(3)));
}

TEST_F(FileTest, WithoutBackupsTheOldFileGoes) {
  RotatingFile file = Open(10, 0);
  for (const char* line : {"1111\n", "2222\n", "3333\n"}) ASSERT_TRUE(file.Write(line));
  EXPECT_EQ(Read(path_), "3333\n");
  EXPECT_FALSE(fs::exists(Backup(1)));
}

TEST_F(FileTest, ZeroNeverRotates) {
  RotatingFile file = Open(0, 2);
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(file.Write("1111\n"));
  EXPECT_EQ(Read(path_).size(), 500u);
  EXPECT_FALSE(fs::exists(Backup(1)));
}

TEST_F(FileTest, ManyLinesOfOneWriteGoToAsManyFilesAsTheLimitAsksFor) {
  RotatingFile file = Open(10, 9);
  uint64_t bytes = 0;
  ASSERT_TRUE(file.Write("111\n", &bytes));
  ASSERT_TRUE(file.Write("222\n333\n444444444444\n5\n666666666\n", &bytes));
  EXPECT_EQ(bytes, 37u);
  EXPECT_EQ(Read(Backup(4)), "111\n222\n");
  EXPECT_EQ(Read(Backup(3)), "333\n");
  EXPECT_EQ(Read(Backup(2)), "444444444444\n");  // longer than the limit, so alone
  EXPECT_EQ(Read(Backup(1)), "5\n");
  EXPECT_FALSE(fs::exists(Backup(5)));
  EXPECT_EQ(Read(path_), "666666666\n");
}

TEST_F(FileTest, OneLineIsNotCut) {
  RotatingFile file = Open(10, 1);
  const std::string big = std::string(50, 'x') + "\n";
  ASSERT_TRUE(file.Write(big));
  ASSERT_TRUE(file.Write("a\n"));
  EXPECT_EQ(Read(Backup(1)), big);
  EXPECT_EQ(Read(path_), "a\n");
}

TEST_F(FileTest, FollowsARotationByOthers) {
  RotatingFile file = Open(1'000, 2);
  ASSERT_TRUE(file.Write("a\n"));
  fs::rename(path_, directory_ / "moved");
  ::usleep(1'100'000);  // it looks once a second
  ASSERT_TRUE(file.Write("b\n"));
  EXPECT_EQ(Read(directory_ / "moved"), "a\n");
  EXPECT_EQ(Read(path_), "b\n");
}

TEST_F(FileTest, ReopenIsAtOnce) {
  RotatingFile file = Open(1'000, 2);
  ASSERT_TRUE(file.Write("a\n"));
  fs::rename(path_, directory_ / "moved");
  file.Reopen();
  ASSERT_TRUE(file.Write("b\n"));
  EXPECT_EQ(Read(path_), "b\n");
}

TEST_F(FileTest, OpenNamesWhatIsWrong) {
  const auto file = RotatingFile::Open({.path = directory_ / "no" / "such"});
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().Message(), HasSubstr("No such file or directory"));
  fs::create_symlink(directory_ / "elsewhere", path_);
  EXPECT_FALSE(RotatingFile::Open({.path = path_}));  // a link planted by someone else
}

TEST_F(FileTest, FailedWriteLeavesWholeLinesAndRecovers) {
  RotatingFile file = Open(0, 2);
  ASSERT_TRUE(file.Write("1111\n"));
  // A limit on the size of files stands for a full disk: the write stops in the middle of a line.
  ASSERT_NE(std::signal(SIGXFSZ, SIG_IGN), SIG_ERR);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const rlimit small{.rlim_cur = 8, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto failed = file.Write("2222\n");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().Message(), HasSubstr("File too large"));
  ASSERT_TRUE(file.Write("3333\n"));
  EXPECT_EQ(Read(path_), "1111\n3333\n");
}

TEST_F(FileTest, StandardOutputIsNeitherRotatedNorCutNorLookedFor) {
  const int before = ::dup(STDOUT_FILENO);
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe2(pipe.data(), O_CLOEXEC), 0);
  ASSERT_EQ(::dup2(pipe[1], STDOUT_FILENO), STDOUT_FILENO);
  auto file = RotatingFile::Open({.path = kStandardOutput, .rotate_bytes = 1});
  const bool written = file && file->Write("a\n");
  ::usleep(1'100'000);  // a file would be looked for once a second
  const bool again = written && file->Write("b\n");
  if (again) file->Reopen();
  const bool reopened = again && file->Write("c\n");
  ::dup2(before, STDOUT_FILENO);
  for (const int fd : {before, pipe[1]}) ::close(fd);
  ASSERT_TRUE(reopened) << (file ? "" : file.error().Message());
  std::array<char, 16> buffer{};
  EXPECT_EQ(::read(pipe[0], buffer.data(), buffer.size()), 6);
  EXPECT_STREQ(buffer.data(), "a\nb\nc\n");
  ::close(pipe[0]);
  EXPECT_FALSE(fs::exists("-"));
}

event::EventPtr Named(const std::string& name) {
  auto event = std::make_shared<tetragon::GetEventsResponse>();
  event->mutable_process_exec();
  event->set_node_name(name);
  return event;
}

TEST_F(FileTest, ExporterWritesWhatWasPublishedBeforeItEnds) {
  Dispatcher dispatcher;
  {
    auto exporter = FileExporter::Start(dispatcher, {.path = path_}, {}, 10'000);
    ASSERT_TRUE(exporter);
    for (int i = 0; i < 1'000; ++i) dispatcher.Publish(Named("n" + std::to_string(i)));
  }
  std::string expected;
  for (int i = 0; i < 1'000; ++i) AppendJsonLine(*Named("n" + std::to_string(i)), &expected);
  EXPECT_EQ(Read(path_), expected);
}

TEST_F(FileTest, ExporterKeepsToTheLimitWhateverItsBatches) {
  constexpr uint64_t kLimit = 1'000;
  constexpr unsigned kBackups = 100;
  Dispatcher dispatcher;
  {
    auto exporter = FileExporter::Start(
        dispatcher, {.path = path_, .rotate_bytes = kLimit, .backups = kBackups}, {}, 10'000);
    ASSERT_TRUE(exporter);
    for (int i = 0; i < 500; ++i) dispatcher.Publish(Named("n" + std::to_string(i)));
  }
  size_t lines = 0;
  for (const auto& entry : fs::directory_iterator(directory_)) {
    EXPECT_LE(entry.file_size(), kLimit) << entry.path();
    const std::string text = Read(entry.path());
    lines += static_cast<size_t>(std::ranges::count(text, '\n'));
  }
  EXPECT_EQ(lines, 500u);
}

TEST_F(FileTest, ExporterCountsWhatItCannotWrite) {
  Dispatcher dispatcher;
  auto exporter = FileExporter::Start(dispatcher, {.path = path_}, {});
  ASSERT_TRUE(exporter);
  const auto wait_until = [&](const auto& done) {
    for (int i = 0; i < 2'000 && !done((*exporter)->stats()); ++i) ::usleep(5'000);
    EXPECT_TRUE(done((*exporter)->stats()));
  };
  dispatcher.Publish(Named("a"));
  wait_until([](const FileExporterStats& stats) { return stats.written == 1; });
  EXPECT_EQ((*exporter)->stats().written_bytes, Read(path_).size());

  fs::remove_all(directory_);
  (*exporter)->Reopen();
  dispatcher.Publish(Named("b"));
  wait_until([](const FileExporterStats& stats) { return stats.failed == 1; });
  EXPECT_THAT((*exporter)->stats().last_error, HasSubstr("No such file"));

  fs::create_directories(directory_);
  dispatcher.Publish(Named("c"));
  wait_until([](const FileExporterStats& stats) { return stats.written == 2; });
  EXPECT_EQ((*exporter)->stats().last_error, "");
  EXPECT_THAT(Read(path_), HasSubstr("\"c\""));
}

}  // namespace
}  // namespace gatehouse::exporting
