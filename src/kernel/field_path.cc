// SPDX-License-Identifier: Apache-2.0
#include "kernel/field_path.h"

#include <bpf/btf.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "policy/diagnostics.h"

namespace gatehouse::kernel {
namespace {

constexpr uint32_t kBitsOfByte = 8;
constexpr uint64_t kOffsetMax = std::numeric_limits<int32_t>::max();
constexpr size_t kNamesMax = 24;  // more are not listed

/// A field of a struct, or of a struct without a name in it.
struct Member {
  uint32_t type = 0;
  uint64_t bits = 0;  ///< offset
  bool bit_field = false;
};

class Walk {
 public:
  Walk(const KernelTypes& types, PathBegin begin, const std::string& object)
      : types_(types), object_(object), type_(begin.type), is_value_(begin.pointer) {}

  Result<void> Take(const policy::PathStep& step) {
    GH_TRY(step.field.empty() ? TakeElement(step.element) : TakeField(step.field));
    walked_ += step.field.empty() ? "[" + std::to_string(step.element) + "]"
                                  : std::string(walked_.empty() ? "" : ".").append(step.field);
    if (at_ <= kOffsetMax) return {};
    return Refuse(walked_ + " is too far away", "write a smaller number in the brackets");
  }

  Result<PathEnd> End() {
    const btf_type* const type = types_.Resolve(type_);
    PathEnd end{.chain = {.offsets = std::move(offsets_)}, .value = types_.Describe(type)};
    end.chain.offsets.push_back(static_cast<uint32_t>(at_));
    if (end.chain.offsets.size() > GH_STEPS_MAX) {
      return Refuse(
          "more than " + std::to_string(int{GH_STEPS_MAX} - 1) + " pointers are to be followed",
          "begin the path nearer to the value");
    }
    if (type != nullptr && btf_is_composite(type)) {
      end.value = {.readable = true, .pointer = true, .pointee = types_.NameOf(type, type_)};
    } else if (type != nullptr && btf_is_array(type)) {
      const btf_type* const element = types_.Resolve(btf_array(type)->type);
      if (element == nullptr || !btf_is_int(element) || element->size != 1) {
        return Refuse(walked_ + " is an array", "name one of its elements: " + walked_ + "[0]");
      }
      end.value = {.readable = true, .pointer = true, .pointee = "char"};
    } else if (type != nullptr && (btf_is_ptr(type) || btf_is_int(type) || btf_is_any_enum(type))) {
      end.chain.bytes = static_cast<uint8_t>(btf_is_ptr(type) ? sizeof(uint64_t) : type->size);
      if (end.value.pointer && end.value.pointee.empty()) end.value.pointee = "something else";
      end.value.readable = end.chain.bytes <= sizeof(uint64_t);
    }
    if (end.value.readable) return end;
    return Refuse(walked_ + " is of a type that no argument can have", "name another field");
  }

 private:
  tl::unexpected<Error> Refuse(const std::string& cause, const std::string& remedy) const {
    return Fail(ErrorCode::kInvalid, object_, cause, remedy);
  }

  /// `mm.owner`, or what the path begins with.
  [[nodiscard]] std::string Here() const {
    return walked_.empty() ? "what the path begins with" : walked_;
  }

  /// Goes to what the pointer points to that the value here is.
  void Dereference(const btf_type* pointer) {
    if (!std::exchange(is_value_, false)) offsets_.push_back(static_cast<uint32_t>(at_));
    at_ = 0;
    type_ = pointer->type;
  }

  Result<void> TakeField(const std::string& name) {
    const btf_type* type = types_.Resolve(type_);
    while (type != nullptr && btf_is_ptr(type)) {
      Dereference(type);
      type = types_.Resolve(type_);
    }
    if (is_value_ || type == nullptr || !btf_is_composite(type)) {
      return Refuse(Here() + " is no struct, and so has no field \"" + name + "\"",
                    type == nullptr ? "say with btfType what it points to" : "end the path there");
    }
    const std::optional<Member> member = Find(type, name, 0);
    if (!member) return NoField(type, name);
    if (member->bit_field) {
      return Refuse(Join(name) + " is a bit field, which is not supported yet",
                    "name another field");
    }
    at_ += member->bits / kBitsOfByte;
    type_ = member->type;
    return {};
  }

  Result<void> TakeElement(uint32_t element) {
    const btf_type* const type = types_.Resolve(type_);
    uint32_t of = 0;
    if (type != nullptr && btf_is_array(type) && !is_value_) {
      const uint32_t n = btf_array(type)->nelems;  // 0: as many as there are
      if (n != 0 && element >= n) {
        return Refuse(Here() + " has " + std::to_string(n) + " elements, counted from 0",
                      "write a smaller number in the brackets");
      }
      of = btf_array(type)->type;
    } else if (type != nullptr && btf_is_ptr(type)) {
      Dereference(type);
      of = type->type;
    } else {
      return Refuse(Here() + " is no array", "remove the brackets");
    }
    const int64_t size = btf__resolve_size(types_.types(), of);
    if (size < 0) return Refuse(Here() + " has no elements", "remove the brackets");
    at_ += static_cast<uint64_t>(size) * element;
    type_ = of;
    return {};
  }

  [[nodiscard]] std::string Join(const std::string& name) const {
    return walked_.empty() ? name : walked_ + "." + name;
  }

  [[nodiscard]] std::optional<Member> Find(const btf_type* type, std::string_view name,
                                           uint64_t bits) const {
    for (uint32_t i = 0; i < btf_vlen(type); ++i) {
      const btf_member& member = btf_members(type)[i];
      const uint64_t offset = bits + btf_member_bit_offset(type, i);
      const std::string_view own = btf__name_by_offset(types_.types(), member.name_off);
      if (own == name) {
        const bool bit_field = btf_member_bitfield_size(type, i) != 0 || offset % kBitsOfByte != 0;
        return Member{member.type, offset, bit_field};
      }
      if (!own.empty()) continue;
      const btf_type* const inner = types_.Resolve(member.type);
      if (inner == nullptr || !btf_is_composite(inner)) continue;
      if (const std::optional<Member> found = Find(inner, name, offset)) return found;
    }
    return std::nullopt;
  }

  void AddNames(const btf_type* type, std::vector<std::string_view>& names) const {
    for (uint32_t i = 0; i < btf_vlen(type); ++i) {
      const btf_member& member = btf_members(type)[i];
      const std::string_view name = btf__name_by_offset(types_.types(), member.name_off);
      const btf_type* const inner = types_.Resolve(member.type);
      if (!name.empty()) {
        names.push_back(name);
      } else if (inner != nullptr && btf_is_composite(inner)) {
        AddNames(inner, names);
      }
    }
  }

  tl::unexpected<Error> NoField(const btf_type* type, const std::string& name) const {
    std::vector<std::string_view> names;
    AddNames(type, names);
    const std::string structure = types_.NameOf(type, type_);
    std::string remedy;
    if (const std::string_view nearest = policy::Nearest(name, names); !nearest.empty()) {
      remedy = "did you mean \"" + std::string(nearest) + "\"?";
    } else if (names.size() <= kNamesMax && !names.empty()) {
      remedy = policy::NameRemedy(name, names, {});
    } else {
      remedy = "`bpftool btf dump file /sys/kernel/btf/vmlinux format c` shows what there is";
    }
    return Refuse("on this kernel " + (structure.empty() ? Here() : structure) +
                      " has no field \"" + name + "\"",
                  remedy);
  }

  const KernelTypes& types_;
  const std::string& object_;
  uint32_t type_;                  // of what is here
  bool is_value_;                  // here is the value that the path begins with, not its address
  uint64_t at_ = 0;                // its offset from the last pointer
  std::vector<uint32_t> offsets_;  // of the pointers that were followed
  std::string walked_;
};

}  // namespace

Result<PathEnd> FollowPath(const KernelTypes& types, PathBegin begin,
                           std::span<const policy::PathStep> path, const std::string& object) {
  Walk walk(types, begin, object);
  for (const policy::PathStep& step : path) GH_TRY(walk.Take(step));
  return walk.End();
}

}  // namespace gatehouse::kernel
