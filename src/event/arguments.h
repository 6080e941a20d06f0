// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <tetragon/tetragon.pb.h>

#include <span>
#include <string_view>
#include <vector>

#include "event/decode.h"
#include "policy/model.h"

/// The values of an operation as the arguments of an event.
namespace gatehouse::event {

/// What an event shows whose policy is not there to say it: every argument that the record tells,
/// by index, with the type that fits how it was read. Nothing tells the type of a number: kInt64.
[[nodiscard]] std::vector<policy::Argument> ArgumentsOf(const PolicyRecord& record);

/// Appends `arguments`, in their order, with the record's values. A number that is not readable,
/// and what the record does not tell, is an argument without a value; a socket that is not readable
/// is one of which nothing is known. A kNop is none. Any thread.
void FillArguments(const PolicyRecord& record, std::span<const policy::Argument> arguments,
                   google::protobuf::RepeatedPtrField<tetragon::KprobeArgument>* out);

/// One argument, or what the function returned.
void FillArgument(const PolicyRecord& record, const policy::Argument& argument,
                  tetragon::KprobeArgument* out);
/// What events say of a returned value whose policy is not there to say it.
extern const policy::Argument kReturned;

/// Why values of `arguments` are not readable: each reason once, as kTagUnreadable names it.
[[nodiscard]] std::vector<std::string_view> UnreadableWords(
    const PolicyRecord& record, std::span<const policy::Argument> arguments,
    std::span<const policy::Argument> data = {});

}  // namespace gatehouse::event
