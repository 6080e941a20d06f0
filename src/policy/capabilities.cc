// SPDX-License-Identifier: Apache-2.0
#include <linux/capability.h>

#include <array>

#include "policy/catalog.h"

namespace gatehouse::policy {
namespace {

using CapabilityName = NameRow<int32_t>;
constexpr std::array kCapabilities{
    CapabilityName{"CAP_CHOWN", "", CAP_CHOWN},
    CapabilityName{"CAP_DAC_OVERRIDE", "", CAP_DAC_OVERRIDE},
    CapabilityName{"CAP_DAC_READ_SEARCH", "", CAP_DAC_READ_SEARCH},
    CapabilityName{"CAP_FOWNER", "", CAP_FOWNER},
    CapabilityName{"CAP_FSETID", "", CAP_FSETID},
    CapabilityName{"CAP_KILL", "", CAP_KILL},
    CapabilityName{"CAP_SETGID", "", CAP_SETGID},
    CapabilityName{"CAP_SETUID", "", CAP_SETUID},
    CapabilityName{"CAP_SETPCAP", "", CAP_SETPCAP},
    CapabilityName{"CAP_LINUX_IMMUTABLE", "", CAP_LINUX_IMMUTABLE},
    CapabilityName{"CAP_NET_BIND_SERVICE", "", CAP_NET_BIND_SERVICE},
    CapabilityName{"CAP_NET_BROADCAST", "", CAP_NET_BROADCAST},
    CapabilityName{"CAP_NET_ADMIN", "", CAP_NET_ADMIN},
    CapabilityName{"CAP_NET_RAW", "", CAP_NET_RAW},
    CapabilityName{"CAP_IPC_LOCK", "", CAP_IPC_LOCK},
    CapabilityName{"CAP_IPC_OWNER", "", CAP_IPC_OWNER},
    CapabilityName{"CAP_SYS_MODULE", "", CAP_SYS_MODULE},
    CapabilityName{"CAP_SYS_RAWIO", "", CAP_SYS_RAWIO},
    CapabilityName{"CAP_SYS_CHROOT", "", CAP_SYS_CHROOT},
    CapabilityName{"CAP_SYS_PTRACE", "", CAP_SYS_PTRACE},
    CapabilityName{"CAP_SYS_PACCT", "", CAP_SYS_PACCT},
    CapabilityName{"CAP_SYS_ADMIN", "", CAP_SYS_ADMIN},
    CapabilityName{"CAP_SYS_BOOT", "", CAP_SYS_BOOT},
    CapabilityName{"CAP_SYS_NICE", "", CAP_SYS_NICE},
    CapabilityName{"CAP_SYS_RESOURCE", "", CAP_SYS_RESOURCE},
    CapabilityName{"CAP_SYS_TIME", "", CAP_SYS_TIME},
    CapabilityName{"CAP_SYS_TTY_CONFIG", "", CAP_SYS_TTY_CONFIG},
    CapabilityName{"CAP_MKNOD", "", CAP_MKNOD},
    CapabilityName{"CAP_LEASE", "", CAP_LEASE},
    CapabilityName{"CAP_AUDIT_WRITE", "", CAP_AUDIT_WRITE},
    CapabilityName{"CAP_AUDIT_CONTROL", "", CAP_AUDIT_CONTROL},
    CapabilityName{"CAP_SETFCAP", "", CAP_SETFCAP},
    CapabilityName{"CAP_MAC_OVERRIDE", "", CAP_MAC_OVERRIDE},
    CapabilityName{"CAP_MAC_ADMIN", "", CAP_MAC_ADMIN},
    CapabilityName{"CAP_SYSLOG", "", CAP_SYSLOG},
    CapabilityName{"CAP_WAKE_ALARM", "", CAP_WAKE_ALARM},
    CapabilityName{"CAP_BLOCK_SUSPEND", "", CAP_BLOCK_SUSPEND},
    CapabilityName{"CAP_AUDIT_READ", "", CAP_AUDIT_READ},
    CapabilityName{"CAP_PERFMON", "", CAP_PERFMON},
    CapabilityName{"CAP_BPF", "", CAP_BPF},
    CapabilityName{"CAP_CHECKPOINT_RESTORE", "", CAP_CHECKPOINT_RESTORE},
};

}  // namespace

std::span<const NameRow<int32_t>> Capabilities() { return kCapabilities; }

}  // namespace gatehouse::policy
