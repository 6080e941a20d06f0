// SPDX-License-Identifier: Apache-2.0
// Types of programs and maps of BPF, as the kernel's <linux/bpf.h> has them, and of events, as
// <linux/perf_event.h> has them: see bpf_commands.cc.
#include <array>

#include "policy/catalog.h"

namespace gatehouse::policy {
namespace {

using TypeName = NameRow<int32_t>;
constexpr std::array kProgramTypes{
    TypeName{"BPF_PROG_TYPE_UNSPEC", "", 0},
    TypeName{"BPF_PROG_TYPE_SOCKET_FILTER", "", 1},
    TypeName{"BPF_PROG_TYPE_KPROBE", "", 2},
    TypeName{"BPF_PROG_TYPE_SCHED_CLS", "", 3},
    TypeName{"BPF_PROG_TYPE_SCHED_ACT", "", 4},
    TypeName{"BPF_PROG_TYPE_TRACEPOINT", "", 5},
    TypeName{"BPF_PROG_TYPE_XDP", "", 6},
    TypeName{"BPF_PROG_TYPE_PERF_EVENT", "", 7},
    TypeName{"BPF_PROG_TYPE_CGROUP_SKB", "", 8},
    TypeName{"BPF_PROG_TYPE_CGROUP_SOCK", "", 9},
    TypeName{"BPF_PROG_TYPE_LWT_IN", "", 10},
    TypeName{"BPF_PROG_TYPE_LWT_OUT", "", 11},
    TypeName{"BPF_PROG_TYPE_LWT_XMIT", "", 12},
    TypeName{"BPF_PROG_TYPE_SOCK_OPS", "", 13},
    TypeName{"BPF_PROG_TYPE_SK_SKB", "", 14},
    TypeName{"BPF_PROG_TYPE_CGROUP_DEVICE", "", 15},
    TypeName{"BPF_PROG_TYPE_SK_MSG", "", 16},
    TypeName{"BPF_PROG_TYPE_RAW_TRACEPOINT", "", 17},
    TypeName{"BPF_PROG_TYPE_CGROUP_SOCK_ADDR", "", 18},
    TypeName{"BPF_PROG_TYPE_LWT_SEG6LOCAL", "", 19},
    TypeName{"BPF_PROG_TYPE_LIRC_MODE2", "", 20},
    TypeName{"BPF_PROG_TYPE_SK_REUSEPORT", "", 21},
    TypeName{"BPF_PROG_TYPE_FLOW_DISSECTOR", "", 22},
    TypeName{"BPF_PROG_TYPE_CGROUP_SYSCTL", "", 23},
    TypeName{"BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE", "", 24},
    TypeName{"BPF_PROG_TYPE_CGROUP_SOCKOPT", "", 25},
    TypeName{"BPF_PROG_TYPE_TRACING", "", 26},
    TypeName{"BPF_PROG_TYPE_STRUCT_OPS", "", 27},
    TypeName{"BPF_PROG_TYPE_EXT", "", 28},
    TypeName{"BPF_PROG_TYPE_LSM", "", 29},
    TypeName{"BPF_PROG_TYPE_SK_LOOKUP", "", 30},
    TypeName{"BPF_PROG_TYPE_SYSCALL", "", 31},
    TypeName{"BPF_PROG_TYPE_NETFILTER", "", 32},
};

constexpr std::array kMapTypes{
    TypeName{"BPF_MAP_TYPE_UNSPEC", "", 0},
    TypeName{"BPF_MAP_TYPE_HASH", "", 1},
    TypeName{"BPF_MAP_TYPE_ARRAY", "", 2},
    TypeName{"BPF_MAP_TYPE_PROG_ARRAY", "", 3},
    TypeName{"BPF_MAP_TYPE_PERF_EVENT_ARRAY", "", 4},
    TypeName{"BPF_MAP_TYPE_PERCPU_HASH", "", 5},
    TypeName{"BPF_MAP_TYPE_PERCPU_ARRAY", "", 6},
    TypeName{"BPF_MAP_TYPE_STACK_TRACE", "", 7},
    TypeName{"BPF_MAP_TYPE_CGROUP_ARRAY", "", 8},
    TypeName{"BPF_MAP_TYPE_LRU_HASH", "", 9},
    TypeName{"BPF_MAP_TYPE_LRU_PERCPU_HASH", "", 10},
    TypeName{"BPF_MAP_TYPE_LPM_TRIE", "", 11},
    TypeName{"BPF_MAP_TYPE_ARRAY_OF_MAPS", "", 12},
    TypeName{"BPF_MAP_TYPE_HASH_OF_MAPS", "", 13},
    TypeName{"BPF_MAP_TYPE_DEVMAP", "", 14},
    TypeName{"BPF_MAP_TYPE_SOCKMAP", "", 15},
    TypeName{"BPF_MAP_TYPE_CPUMAP", "", 16},
    TypeName{"BPF_MAP_TYPE_XSKMAP", "", 17},
    TypeName{"BPF_MAP_TYPE_SOCKHASH", "", 18},
    TypeName{"BPF_MAP_TYPE_CGROUP_STORAGE", "", 19},
    TypeName{"BPF_MAP_TYPE_REUSEPORT_SOCKARRAY", "", 20},
    TypeName{"BPF_MAP_TYPE_PERCPU_CGROUP_STORAGE", "", 21},
    TypeName{"BPF_MAP_TYPE_QUEUE", "", 22},
    TypeName{"BPF_MAP_TYPE_STACK", "", 23},
    TypeName{"BPF_MAP_TYPE_SK_STORAGE", "", 24},
    TypeName{"BPF_MAP_TYPE_DEVMAP_HASH", "", 25},
    TypeName{"BPF_MAP_TYPE_STRUCT_OPS", "", 26},
    TypeName{"BPF_MAP_TYPE_RINGBUF", "", 27},
    TypeName{"BPF_MAP_TYPE_INODE_STORAGE", "", 28},
    TypeName{"BPF_MAP_TYPE_TASK_STORAGE", "", 29},
    TypeName{"BPF_MAP_TYPE_BLOOM_FILTER", "", 30},
    TypeName{"BPF_MAP_TYPE_USER_RINGBUF", "", 31},
    TypeName{"BPF_MAP_TYPE_CGRP_STORAGE", "", 32},
    TypeName{"BPF_MAP_TYPE_ARENA", "", 33},
};

constexpr std::array kPerfEventTypes{
    TypeName{"PERF_TYPE_HARDWARE", "", 0},   TypeName{"PERF_TYPE_SOFTWARE", "", 1},
    TypeName{"PERF_TYPE_TRACEPOINT", "", 2}, TypeName{"PERF_TYPE_HW_CACHE", "", 3},
    TypeName{"PERF_TYPE_RAW", "", 4},        TypeName{"PERF_TYPE_BREAKPOINT", "", 5},
};

}  // namespace

std::span<const NameRow<int32_t>> BpfProgramTypes() { return kProgramTypes; }
std::span<const NameRow<int32_t>> BpfMapTypes() { return kMapTypes; }
std::span<const NameRow<int32_t>> PerfEventTypes() { return kPerfEventTypes; }

}  // namespace gatehouse::policy
