// SPDX-License-Identifier: Apache-2.0
// What a reflector asks and makes of the answers, without a server and without a clock.
#include "kube/reflector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>

#include "kube/json_fields.h"

namespace gatehouse::kube {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// An object that is told apart by its field `v`; one with a field `bad` cannot be read.
struct Thing {
  std::string key;
  int v = 0;
};

Result<Converted<Thing>> ConvertThing(const json& object) {
  if (object.contains("bad")) return Fail(ErrorCode::kInvalid, "thing", "is bad");
  const int v = object.value("v", 0);
  return Converted<Thing>{{ReadMeta(object)->key, v}, std::to_string(v)};
}

std::string Object(const std::string& name, int version, int v, const std::string& more = "") {
  return R"({"metadata":{"namespace":"n","name":")" + name + R"(","resourceVersion":")" +
         std::to_string(version) + R"("},"v":)" + std::to_string(v) + more + "}";
}

std::string Event(const std::string& type, const std::string& object) {
  return R"({"type":")" + type + R"(","object":)" + object + "}\n";
}

std::string List(const std::vector<std::string>& objects, const std::string& version,
                 const std::string& next = "") {
  std::string text = R"({"kind":"ThingList","metadata":{"resourceVersion":")" + version +
                     R"(","continue":")" + next + R"("},"items":[)";
  for (size_t i = 0; i < objects.size(); ++i) text += (i == 0 ? "" : ",") + objects[i];
  return text + "]}";
}

const char* const kGoneEvent =
    R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}})";

class ReflectorTest : public ::testing::Test {
 protected:
  void Make(const Resource& resource) {
    reflector_ = std::make_unique<Reflector>(
        resource, Timing{}, [] { return 0.5; },
        std::make_unique<Store<Thing>>(
            &ConvertThing, [this](Changes<Thing> changes) { Take(std::move(changes)); }),
        now_);
  }
  ReflectorTest() { Make({.path = "/api/v1/things"}); }

  void Take(Changes<Thing> changes) {
    for (const std::string& key : changes.removed) {
      log_.push_back("-" + key);
      EXPECT_EQ(things_.erase(key), 1u) << key;
    }
    for (const Thing& thing : changes.put) {
      log_.push_back(thing.key + "=" + std::to_string(thing.v));
      things_[thing.key] = thing.v;
    }
    if (changes.synced) log_.emplace_back("synced");
  }

  /// Waits until a request is due, and begins it.
  std::string Ask() {
    if (!reflector_->due()) return "nothing";
    waited_ = *reflector_->due() - now_;
    now_ = std::max(now_, *reflector_->due());
    return reflector_->Begin(now_).target;
  }
  void Receive(const std::string& text) { more_ = reflector_->Receive(text, now_); }
  void End(const std::string& error = "") { reflector_->End({status_, error}, now_); }
  void Answer(int status) {
    status_ = status;
    reflector_->Answered(status, now_);
  }
  /// An answer as a whole.
  void Answer(int status, const std::string& text) {
    Answer(status);
    Receive(text);
    End();
  }
  /// Up to the watch that follows a list.
  void Sync(const std::vector<std::string>& objects, const std::string& version) {
    Ask();
    Answer(200, List(objects, version));
    Ask();
    Answer(200);
  }
  std::vector<std::string> Log() { return std::exchange(log_, {}); }

  Clock::time_point now_{seconds(1000)};
  Clock::duration waited_{};
  std::vector<std::string> log_;
  std::map<std::string, int> things_;
  std::unique_ptr<Reflector> reflector_;
  int status_ = 0;
  bool more_ = true;
};

TEST_F(ReflectorTest, ListsInPagesThenWatches) {
  EXPECT_EQ(Ask(), "/api/v1/things?limit=500");
  Answer(200, List({Object("a", 3, 1), Object("b", 4, 2)}, "10", "more/+="));
  EXPECT_THAT(Log(), ElementsAre("n/a=1", "n/b=2"));
  EXPECT_EQ(Ask(), "/api/v1/things?limit=500&continue=more%2F%2B%3D");
  EXPECT_FALSE(reflector_->health().synced);
  Answer(200, List({Object("c", 5, 3)}, "10"));
  EXPECT_THAT(Log(), ElementsAre("n/c=3", "synced"));
  EXPECT_EQ(Ask(),
            "/api/v1/things?watch=true&allowWatchBookmarks=true&resourceVersion=10&"
            "timeoutSeconds=450");
  Answer(200);
  Receive(Event("ADDED", Object("d", 11, 4)) + Event("MODIFIED", Object("a", 12, 5)));
  Receive(Event("DELETED", Object("b", 13, 2)));
  EXPECT_THAT(Log(), ElementsAre("n/d=4", "n/a=5", "-n/b"));
  const Health health = reflector_->health();
  EXPECT_EQ(health.state, ReflectorState::kWatching);
  EXPECT_EQ(health.objects, 3u);
  EXPECT_EQ(health.lists, 1u);
  EXPECT_EQ(health.watches, 1u);
  EXPECT_EQ(health.events, 3u);
  EXPECT_EQ(health.last_error, "");
}

TEST_F(ReflectorTest, AWatchThatEndsGoesOnFromBookmarksAndEvents) {
  Sync({}, "10");
  Receive(Event("ADDED", Object("a", 11, 1)));
  Receive(Event("BOOKMARK", R"({"metadata":{"resourceVersion":"40"}})"));
  End();
  EXPECT_THAT(Ask(), HasSubstr("watch=true&allowWatchBookmarks=true&resourceVersion=40&"));
  EXPECT_EQ(waited_, seconds(0));
  Answer(200);
  Receive(Event("MODIFIED", Object("a", 41, 2)));
  // Broken in the midst of the next event.
  Receive(R"({"type":"MODIFIED","object":{"meta)");
  End("connection reset");
  EXPECT_EQ(reflector_->health().state, ReflectorState::kAway);
  EXPECT_THAT(reflector_->health().last_error, HasSubstr("connection reset"));
  EXPECT_THAT(Ask(), HasSubstr("resourceVersion=41&"));
  Answer(200);
  EXPECT_EQ(reflector_->health().state, ReflectorState::kWatching);
  EXPECT_EQ(reflector_->health().lists, 1u);
  EXPECT_EQ(reflector_->health().events, 2u);
}

TEST_F(ReflectorTest, AnEndInTheMidstOfAnEventIsOne) {
  Sync({}, "10");
  Receive(R"({"type":"ADDED")");
  End();
  EXPECT_THAT(reflector_->health().last_error, HasSubstr("ends too early"));
  EXPECT_THAT(Ask(), HasSubstr("resourceVersion=10&"));
}

TEST_F(ReflectorTest, GoneMeansANewListWithItsDifferencesOnly) {
  for (const bool as_event : {true, false}) {
    Make({.path = "/api/v1/things"});
    things_.clear();
    Sync({Object("a", 1, 1), Object("b", 2, 2), Object("c", 3, 3)}, "10");
    Log();
    if (as_event) {
      Receive(kGoneEvent);
      EXPECT_FALSE(more_);
      End("aborted");
    } else {
      End();
      Ask();
      Answer(410, R"({"kind":"Status","message":"too old resource version"})");
    }
    EXPECT_THAT(reflector_->health().last_error, HasSubstr("too old"));
    EXPECT_THAT(Log(), IsEmpty());
    EXPECT_EQ(Ask(), "/api/v1/things?limit=500");
    EXPECT_GT(waited_, seconds(0));
    Answer(200, List({Object("a", 1, 1), Object("c", 7, 4), Object("d", 8, 5)}, "20"));
    EXPECT_THAT(Log(), ElementsAre("-n/b", "n/c=4", "n/d=5"));
    EXPECT_EQ(reflector_->health().lists, 2u);
  }
}

TEST_F(ReflectorTest, AnExpiredPageMeansTheListFromItsBeginning) {
  Ask();
  Answer(200, List({Object("a", 1, 1), Object("b", 2, 1)}, "10", "next"));
  Ask();
  Answer(410, R"({"message":"The provided continue parameter is too old"})");
  EXPECT_EQ(Ask(), "/api/v1/things?limit=500");
  Answer(200, List({Object("b", 2, 1)}, "20"));
  // What only the first attempt had is gone.
  EXPECT_THAT(Log(), ElementsAre("n/a=1", "n/b=1", "-n/a", "synced"));
}

TEST_F(ReflectorTest, APageThatFailsIsAskedForAgain) {
  Ask();
  Answer(200, List({Object("a", 1, 1)}, "10", "next"));
  Ask();
  Answer(200);
  Receive(R"({"items":[)" + Object("b", 2, 2) + "," + R"({"metadata")");
  End("connection reset");
  EXPECT_THAT(Ask(), HasSubstr("continue=next"));
  Answer(200, List({Object("b", 2, 2), Object("c", 3, 3)}, "10"));
  EXPECT_THAT(Log(), ElementsAre("n/a=1", "n/b=2", "n/c=3", "synced"));
}

TEST_F(ReflectorTest, NothingIsRemovedWhileTheServerIsAway) {
  Sync({Object("a", 1, 1)}, "10");
  Log();
  End("broken");
  const std::pair<int, const char*> answers[] = {
      {0, ""},
      {500, "?"},
      {503, R"({"message":"starting"})"},
      {404, "{}"},
      {401, "{}"},
      {403, "{}"},
      {200, "[]"},
      {200, R"({"items":[]})"},
      {200, R"({"metadata":{},"items":[]})"},
      {200, R"({"metadata":{"resourceVersion":"11"},"items":[1]})"}};
  for (const auto& [status, text] : answers) {
    Ask();
    if (status == 0) {
      status_ = 0;
      End("connection refused");
    } else {
      Answer(status, text);
    }
    EXPECT_NE(reflector_->health().state, ReflectorState::kWatching) << status << text;
    EXPECT_THAT(Log(), IsEmpty()) << status << text;
  }
  EXPECT_EQ(things_.size(), 1u);
}

TEST_F(ReflectorTest, WaitsLongerAfterEachFailureAndNotAtOnceForAll) {
  std::vector<int64_t> waited;
  for (int i = 0; i < 9; ++i) {
    Ask();
    waited.push_back(std::chrono::duration_cast<milliseconds>(waited_).count());
    Answer(500, "?");
  }
  // Three quarters, as the random number says, of 500 ms, doubled up to 30 s.
  EXPECT_THAT(waited, ElementsAre(0, 375, 750, 1500, 3000, 6000, 12000, 22500, 22500));
  Ask();
  Answer(200, List({}, "10"));
  // A list alone is no proof that it works: if the watch says at once that it is too old, it waits.
  Ask();
  Answer(200, kGoneEvent);
  Ask();
  EXPECT_EQ(waited_, milliseconds(22500));
  Answer(200, List({}, "11"));
  Ask();
  Answer(200, Event("ADDED", Object("a", 12, 1)));
  Ask();
  EXPECT_EQ(waited_, seconds(0));
  Answer(500, "?");
  Ask();
  EXPECT_EQ(waited_, milliseconds(375));
}

TEST_F(ReflectorTest, AWatchThatEndsAtOnceIsNotMadeAgainAtOnce) {
  Sync({}, "10");
  End();
  Ask();
  EXPECT_EQ(waited_, milliseconds(375));
  Answer(200);
  now_ += seconds(60);
  End();
  Ask();
  EXPECT_EQ(waited_, seconds(0));
}

TEST_F(ReflectorTest, RetryAfterIsHeeded) {
  for (const int status : {429, 503}) {
    Ask();
    reflector_->Answered(status, now_);
    reflector_->End({status, "", seconds(120)}, now_);
    Ask();
    EXPECT_EQ(waited_, seconds(120));
    Answer(500, "?");
  }
}

TEST_F(ReflectorTest, AResourceThatIsNotThereIsWaitedFor) {
  Ask();
  Answer(404, "404 page not found");
  EXPECT_EQ(reflector_->health().state, ReflectorState::kAbsent);
  EXPECT_EQ(Ask(), "/api/v1/things?limit=500");
  EXPECT_EQ(waited_, milliseconds(22500));
  Answer(404, "404 page not found");
  Ask();
  EXPECT_EQ(waited_, milliseconds(22500));  // no longer than that
  Answer(200, List({Object("a", 1, 1)}, "10"));
  EXPECT_EQ(reflector_->health().state, ReflectorState::kWatching);
  Ask();
  // The definition is deleted: what there was stays until the server says otherwise.
  Answer(404, "404 page not found");
  EXPECT_EQ(reflector_->health().state, ReflectorState::kAbsent);
  EXPECT_EQ(Ask(), "/api/v1/things?limit=500");
  EXPECT_EQ(things_.size(), 1u);
}

TEST_F(ReflectorTest, WhatMayNotBeReadIsSaid) {
  Ask();
  Answer(403, R"({"kind":"Status","message":"things is forbidden:\nno"})");
  EXPECT_EQ(reflector_->health().state, ReflectorState::kForbidden);
  EXPECT_EQ(reflector_->health().last_error, "HTTP status 403: things is forbidden: no");
  Ask();
  Answer(200, List({}, "10"));
  EXPECT_EQ(reflector_->health().state, ReflectorState::kWatching);
}

TEST_F(ReflectorTest, ListsOfTheCacheAreNotOlderThanWhatWasSeen) {
  Make({.path = "/api/v1/pods", .field_selector = "spec.nodeName=n 1", .from_cache = true});
  EXPECT_EQ(Ask(), "/api/v1/pods?resourceVersion=0&fieldSelector=spec.nodeName%3Dn%201");
  Answer(200, List({}, "10"));
  EXPECT_THAT(Ask(), HasSubstr("&fieldSelector=spec.nodeName%3Dn%201"));
  Answer(404, "");
  EXPECT_EQ(Ask(),
            "/api/v1/pods?resourceVersion=10&resourceVersionMatch=NotOlderThan&"
            "fieldSelector=spec.nodeName%3Dn%201");
  // The cache has not come so far, or a backup was restored: as the storage has it.
  Answer(504, R"({"message":"Too large resource version: 10, current: 5"})");
  EXPECT_EQ(Ask(), "/api/v1/pods?limit=500&fieldSelector=spec.nodeName%3Dn%201");
  Answer(200, List({}, "5"));
  EXPECT_THAT(Ask(), HasSubstr("watch=true&allowWatchBookmarks=true&resourceVersion=5&"));
}

TEST_F(ReflectorTest, ObjectsThatCannotBeReadStayAsTheyWere) {
  Sync({Object("a", 1, 1), Object("b", 2, 1, R"(,"bad":1)"), R"({"metadata":7})"}, "10");
  EXPECT_THAT(Log(), ElementsAre("n/a=1", "synced"));
  Receive(Event("MODIFIED", Object("a", 11, 2, R"(,"bad":1)")));
  Receive(Event("ADDED", R"({"metadata":{"name":5}})"));
  EXPECT_THAT(Log(), IsEmpty());
  EXPECT_EQ(reflector_->health().unreadable, 4u);
  EXPECT_THAT(reflector_->health().last_error, HasSubstr("an object cannot be read"));
  End();
  Ask();
  Answer(410, "");
  Ask();
  Answer(200, List({Object("a", 11, 2, R"(,"bad":1)")}, "20"));
  EXPECT_THAT(Log(), IsEmpty());  // it is there, so it is not gone
  Ask();
  Answer(200);
  Receive(Event("MODIFIED", Object("a", 21, 3)));
  Receive(Event("DELETED", Object("a", 22, 3, R"(,"bad":1)")));
  EXPECT_THAT(Log(), ElementsAre("n/a=3", "-n/a"));
}

TEST_F(ReflectorTest, BadEventsEndTheWatchAndItGoesOn) {
  for (const char* const text :
       {"null", "[]", "{\"type\":\"ADDED\"", "{}", "{\"type\":1}", "{\"type\":\"MOVED\"}",
        "{\"type\":\"ADDED\",\"object\":[]}", "{\"type\":\"ADDED\",\"object\":{,}}",
        "{\"type\":\"ADDED\",\"object\":{\"a\":1e999}}",
        "{\"type\":\"ADDED\",\"object\":\"\xff\"}"}) {
    Make({.path = "/api/v1/things"});
    Sync({}, "10");
    Receive(text);
    End(more_ ? "" : "aborted");
    EXPECT_THAT(reflector_->health().last_error, Not(IsEmpty())) << text;
    EXPECT_THAT(Ask(), HasSubstr("watch=true&allowWatchBookmarks=true&resourceVersion=10&"))
        << text;
  }
}

TEST_F(ReflectorTest, OtherErrorsOfAWatchAreNoReasonForANewList) {
  Sync({}, "10");
  Receive(R"({"type":"ERROR","object":{"code":500,"message":"etcd: leader changed"}})");
  End("aborted");
  EXPECT_THAT(reflector_->health().last_error, HasSubstr("leader changed"));
  EXPECT_THAT(Ask(), HasSubstr("resourceVersion=10&"));
}

TEST_F(ReflectorTest, DuplicateAndLateEventsChangeNothing) {
  Sync({Object("a", 5, 1)}, "10");
  Log();
  Receive(Event("MODIFIED", Object("a", 12, 3)) + Event("MODIFIED", Object("a", 12, 3)) +
          Event("MODIFIED", Object("a", 11, 2)) + Event("ADDED", Object("a", 12, 3)));
  Receive(Event("DELETED", Object("a", 14, 3)) + Event("MODIFIED", Object("a", 13, 4)) +
          Event("DELETED", Object("a", 14, 3)));
  EXPECT_THAT(Log(), ElementsAre("n/a=3", "-n/a"));
  Receive(Event("ADDED", Object("a", 15, 9)));
  EXPECT_THAT(Log(), ElementsAre("n/a=9"));
  End();
  EXPECT_THAT(Ask(), HasSubstr("resourceVersion=15&"));
}

TEST_F(ReflectorTest, DeletedAndMadeAgainInOneBatchStays) {
  Sync({Object("a", 5, 1)}, "10");
  Log();
  Receive(Event("DELETED", Object("a", 11, 1)) + Event("ADDED", Object("a", 12, 1)) +
          Event("DELETED", Object("a", 13, 1)) + Event("ADDED", Object("a", 14, 1)));
  EXPECT_THAT(Log(), ElementsAre("-n/a", "n/a=1", "-n/a", "n/a=1"));
}

TEST_F(ReflectorTest, AListIsTrueEvenIfVersionsWentBack) {
  Sync({Object("a", 50, 1)}, "60");
  Log();
  Receive(kGoneEvent);
  End("aborted");
  Ask();
  Answer(200, List({Object("a", 5, 7)}, "6"));
  EXPECT_THAT(Log(), ElementsAre("n/a=7"));
  Ask();
  Answer(200);
  Receive(Event("MODIFIED", Object("a", 7, 8)));
  EXPECT_THAT(Log(), ElementsAre("n/a=8"));
}

/// Whatever the order in which events of objects come, and wherever the stream breaks, what is
/// there in the end is the same.
TEST_F(ReflectorTest, ShuffledArrivalsGiveTheSameStore) {
  std::mt19937 random(7);
  for (int round = 0; round < 200; ++round) {
    Make({.path = "/api/v1/things"});
    things_.clear();
    std::vector<std::string> events;
    std::map<std::string, int> expected;
    for (int version = 11; version < 41; ++version) {
      const std::string name(1, static_cast<char>('a' + random() % 5));
      const bool there = expected.contains("n/" + name);
      if (there && random() % 3 == 0) {
        events.push_back(Event("DELETED", Object(name, version, 0)));
        expected.erase("n/" + name);
      } else {
        events.push_back(Event(there ? "MODIFIED" : "ADDED", Object(name, version, version)));
        expected["n/" + name] = version;
      }
    }
    std::ranges::shuffle(events, random);
    std::string text;
    for (const std::string& event : events) text += event;
    Sync({}, "10");
    while (!text.empty()) {
      const size_t size = std::min<size_t>(1 + random() % 400, text.size());
      Receive(text.substr(0, size));
      text.erase(0, size);
    }
    ASSERT_EQ(things_, expected) << round;
  }
}

TEST_F(ReflectorTest, TenThousandObjectsComeInPages) {
  constexpr int kObjects = 10'000;
  constexpr int kPage = 500;
  for (int first = 0; first < kObjects; first += kPage) {
    std::vector<std::string> page;
    for (int i = first; i < first + kPage; ++i)
      page.push_back(Object("o" + std::to_string(i), 5, i));
    EXPECT_THAT(Ask(), HasSubstr(first == 0 ? "limit=500" : "continue=" + std::to_string(first)));
    Answer(200, List(page, "10", first + kPage < kObjects ? std::to_string(first + kPage) : ""));
    // Handed out page by page, not kept.
    EXPECT_EQ(things_.size(), static_cast<size_t>(first + kPage));
  }
  EXPECT_EQ(log_.back(), "synced");
  EXPECT_EQ(reflector_->health().objects, static_cast<size_t>(kObjects));
}

TEST(Backoff, RetryAfter) {
  EXPECT_EQ(ParseRetryAfter(" 7\r\n"), seconds(7));
  EXPECT_EQ(ParseRetryAfter("0"), seconds(0));
  EXPECT_EQ(ParseRetryAfter("99999999"), seconds(600));
  EXPECT_EQ(ParseRetryAfter("99999999999999"), seconds(600));
  for (const char* const text : {"", "-1", "1.5", "soon", "Fri, 31 Dec 1999 23:59:59 GMT"}) {
    EXPECT_EQ(ParseRetryAfter(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace gatehouse::kube
