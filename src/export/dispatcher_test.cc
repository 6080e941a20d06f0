// SPDX-License-Identifier: Apache-2.0
#include "export/dispatcher.h"

#include <gtest/gtest.h>

#include <thread>

namespace gatehouse::exporting {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr uint64_t kEvents = 20'000;

event::EventPtr Numbered(uint64_t number) {
  auto event = std::make_shared<tetragon::GetEventsResponse>();
  event->mutable_test()->set_arg0(number);
  return event;
}

TEST(DispatcherTest, EveryoneGetsEverythingInOrder) {
  Dispatcher dispatcher;
  const auto one = dispatcher.Subscribe("one", 10, {});
  const auto two = dispatcher.Subscribe("two", 10, {});
  for (uint64_t i = 0; i < 5; ++i) dispatcher.Publish(Numbered(i));
  for (const auto& subscription : {one, two}) {
    const auto first = subscription->Next(3, seconds(10));
    const auto rest = subscription->Next(100, seconds(10));
    ASSERT_EQ(first.size(), 3u);
    ASSERT_EQ(rest.size(), 2u);
    EXPECT_EQ(first[0]->test().arg0(), 0u);
    EXPECT_EQ(rest[1]->test().arg0(), 4u);
  }
}

TEST(DispatcherTest, SlowSubscriberLosesAndIsCounted) {
  Dispatcher dispatcher;
  const auto slow = dispatcher.Subscribe("slow", 3, {});
  const auto fast = dispatcher.Subscribe("fast", 100, {});
  for (uint64_t i = 0; i < 10; ++i) dispatcher.Publish(Numbered(i));
  const auto stats = dispatcher.stats();
  ASSERT_EQ(stats.size(), 2u);
  EXPECT_EQ(stats[0].name, "slow");
  EXPECT_EQ(stats[0].lost, 7u);
  EXPECT_EQ(stats[0].queued, 3u);
  EXPECT_EQ(stats[1].lost, 0u);
  EXPECT_EQ(stats[1].queued, 10u);
  const auto events = slow->Next(100, seconds(10));
  ASSERT_EQ(events.size(), 3u);
  EXPECT_EQ(events[2]->test().arg0(), 2u);  // the oldest are kept
  dispatcher.Publish(Numbered(10));         // and it goes on afterwards
  EXPECT_EQ(slow->Next(100, seconds(10))[0]->test().arg0(), 10u);
  EXPECT_EQ(slow->stats().delivered, 4u);
}

TEST(DispatcherTest, FilteredEventsAreNotDelivered) {
  tetragon::GetEventsRequest request;
  request.add_allow_list()->add_event_set(tetragon::PROCESS_EXEC);
  Dispatcher dispatcher;
  const auto subscription = dispatcher.Subscribe("x", 10, EventFilter::Compile(request).value());
  dispatcher.Publish(Numbered(1));
  EXPECT_TRUE(subscription->Next(10, seconds(10)).empty());
  auto exec = std::make_shared<tetragon::GetEventsResponse>();
  exec->mutable_process_exec();
  dispatcher.Publish(exec);
  EXPECT_EQ(subscription->Next(10, seconds(10)).size(), 1u);
  EXPECT_EQ(subscription->stats().delivered, 1u);
}

TEST(DispatcherTest, CloseEndsWaitingAndLeavesWhatIsQueued) {
  Dispatcher dispatcher;
  const auto subscription = dispatcher.Subscribe("x", 10, {});
  dispatcher.Publish(Numbered(1));
  dispatcher.Close();
  dispatcher.Publish(Numbered(2));
  EXPECT_FALSE(subscription->Finished());
  EXPECT_EQ(subscription->Next(10, seconds(600)).size(), 1u);
  EXPECT_TRUE(subscription->Finished());
  EXPECT_TRUE(subscription->Next(10, seconds(600)).empty());
  EXPECT_TRUE(dispatcher.Subscribe("late", 10, {})->Finished());
}

TEST(DispatcherTest, CloseWakesAReader) {
  Dispatcher dispatcher;
  const auto subscription = dispatcher.Subscribe("x", 10, {});
  std::thread reader([&] { EXPECT_TRUE(subscription->Next(1, seconds(600)).empty()); });
  dispatcher.Close();
  reader.join();
}

TEST(DispatcherTest, SubscriptionsThatWereLetGoAreForgotten) {
  Dispatcher dispatcher;
  auto subscription = dispatcher.Subscribe("x", 10, {});
  subscription.reset();
  dispatcher.Publish(Numbered(1));
  EXPECT_TRUE(dispatcher.stats().empty());
}

TEST(DispatcherTest, NothingIsLostOrDoubledBetweenThreads) {
  Dispatcher dispatcher;
  std::atomic<bool> done = false;
  const auto read_all = [&](size_t capacity) {
    return std::thread([&dispatcher, capacity] {
      const auto subscription = dispatcher.Subscribe("reader", capacity, {});
      uint64_t received = 0;
      uint64_t last = 0;
      while (!subscription->Finished()) {
        for (const auto& event : subscription->Next(64, seconds(10))) {
          EXPECT_GT(event->test().arg0(), last);
          last = event->test().arg0();
          ++received;
        }
      }
      const SubscriberStats stats = subscription->stats();
      EXPECT_EQ(stats.delivered, received);
      // Whoever subscribed late missed the ones before.
      EXPECT_LE(received + stats.lost, kEvents);
    });
  };
  std::vector<std::thread> readers;
  readers.push_back(read_all(16));
  readers.push_back(read_all(kEvents));
  std::thread watcher([&] {
    while (!done) (void)dispatcher.stats();
  });
  for (uint64_t i = 1; i <= kEvents; ++i) dispatcher.Publish(Numbered(i));
  dispatcher.Close();
  for (std::thread& reader : readers) reader.join();
  done = true;
  watcher.join();
}

}  // namespace
}  // namespace gatehouse::exporting
