// SPDX-License-Identifier: Apache-2.0
// Names of sockets' numbers, as <sys/socket.h> and <netinet/in.h> have them.
#include <netinet/in.h>
#include <sys/socket.h>

#include <array>

#include "policy/catalog.h"

namespace gatehouse::policy {
namespace {

using NumberName = NameRow<int32_t>;

#define NAMED(name) \
  NumberName { #name, "", name }

constexpr std::array kProtocols{
    NAMED(IPPROTO_IP),     NAMED(IPPROTO_ICMP),     NAMED(IPPROTO_IGMP),   NAMED(IPPROTO_IPIP),
    NAMED(IPPROTO_TCP),    NAMED(IPPROTO_EGP),      NAMED(IPPROTO_PUP),    NAMED(IPPROTO_UDP),
    NAMED(IPPROTO_IDP),    NAMED(IPPROTO_TP),       NAMED(IPPROTO_DCCP),   NAMED(IPPROTO_IPV6),
    NAMED(IPPROTO_RSVP),   NAMED(IPPROTO_GRE),      NAMED(IPPROTO_ESP),    NAMED(IPPROTO_AH),
    NAMED(IPPROTO_ICMPV6), NAMED(IPPROTO_MTP),      NAMED(IPPROTO_BEETPH), NAMED(IPPROTO_ENCAP),
    NAMED(IPPROTO_PIM),    NAMED(IPPROTO_COMP),     NAMED(IPPROTO_SCTP),   NAMED(IPPROTO_UDPLITE),
    NAMED(IPPROTO_MPLS),   NAMED(IPPROTO_ETHERNET), NAMED(IPPROTO_RAW),    NAMED(IPPROTO_MPTCP),
};

constexpr std::array kFamilies{
    NAMED(AF_UNSPEC),     NAMED(AF_UNIX),      NAMED(AF_INET),     NAMED(AF_AX25),
    NAMED(AF_IPX),        NAMED(AF_APPLETALK), NAMED(AF_NETROM),   NAMED(AF_BRIDGE),
    NAMED(AF_ATMPVC),     NAMED(AF_X25),       NAMED(AF_INET6),    NAMED(AF_ROSE),
    NAMED(AF_DECnet),     NAMED(AF_NETBEUI),   NAMED(AF_SECURITY), NAMED(AF_KEY),
    NAMED(AF_NETLINK),    NAMED(AF_PACKET),    NAMED(AF_ASH),      NAMED(AF_ECONET),
    NAMED(AF_ATMSVC),     NAMED(AF_RDS),       NAMED(AF_SNA),      NAMED(AF_IRDA),
    NAMED(AF_PPPOX),      NAMED(AF_WANPIPE),   NAMED(AF_LLC),      NAMED(AF_IB),
    NAMED(AF_MPLS),       NAMED(AF_CAN),       NAMED(AF_TIPC),     NAMED(AF_BLUETOOTH),
    NAMED(AF_IUCV),       NAMED(AF_RXRPC),     NAMED(AF_ISDN),     NAMED(AF_PHONET),
    NAMED(AF_IEEE802154), NAMED(AF_CAIF),      NAMED(AF_ALG),      NAMED(AF_NFC),
    NAMED(AF_VSOCK),      NAMED(AF_KCM),       NAMED(AF_QIPCRTR),  NAMED(AF_SMC),
    NAMED(AF_XDP),
};

constexpr std::array kSocketTypes{
    NAMED(SOCK_STREAM),    NAMED(SOCK_DGRAM), NAMED(SOCK_RAW),    NAMED(SOCK_RDM),
    NAMED(SOCK_SEQPACKET), NAMED(SOCK_DCCP),  NAMED(SOCK_PACKET),
};

#undef NAMED

// From include/net/tcp_states.h of the kernel: <netinet/tcp.h> has no TCP_NEW_SYN_RECV.
constexpr std::array kTcpStates{
    NumberName{"TCP_ESTABLISHED", "", 1}, NumberName{"TCP_SYN_SENT", "", 2},
    NumberName{"TCP_SYN_RECV", "", 3},    NumberName{"TCP_FIN_WAIT1", "", 4},
    NumberName{"TCP_FIN_WAIT2", "", 5},   NumberName{"TCP_TIME_WAIT", "", 6},
    NumberName{"TCP_CLOSE", "", 7},       NumberName{"TCP_CLOSE_WAIT", "", 8},
    NumberName{"TCP_LAST_ACK", "", 9},    NumberName{"TCP_LISTEN", "", 10},
    NumberName{"TCP_CLOSING", "", 11},    NumberName{"TCP_NEW_SYN_RECV", "", 12},
};

}  // namespace

std::span<const NameRow<int32_t>> Protocols() { return kProtocols; }
std::span<const NameRow<int32_t>> Families() { return kFamilies; }
std::span<const NameRow<int32_t>> TcpStates() { return kTcpStates; }
std::span<const NameRow<int32_t>> SocketTypes() { return kSocketTypes; }

}  // namespace gatehouse::policy
