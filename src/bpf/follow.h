/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What follows the events of an operation in records of its own, once for all policies: buffers
 * that are longer than an event, and the hash of the file. The hash needs a program that sleeps, so
 * it is told by another one, behind the gate on the same hook: until then, and with what the
 * operation is answered, it waits in `awaited`.
 */
#ifndef GATEHOUSE_BPF_FOLLOW_H_
#define GATEHOUSE_BPF_FOLLOW_H_

#include "bpf/inputs.h"

#define EINVAL 22

/* Which subject a buffer is, and whether it is in memory of the process. */
#define WHOSE(number, of_process) ((number) << 1 | !!(of_process))

/* Sends `n` bytes at `from`, which are those from `at` on; how many were sent. */
__noinline __u32 send_part(__u32 index, __u32 whose, __u64 from, __u32 n, __u32 at) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct gh_event_part* part = scratch ? (struct gh_event_part*)scratch->event : 0;
  __u64 bytes = n;
  opaque(bytes);
  if (!part || bytes > GH_PART_BYTES) return 0;
  __u8* to = &scratch->event[sizeof(*part)];
  long failed = whose & 1 ? bpf_probe_read_user(to, bytes, (void*)from)
                          : bpf_probe_read_kernel(to, bytes, (void*)from);
  if (failed) {
    count(GH_STAT_STRING_FAULT);
    return 0;
  }
  __builtin_memset(part, 0, sizeof(*part));
  part->thread = bpf_get_current_pid_tgid();
  part->at = at;
  part->subject = whose >> 1;
  send_event(part, GH_EVENT_PART, sizeof(*part) + bytes, GH_STAT_EVENTS_LOST_PART);
  return bytes;
}

GH_STATIC_ASSERT(sizeof(struct gh_event_part) + GH_PART_BYTES <=
                     EVENT_HEADERS + GH_TEXTS_MAX * GH_PATH_MAX,
                 "a part is made where events are");
#define WHOLE_MAX (GH_PARTS_MAX * GH_PART_BYTES)

/* Sends the `n` bytes at `from`, as far as they fit behind the `sent` that have been; how many have
 * been then, too many to go on if they cannot be read. */
__noinline __u32 send_bytes(__u32 index, __u32 whose, __u64 from, __u64 n, __u32 sent) {
  if (sent >= WHOLE_MAX) return WHOLE_MAX;
  __u32 left = n < WHOLE_MAX - sent ? n : WHOLE_MAX - sent;
  for (__u32 i = 0; i < GH_PARTS_MAX; i++) {
    if (!left) break;
    __u32 bytes = left < GH_PART_BYTES ? left : GH_PART_BYTES;
    if (!send_part(index, whose, from, bytes, sent)) return WHOLE_MAX;
    from += bytes;
    sent += bytes;
    left -= bytes;
  }
  return sent;
}

/* As send_bytes, of what the entry of a struct iovec[] is about: see append_entry. `whose`: the
 * lowest bit says whether the entry is in memory of the process. */
__noinline __u32 send_entry(__u32 index, __u32 whose, __u64 entry, __u64 skip, __u32 sent) {
  struct iovec iovec = {};
  long failed = whose & 1 ? bpf_probe_read_user(&iovec, sizeof(iovec), (void*)entry)
                          : bpf_probe_read_kernel(&iovec, sizeof(iovec), (void*)entry);
  if (failed) return WHOLE_MAX;
  if (iovec.iov_len <= skip) return sent;
  return send_bytes(index, whose >> 1, (__u64)iovec.iov_base + skip, iovec.iov_len - skip, sent);
}

/* Sends the buffer that the input at `address` describes. */
__noinline int send_whole(__u32 index, __u32 address) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct gh_input* input = record_at(struct gh_input, address);
  if (!scratch || !input || !(input->flags & GH_INPUT_WHOLE)) return 0;
  __u32 number = input->subject & (WORDS_TAKEN - 1), sent = 0;
  struct buffer buffer = buffer_of(scratch, input, number);
  if (scratch->values[scratch->subjects[number].slot & (GH_TEXTS_MAX - 1)].unreadable) return 0;
  if (!buffer.entries) {
    send_bytes(index, WHOSE(number, buffer.memory & 2), buffer.at, buffer.n, 0);
    return 0;
  }
  __u32 whose = WHOSE(number, buffer.memory & 2) << 1 | (buffer.memory & 1);
  for (__u32 i = 0; i < BUFFERS_MAX; i++) {
    if (i >= buffer.n || sent >= WHOLE_MAX) break;
    sent =
        send_entry(index, whose, buffer.at + i * sizeof(struct iovec), i ? 0 : buffer.skip, sent);
  }
  return 0;
}

static __always_inline void send_end(__u64 since_ns, __u32 ends, struct gh_event_end* end) {
  end->thread = bpf_get_current_pid_tgid();
  end->since_ns = since_ns;
  end->ends = ends;
  send_event(end, GH_EVENT_END, sizeof(*end), GH_STAT_EVENTS_LOST_PART);
}

/* Sends all buffers of the gate that events were posted without. A function of its own, as its
 * stack is not that of who judges. */
__noinline int send_parts(__u32 index) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return 0;
  __u32 inputs = scratch->inputs;
  for (__u32 i = 0; i < GH_SUBJECT_TOLD; i++) {
    if (i >= scratch->n_inputs) break;
    send_whole(index, inputs + i * INPUT_WORDS);
  }
  struct gh_event_end end = {};
  send_end(scratch->since_ns, GH_POLICY_PARTS, &end);
  return 0;
}

/* What waits for a hash that was never told, as another program denied the operation in between. */
static __always_inline void forget_awaited(void) {
  __u64 thread = bpf_get_current_pid_tgid();
  bpf_map_delete_elem(&awaited, &thread);
}

/* The answer to an operation whose verdict is known: if events wait for the hash of its file, the
 * verdict waits, too, as nobody behind a program that denies is called. If it cannot, it stands. */
static __always_inline int await_hash(__u32 index, int verdict) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch || !(scratch->follows & GH_POLICY_HASH)) return verdict;
  __u64 thread = bpf_get_current_pid_tgid();
  struct awaiting waits = {.since_ns = scratch->since_ns, .error = verdict};
  if (!bpf_map_update_elem(&awaited, &thread, &waits, BPF_ANY)) return 0;
  count(GH_STAT_EVENTS_LOST_PART);
  return verdict;
}

/* Tells the hash of `file`, if events wait for it, and answers the operation. */
static __always_inline int tell_hash(struct file* file) {
  __u64 thread = bpf_get_current_pid_tgid();
  struct awaiting* found = bpf_map_lookup_elem(&awaited, &thread);
  if (!found) return 0;
  struct awaiting waits = *found;
  bpf_map_delete_elem(&awaited, &thread); /* before anything that may come here once more */
  struct gh_event_end end = {};
  end.algorithm = file ? bpf_ima_file_hash(file, end.hash, sizeof(end.hash)) : -EINVAL;
  send_end(waits.since_ns, GH_POLICY_HASH, &end);
  return waits.error;
}

#endif /* GATEHOUSE_BPF_FOLLOW_H_ */
