// SPDX-License-Identifier: Apache-2.0
#include "kube/json_splitter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

namespace gatehouse::kube {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Shape = JsonSplitter::Shape;

constexpr size_t kBytesMax = 100;

struct Split {
  std::vector<std::string> objects;
  std::string envelope;
  std::string error;  // of Feed or Finish
};

/// `step`: how many bytes come at once.
Split Cut(Shape shape, std::string_view text, size_t step) {
  Split split;
  JsonSplitter splitter(shape, kBytesMax, [&](std::string_view object) {
    split.objects.emplace_back(object);
    return true;
  });
  for (; !text.empty(); text.remove_prefix(std::min(step, text.size()))) {
    if (const Result<void> fed = splitter.Feed(text.substr(0, step)); !fed) {
      split.error = fed.error().Message();
      return split;
    }
  }
  const Result<std::string> rest = splitter.Finish();
  (rest ? split.envelope : split.error) = rest ? *rest : rest.error().Message();
  return split;
}

TEST(JsonSplitter, CutsAListHoweverItComes) {
  constexpr std::string_view kList =
      R"({"kind":"PodList","metadata":{"items":[7],"continue":"a]}b"},"x":["items"], "items" : [
          {"a":"}\"{","b":[{}]} , {"items":[1]},{}] ,"z":1})";
  for (const size_t step : {1, 2, 3, 7, 1000}) {
    const Split split = Cut(Shape::kList, kList, step);
    EXPECT_EQ(split.error, "");
    EXPECT_THAT(split.objects, ElementsAre(R"({"a":"}\"{","b":[{}]})", R"({"items":[1]})", "{}"))
        << step;
    EXPECT_EQ(split.envelope,
              R"({"kind":"PodList","metadata":{"items":[7],"continue":"a]}b"},"x":["items"], )"
              R"("items" : [] ,"z":1})");
  }
}

TEST(JsonSplitter, CutsASequence) {
  for (const size_t step : {1, 5, 1000}) {
    const Split split = Cut(Shape::kSequence, "{\"a\":1}\n{\"b\":\"\\\\\"}\r\n\n{\n}\n", step);
    EXPECT_EQ(split.error, "");
    EXPECT_THAT(split.objects, ElementsAre("{\"a\":1}", "{\"b\":\"\\\\\"}", "{\n}"));
  }
}

TEST(JsonSplitter, EmptyListsAreLists) {
  for (const char* const text : {R"({"items":[]})", R"({"items":null})", R"({})"}) {
    const Split split = Cut(Shape::kList, text, 100);
    EXPECT_EQ(split.error, "");
    EXPECT_EQ(split.envelope, text);
    EXPECT_THAT(split.objects, IsEmpty());
  }
}

TEST(JsonSplitter, RefusesWhatIsNotOfTheShape) {
  for (const char* const text :
       {"", "[]", "x{}", "\"a\"", R"({"items":[)", R"({"items":[{},]})", R"({"items":[,{}]})",
        R"({"items":[{}{}]})", R"({"items":[1]})", R"({"items":["a"]})", R"({"items":[[]]})",
        "{}{}", "{}x", R"({"a":"b)", "}"}) {
    EXPECT_THAT(Cut(Shape::kList, text, 1).error, HasSubstr("bad JSON")) << text;
  }
  for (const char* const text : {"[{}]", "{},{}", "{", "{\"a", "1", "\"{}\"", "}"}) {
    EXPECT_THAT(Cut(Shape::kSequence, text, 1).error, HasSubstr("bad JSON")) << text;
  }
}

TEST(JsonSplitter, BoundsWhatItKeeps) {
  const std::string large = "{\"a\":\"" + std::string(kBytesMax, 'x') + "\"}";
  EXPECT_THAT(Cut(Shape::kSequence, large, 10).error, HasSubstr("an object is too large"));
  EXPECT_THAT(Cut(Shape::kList, "{\"items\":[" + large + "]}", 10).error,
              HasSubstr("an object is too large"));
  EXPECT_THAT(Cut(Shape::kList, "{\"x\":\"" + std::string(2u << 20, 'x') + "\"}", 4096).error,
              HasSubstr("too much around it"));
}

TEST(JsonSplitter, StopsWhenNothingMoreIsWanted) {
  int seen = 0;
  JsonSplitter splitter(Shape::kSequence, kBytesMax, [&](std::string_view) { return ++seen < 2; });
  EXPECT_FALSE(splitter.Feed("{}{}{}{}").has_value());
  EXPECT_EQ(seen, 2);
}

}  // namespace
}  // namespace gatehouse::kube
