/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Sockets, packets and addresses of sockets: what they have goes into one struct gh_socket, so that
 * filters and events know no difference.
 */
#ifndef GATEHOUSE_BPF_SOCKET_H_
#define GATEHOUSE_BPF_SOCKET_H_

#include <bpf/bpf_endian.h>

#include "bpf/state.h"

#define FAMILY_INET 2
#define FAMILY_INET6 10

/* The first 8 bytes of an address are 0 and the last these, if it is of IPv4: ::ffff:a.b.c.d. */
#define IPV4_LOW 0xffff00000000ULL

static __always_inline void set_field(struct gh_socket* socket, __u32 field, __u64 value) {
  socket->fields[field] = value;
  socket->known |= 1u << field;
}

/* `field`: GH_FIELD_SOURCE or GH_FIELD_DESTINATION. */
static __always_inline void set_ipv4(struct gh_socket* socket, __u32 field, __be32 address) {
  set_field(socket, field, 0);
  set_field(socket, field + 1, IPV4_LOW | (__u32)bpf_ntohl(address));
}

static __always_inline void set_ipv6(struct gh_socket* socket, __u32 field,
                                     const struct in6_addr* address) {
  __u64 halves[2];
  __builtin_memcpy(halves, address, sizeof(halves));
  set_field(socket, field, bpf_be64_to_cpu(halves[0]));
  set_field(socket, field + 1, bpf_be64_to_cpu(halves[1]));
}

static __always_inline bool read_sock(struct gh_socket* socket, struct sock* sock) {
  struct sock_common* common = &sock->__sk_common;
  __u16 family = 0;
  if (bpf_core_read(&family, sizeof(family), &common->skc_family)) return false;
  set_field(socket, GH_FIELD_FAMILY, family);
  set_field(socket, GH_FIELD_TYPE, BPF_CORE_READ(sock, sk_type));
  set_field(socket, GH_FIELD_PROTOCOL, BPF_CORE_READ(sock, sk_protocol));
  set_field(socket, GH_FIELD_STATE, BPF_CORE_READ(common, skc_state));
  set_field(socket, GH_FIELD_MARK, BPF_CORE_READ(sock, sk_mark));
  set_field(socket, GH_FIELD_PRIORITY, BPF_CORE_READ(sock, sk_priority));
  set_field(socket, GH_FIELD_COOKIE, BPF_CORE_READ(common, skc_cookie.counter));
  if (family != FAMILY_INET && family != FAMILY_INET6) return true;
  set_field(socket, GH_FIELD_SOURCE_PORT, BPF_CORE_READ(common, skc_num));
  set_field(socket, GH_FIELD_DESTINATION_PORT, bpf_ntohs(BPF_CORE_READ(common, skc_dport)));
  if (family == FAMILY_INET) {
    set_ipv4(socket, GH_FIELD_SOURCE, BPF_CORE_READ(common, skc_rcv_saddr));
    set_ipv4(socket, GH_FIELD_DESTINATION, BPF_CORE_READ(common, skc_daddr));
    return true;
  }
  struct in6_addr source = BPF_CORE_READ(common, skc_v6_rcv_saddr);
  struct in6_addr destination = BPF_CORE_READ(common, skc_v6_daddr);
  set_ipv6(socket, GH_FIELD_SOURCE, &source);
  set_ipv6(socket, GH_FIELD_DESTINATION, &destination);
  return true;
}

/* ---- packets --------------------------------------------------------------------------------- */

enum {
  PROTOCOL_TCP = 6,
  PROTOCOL_UDP = 17,
  PROTOCOL_DCCP = 33,
  PROTOCOL_SCTP = 132,
  PROTOCOL_UDPLITE = 136,
  /* Headers between that of IPv6 and that of the transport, RFC 8200, 4; RFC 4302. */
  PROTOCOL_HOP_BY_HOP = 0,
  PROTOCOL_ROUTING = 43,
  PROTOCOL_FRAGMENT = 44,
  PROTOCOL_AUTHENTICATION = 51,
  PROTOCOL_DESTINATION = 60,
};
#define EXTENSIONS_MAX 8

struct ipv4_header { /* RFC 791 */
  __u8 version_length;
  __u8 service;
  __be16 length, id, fragment;
  __u8 ttl, protocol;
  __be16 checksum;
  __be32 source, destination;
};

struct ipv6_header { /* RFC 8200 */
  __be32 version_flow;
  __be16 length;
  __u8 next, hops;
  struct in6_addr source, destination;
};

struct ports { /* of all these protocols, their first four bytes */
  __be16 source, destination;
};

/* Where the transport's header is and which protocol that is; 0: it cannot be found. */
struct transport {
  __u64 at;
  __u32 protocol;
};

/* Goes from the header of IPv6 through those behind it. In a fragment that is not the first there
 * is none of the transport. */
static __always_inline struct transport behind_extensions(__u64 at, __u32 next) {
  for (int i = 0; i < EXTENSIONS_MAX; i++) {
    bool fragment = next == PROTOCOL_FRAGMENT, authentication = next == PROTOCOL_AUTHENTICATION;
    if (next != PROTOCOL_HOP_BY_HOP && next != PROTOCOL_ROUTING && next != PROTOCOL_DESTINATION &&
        !fragment && !authentication)
      return (struct transport){at, next};
    __u8 head[4] = {}; /* what is next, the length; of a fragment, its offset */
    if (bpf_probe_read_kernel(head, sizeof(head), (void*)at)) break;
    next = head[0];
    if (fragment && (head[2] || head[3] & ~7)) return (struct transport){0, next};
    at += fragment ? 8 : authentication ? (head[1] + 2) * 4 : (head[1] + 1) * 8;
  }
  return (struct transport){0, next};
}

static __always_inline void read_ports(struct gh_socket* socket, struct transport transport) {
  __u32 protocol = transport.protocol;
  set_field(socket, GH_FIELD_PROTOCOL, protocol);
  if (!transport.at) return;
  if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP && protocol != PROTOCOL_DCCP &&
      protocol != PROTOCOL_SCTP && protocol != PROTOCOL_UDPLITE)
    return;
  struct ports ports = {};
  if (bpf_probe_read_kernel(&ports, sizeof(ports), (void*)transport.at)) return;
  set_field(socket, GH_FIELD_SOURCE_PORT, bpf_ntohs(ports.source));
  set_field(socket, GH_FIELD_DESTINATION_PORT, bpf_ntohs(ports.destination));
}

static __always_inline void read_ipv4(struct gh_socket* socket, __u64 at) {
  struct ipv4_header header = {};
  if (bpf_probe_read_kernel(&header, sizeof(header), (void*)at)) return;
  set_field(socket, GH_FIELD_FAMILY, FAMILY_INET);
  set_ipv4(socket, GH_FIELD_SOURCE, header.source);
  set_ipv4(socket, GH_FIELD_DESTINATION, header.destination);
  bool later_fragment = header.fragment & bpf_htons(0x1fff);
  __u64 transport = later_fragment ? 0 : at + (header.version_length & 15) * 4;
  read_ports(socket, (struct transport){transport, header.protocol});
}

static __always_inline void read_ipv6(struct gh_socket* socket, __u64 at) {
  struct ipv6_header header = {};
  if (bpf_probe_read_kernel(&header, sizeof(header), (void*)at)) return;
  set_field(socket, GH_FIELD_FAMILY, FAMILY_INET6);
  set_ipv6(socket, GH_FIELD_SOURCE, &header.source);
  set_ipv6(socket, GH_FIELD_DESTINATION, &header.destination);
  read_ports(socket, behind_extensions(at + sizeof(header), header.next));
}

/* The version in the header itself tells which it is: skb->protocol is not set yet on the way out.
 */
static __always_inline bool read_packet(struct gh_socket* socket, struct sk_buff* skb) {
  unsigned char* head = 0;
  if (bpf_core_read(&head, sizeof(head), &skb->head) || !head) return false;
  set_field(socket, GH_FIELD_HASH, BPF_CORE_READ(skb, hash));
  set_field(socket, GH_FIELD_LENGTH, BPF_CORE_READ(skb, len));
  set_field(socket, GH_FIELD_MARK, BPF_CORE_READ(skb, mark));
  set_field(socket, GH_FIELD_PRIORITY, BPF_CORE_READ(skb, priority));
  __u64 network = (__u64)head + BPF_CORE_READ(skb, network_header);
  __u8 version = 0;
  bpf_probe_read_kernel(&version, sizeof(version), (void*)network);
  if (version >> 4 == 4) read_ipv4(socket, network);
  if (version >> 4 == 6) read_ipv6(socket, network);
  return true;
}

/* ---- addresses ------------------------------------------------------------------------------- */

struct sockaddr_any { /* ip(7), ipv6(7) */
  __u16 family;
  __be16 port;
  __be32 ipv4;
  struct in6_addr ipv6;
};

/* What is behind the family may not be there: it is looked at only if the family has it. */
static __always_inline bool read_address(struct gh_socket* socket, void* from, bool of_process) {
#define READ_PART(part)                                                    \
  (of_process ? bpf_probe_read_user(&address.part, sizeof(address.part),   \
                                    &((struct sockaddr_any*)from)->part)   \
              : bpf_probe_read_kernel(&address.part, sizeof(address.part), \
                                      &((struct sockaddr_any*)from)->part))
  struct sockaddr_any address = {};
  if (READ_PART(family)) return false;
  bool ipv4 = address.family == FAMILY_INET, ipv6 = address.family == FAMILY_INET6;
  if ((ipv4 || ipv6) && READ_PART(port)) return false;
  if (ipv4 && READ_PART(ipv4)) return false;
  if (ipv6 && READ_PART(ipv6)) return false;
#undef READ_PART
  set_field(socket, GH_FIELD_FAMILY, address.family);
  if (!ipv4 && !ipv6) return true;
  set_field(socket, GH_FIELD_SOURCE_PORT, bpf_ntohs(address.port));
  if (ipv4)
    set_ipv4(socket, GH_FIELD_SOURCE, address.ipv4);
  else
    set_ipv6(socket, GH_FIELD_SOURCE, &address.ipv6);
  return true;
}

/* Reads the socket that `subject` is, from what the hook's function was given. */
__noinline int read_socket(__u32 index, __u32 subject, __u32 read, __u64 raw) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return 0;
  subject &= WORDS_TAKEN - 1;
  opaque(subject);
  struct gh_socket* socket = &scratch->sockets[subject];
  __builtin_memset(socket, 0, sizeof(*socket));
  if (read == GH_READ_SOCKET) raw = (__u64)BPF_CORE_READ((struct socket*)raw, sk);
  bool good = !raw; /* there is none, as the address of a send(2): of it nothing is known */
  if (raw && read <= GH_READ_SOCKET) {
    good = read_sock(socket, (struct sock*)raw);
    struct gh_root* root = record_at(struct gh_root, scratch->root);
    if (root && root->tracks && bpf_map_lookup_elem(&socket_owners, &raw)) scratch->tracked = raw;
  }
  if (raw && read == GH_READ_SKB) good = read_packet(socket, (struct sk_buff*)raw);
  if (raw && read >= GH_READ_SOCKADDR)
    good = read_address(socket, (void*)raw, read == GH_READ_USER_SOCKADDR);
  scratch->subjects[subject].unreadable = good ? GH_READABLE : GH_UNREADABLE_FAULT;
  if (!good) count(GH_STAT_SOCKET_FAULT);
  return 0;
}

#endif /* GATEHOUSE_BPF_SOCKET_H_ */
