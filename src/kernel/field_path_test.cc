// SPDX-License-Identifier: Apache-2.0
// Paths through types made here, whose offsets are known.
#include "kernel/field_path.h"

#include <gtest/gtest.h>

#include "policy/resolve.h"

namespace gatehouse::kernel {
namespace {

/// struct outer {
///   int number;                 at 0
///   struct {                    at 8
///     struct inner* next;       8
///     char name[16];            16
///   };
///   struct inner inner;         at 32
///   struct inner* several;      at 48
///   long numbers[4];            at 56
///   unsigned flag : 1;          at 88
///   void* anything;             at 96
/// };
/// struct inner { unsigned short small; struct outer* back; };   0, 8
class FieldPath : public ::testing::Test {
 protected:
  FieldPath() : types_(Make()) {}

  btf* Make() {
    btf* const t = btf__new_empty();
    const int number = btf__add_int(t, "int", 4, BTF_INT_SIGNED);
    const int small = btf__add_int(t, "unsigned short", 2, 0);
    const int large = btf__add_int(t, "long", 8, BTF_INT_SIGNED);
    const int letter = btf__add_int(t, "char", 1, 0);
    const int name = btf__add_array(t, number, letter, 16);
    const int numbers = btf__add_array(t, number, large, 4);
    const int anything = btf__add_ptr(t, 0);
    const int inner = btf__type_cnt(t);  // the next
    btf__add_struct(t, "inner", 16);
    btf__add_field(t, "small", small, 0, 0);
    btf__add_field(t, "back", inner + 4, 64, 0);
    const int constant = btf__add_const(t, inner);
    const int next = btf__add_ptr(t, constant);
    const int unnamed = btf__add_struct(t, nullptr, 24);
    btf__add_field(t, "next", next, 0, 0);
    btf__add_field(t, "name", name, 64, 0);
    EXPECT_EQ(btf__add_ptr(t, inner + 5), inner + 4);
    outer_ = static_cast<uint32_t>(btf__add_struct(t, "outer", 104));
    btf__add_field(t, "number", number, 0, 0);
    btf__add_field(t, nullptr, unnamed, 64, 0);
    btf__add_field(t, "inner", inner, 256, 0);
    btf__add_field(t, "several", next, 384, 0);
    btf__add_field(t, "numbers", numbers, 448, 0);
    btf__add_field(t, "flag", number, 704, 1);
    btf__add_field(t, "anything", anything, 768, 0);
    pointer_ = static_cast<uint32_t>(inner + 4);
    return t;
  }

  Result<PathEnd> Follow(std::string_view text) {
    const auto path = policy::ParsePath(text);
    EXPECT_TRUE(path) << text;
    return FollowPath(types_, {.type = pointer_, .pointer = true}, *path, "here");
  }

  void ExpectEnd(std::string_view path, const policy::Chain& chain, const Parameter& value) {
    const Result<PathEnd> end = Follow(path);
    ASSERT_TRUE(end) << path << ": " << end.error().cause;
    EXPECT_EQ(end->chain, chain) << path;
    EXPECT_EQ(end->value, value) << path;
    EXPECT_EQ(end->value.is_signed, value.is_signed) << path;
  }

  void ExpectRefusal(std::string_view path, std::string_view cause, std::string_view remedy) {
    const Result<PathEnd> end = Follow(path);
    ASSERT_FALSE(end) << path;
    EXPECT_EQ(end.error().object, "here");
    EXPECT_EQ(end.error().cause, cause);
    EXPECT_EQ(end.error().remedy, remedy);
  }

  uint32_t outer_ = 0;
  uint32_t pointer_ = 0;
  KernelTypes types_;
};

Parameter PointerTo(std::string name) {
  return {.readable = true, .pointer = true, .pointee = std::move(name)};
}

TEST_F(FieldPath, LeadsToNumbers) {
  ExpectEnd("number", {{0}, 4}, {.readable = true, .bytes = 4, .is_signed = true});
  ExpectEnd("inner.small", {{32}, 2}, {.readable = true, .bytes = 2});
  ExpectEnd("numbers[3]", {{80}, 8}, {.readable = true, .bytes = 8, .is_signed = true});
}

TEST_F(FieldPath, FollowsPointers) {
  ExpectEnd("next.small", {{8, 0}, 2}, {.readable = true, .bytes = 2});
  ExpectEnd("next.back.number", {{8, 8, 0}, 4}, {.readable = true, .bytes = 4, .is_signed = true});
  ExpectEnd("several[2].small", {{48, 32}, 2}, {.readable = true, .bytes = 2});
  ExpectEnd("[1].number", {{104}, 4}, {.readable = true, .bytes = 4, .is_signed = true});
}

TEST_F(FieldPath, EndsAtWhatIsReadFromItsAddress) {
  ExpectEnd("name", {{16}, 0}, PointerTo("char"));
  ExpectEnd("inner", {{32}, 0}, PointerTo("inner"));
  ExpectEnd("next", {{8}, 8}, PointerTo("inner"));
  ExpectEnd("anything", {{96}, 8}, PointerTo("void"));
}

TEST_F(FieldPath, BeginsWithAStruct) {
  const auto path = policy::ParsePath("next.small");
  const auto end = FollowPath(types_, {.type = outer_, .pointer = false}, *path, "here");
  ASSERT_TRUE(end);
  EXPECT_EQ(end->chain, (policy::Chain{{8, 0}, 2}));
}

TEST_F(FieldPath, RefusesWithTheNearestName) {
  ExpectRefusal("nummer", "on this kernel outer has no field \"nummer\"",
                "did you mean \"number\"?");
  ExpectRefusal("inner.what", "on this kernel inner has no field \"what\"",
                "known here: small, back");
  ExpectRefusal("number.of", "number is no struct, and so has no field \"of\"",
                "end the path there");
  ExpectRefusal("anything.of", "anything is no struct, and so has no field \"of\"",
                "say with btfType what it points to");
}

TEST_F(FieldPath, RefusesWhatCannotBeRead) {
  ExpectRefusal("flag", "flag is a bit field, which is not supported yet", "name another field");
  ExpectRefusal("numbers", "numbers is an array", "name one of its elements: numbers[0]");
  ExpectRefusal("numbers[4]", "numbers has 4 elements, counted from 0",
                "write a smaller number in the brackets");
  ExpectRefusal("number[0]", "number is no array", "remove the brackets");
  ExpectRefusal("several[4000000000].small", "several[4000000000] is too far away",
                "write a smaller number in the brackets");
}

}  // namespace
}  // namespace gatehouse::kernel
