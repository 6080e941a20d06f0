// SPDX-License-Identifier: Apache-2.0
// Commands of bpf(2), as enum bpf_cmd of the kernel's <linux/bpf.h> has them: the header of the
// machine that this is built on may be older than the kernel that it runs on.
#include <array>

#include "policy/catalog.h"

namespace gatehouse::policy {
namespace {

using CommandName = NameRow<int32_t>;
constexpr std::array kBpfCommands{
    CommandName{"BPF_MAP_CREATE", "", 0},
    CommandName{"BPF_MAP_LOOKUP_ELEM", "", 1},
    CommandName{"BPF_MAP_UPDATE_ELEM", "", 2},
    CommandName{"BPF_MAP_DELETE_ELEM", "", 3},
    CommandName{"BPF_MAP_GET_NEXT_KEY", "", 4},
    CommandName{"BPF_PROG_LOAD", "", 5},
    CommandName{"BPF_OBJ_PIN", "", 6},
    CommandName{"BPF_OBJ_GET", "", 7},
    CommandName{"BPF_PROG_ATTACH", "", 8},
    CommandName{"BPF_PROG_DETACH", "", 9},
    CommandName{"BPF_PROG_TEST_RUN", "", 10},
    CommandName{"BPF_PROG_RUN", "", 10},
    CommandName{"BPF_PROG_GET_NEXT_ID", "", 11},
    CommandName{"BPF_MAP_GET_NEXT_ID", "", 12},
    CommandName{"BPF_PROG_GET_FD_BY_ID", "", 13},
    CommandName{"BPF_MAP_GET_FD_BY_ID", "", 14},
    CommandName{"BPF_OBJ_GET_INFO_BY_FD", "", 15},
    CommandName{"BPF_PROG_QUERY", "", 16},
    CommandName{"BPF_RAW_TRACEPOINT_OPEN", "", 17},
    CommandName{"BPF_BTF_LOAD", "", 18},
    CommandName{"BPF_BTF_GET_FD_BY_ID", "", 19},
    CommandName{"BPF_TASK_FD_QUERY", "", 20},
    CommandName{"BPF_MAP_LOOKUP_AND_DELETE_ELEM", "", 21},
    CommandName{"BPF_MAP_FREEZE", "", 22},
    CommandName{"BPF_BTF_GET_NEXT_ID", "", 23},
    CommandName{"BPF_MAP_LOOKUP_BATCH", "", 24},
    CommandName{"BPF_MAP_LOOKUP_AND_DELETE_BATCH", "", 25},
    CommandName{"BPF_MAP_UPDATE_BATCH", "", 26},
    CommandName{"BPF_MAP_DELETE_BATCH", "", 27},
    CommandName{"BPF_LINK_CREATE", "", 28},
    CommandName{"BPF_LINK_UPDATE", "", 29},
    CommandName{"BPF_LINK_GET_FD_BY_ID", "", 30},
    CommandName{"BPF_LINK_GET_NEXT_ID", "", 31},
    CommandName{"BPF_ENABLE_STATS", "", 32},
    CommandName{"BPF_ITER_CREATE", "", 33},
    CommandName{"BPF_LINK_DETACH", "", 34},
    CommandName{"BPF_PROG_BIND_MAP", "", 35},
    CommandName{"BPF_TOKEN_CREATE", "", 36},
};

}  // namespace

std::span<const NameRow<int32_t>> BpfCommands() { return kBpfCommands; }

}  // namespace gatehouse::policy
