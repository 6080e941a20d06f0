/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a value's text to the ids of the strings that policies know: the whole text, its heads
 * (prefixes) and its tails (postfixes); and to those of the sets of patterns that take it.
 *
 * One pass in each direction, whatever the number of policies: the state of SipHash-2-4 is carried
 * along and finished on a copy at each length that the gate's policies name. A tail is the head of
 * the byte-reversed text. The key is random, so nobody can make two strings meet; with 128 bits
 * they do not meet by accident. (SipHash: Aumasson and Bernstein, INDOCRYPT 2012; 128-bit output as
 * in the authors' reference code.)
 */
#ifndef GATEHOUSE_BPF_DIGEST_H_
#define GATEHOUSE_BPF_DIGEST_H_

#include "bpf/state.h"

#define rotl64(x, bits) (((x) << (bits)) | ((x) >> (64 - (bits))))

#define sip_round(v0, v1, v2, v3) \
  do {                            \
    v0 += v1;                     \
    v2 += v3;                     \
    v1 = rotl64(v1, 13) ^ v0;     \
    v3 = rotl64(v3, 16) ^ v2;     \
    v0 = rotl64(v0, 32) + v3;     \
    v2 += v1;                     \
    v3 = rotl64(v3, 21) ^ v0;     \
    v1 = rotl64(v1, 17) ^ v2;     \
    v2 = rotl64(v2, 32);          \
  } while (0)

enum direction { FORWARD = 0, BACKWARD = 1 };

/*
 * Bytes 8*word to 8*word+7 of the text in reading direction; what lies beyond its end is arbitrary.
 * Without branches, because it stands in the innermost loop: the mask changes no position that
 * occurs (forwards 9 to TEXT_END - 1, backwards 2 to TEXT_END - 8), and bounds it for the verifier.
 */
static __always_inline __u64 load_word(struct value* value, __u32 direction, __u32 word) {
  __u64 backwards = direction & 1, forwards = backwards ^ 1;
  opaque(forwards);
  __u64 base = 1 + 7 * (forwards & 1);
  __u64 first = value->start + 8 * word, last = TEXT_END - 8 - 8 * word;
  __u64 at = first + (last - first) * backwards;
  at = ((at - base) & (GH_PATH_MAX - 1)) + base;
  opaque(at);
  __u64 ahead = *(__u64*)&value->bytes[at], reversed = __builtin_bswap64(ahead);
  return ahead ^ ((ahead ^ reversed) & -backwards);
}

static __always_inline void sip_start(struct scratch* scratch) {
  scratch->sip[0] = sip_key[0] ^ 0x736f6d6570736575ULL;
  scratch->sip[1] = sip_key[1] ^ 0x646f72616e646f6dULL ^ 0xee;
  scratch->sip[2] = sip_key[0] ^ 0x6c7967656e657261ULL;
  scratch->sip[3] = sip_key[1] ^ 0x7465646279746573ULL;
  scratch->sip_words = 0;
}

#define sip_compress(v0, v1, v2, v3, m) \
  do {                                  \
    v3 ^= (m);                          \
    sip_round(v0, v1, v2, v3);          \
    sip_round(v0, v1, v2, v3);          \
    v0 ^= (m);                          \
  } while (0)

/* The digest of what has been absorbed and of `last`: what remains of less than a word, and in the
 * highest byte the length of it all. The state is left as it is. */
static __always_inline struct gh_digest sip_finish(struct scratch* scratch, __u64 last) {
  __u64 v0 = scratch->sip[0], v1 = scratch->sip[1], v2 = scratch->sip[2], v3 = scratch->sip[3];
  struct gh_digest digest;
  sip_compress(v0, v1, v2, v3, last);
  v2 ^= 0xee;
  for (int i = 0; i < 4; i++) sip_round(v0, v1, v2, v3);
  digest.lo = v0 ^ v1 ^ v2 ^ v3;
  v1 ^= 0xdd;
  for (int i = 0; i < 4; i++) sip_round(v0, v1, v2, v3);
  digest.hi = v0 ^ v1 ^ v2 ^ v3;
  return digest;
}

#define GH_SLOT_ON 0xffffffffu /* not this slot: the next one may be it */

/* The id in one slot of the string table if it is of this digest, 0 if the slot is free, or
 * GH_SLOT_ON. */
__noinline __u32 string_in_slot(__u32 digests, __u32 slot_address, __u64 lo, __u64 hi) {
  __u32 id = word_at(slot_address);
  if (id == 0 || id == GH_SLOT_DELETED) return id ? GH_SLOT_ON : 0;
  struct gh_digest* digest = record_at(struct gh_digest, digests + id * 4);
  return digest && digest->lo == lo && digest->hi == hi ? id : GH_SLOT_ON;
}

/* The id of the string with this digest in the image at `root`, or 0. */
__noinline int string_id(__u32 root_address, __u64 lo, __u64 hi) {
  struct gh_root* root = record_at(struct gh_root, root_address);
  if (!root) return 0;
  __u32 slots = root->slots, mask = root->slots_mask, digests = root->digests;
  for (__u32 probe = 0; probe < GH_SLOT_PROBES_MAX; probe++) {
    __u32 id = string_in_slot(digests, slots + (((__u32)lo + probe) & mask), lo, hi);
    if (id != GH_SLOT_ON) return id;
  }
  return 0;
}

/* Absorbs at most LOOP_BLOCK whole words, up to word `end` of the text. */
__noinline int sip_absorb(__u32 index, __u32 slot, __u32 direction, __u32 end) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct value* value = value_of(index, slot);
  if (!scratch || !value) return 0;
  __u64 v0 = scratch->sip[0], v1 = scratch->sip[1], v2 = scratch->sip[2], v3 = scratch->sip[3];
  __u32 word = scratch->sip_words;
  for (__u32 i = 0; i < LOOP_BLOCK; i++) {
    if (word >= end) break;
    __u64 m = load_word(value, direction, word);
    sip_compress(v0, v1, v2, v3, m);
    word++;
  }
  scratch->sip[0] = v0;
  scratch->sip[1] = v1;
  scratch->sip[2] = v2;
  scratch->sip[3] = v3;
  scratch->sip_words = word;
  return 0;
}

/* Digests on from where the last call of this pass stopped, up to `len` bytes; the id of that head.
 */
__noinline int intern_at(__u32 index, __u32 slot, __u32 direction, __u32 len) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct value* value = value_of(index, slot);
  if (!scratch || !value) return 0;
  __u32 words = len / 8;
  for (__u32 i = 0; i < GH_PATH_MAX / 8; i += LOOP_BLOCK)
    if (scratch->sip_words < words) sip_absorb(index, slot, direction, words);

  __u64 last = (__u64)len << 56;
  __u32 rest = len & 7;
  if (rest) last |= load_word(value, direction, words) & ((1ULL << (8 * rest)) - 1);
  scratch->digest = sip_finish(scratch, last);
  return string_id(scratch->root, scratch->digest.lo, scratch->digest.hi);
}

/* Notes that an interned string is a head (tail) of the value. */
__noinline int add_match(__u32 index, __u32 slot, __u32 direction, __u32 id) {
  struct value* value = value_of(index, slot);
  if (!value) return 0;
  __u64 n = direction == FORWARD ? value->n_heads : value->n_tails;
  opaque(n);
  if (n >= GH_MATCHES_MAX) {
    /* Cannot be told apart any more: unreadable, so that an allow-list denies. */
    value->unreadable = GH_UNREADABLE_TOO_MANY;
    count(GH_STAT_MATCHES_OVERFLOW);
  } else if (direction == FORWARD) {
    value->heads[n] = id;
    value->n_heads = n + 1;
  } else {
    value->tails[n] = id;
    value->n_tails = n + 1;
  }
  return 0;
}

/* Takes the pass on to the length at `address`: false if the text ends before. */
__noinline int intern_next(__u32 index, __u32 slot, __u32 direction, __u32 address) {
  struct value* value = value_of(index, slot);
  __u32 len = word_at(address);
  if (!value || len > value->len) return 0;
  __u32 id = intern_at(index, slot, direction, len);
  if (id) add_match(index, slot, direction, id);
  return 1;
}

/* Goes through at most LOOP_BLOCK lengths: false if the text or the list ended. */
__noinline int intern_block(__u32 index, __u32 slot, __u32 direction, __u32 lengths, __u32 n) {
  for (__u32 i = 0; i < LOOP_BLOCK; i++)
    if (i >= n || !intern_next(index, slot, direction, lengths + i)) return 0;
  return 1;
}

/* One pass over the text in reading direction, stopping at each of `n` ascending lengths. */
__noinline int intern_lengths(__u32 index, __u32 slot, __u32 direction, __u32 lengths, __u32 n) {
  for (__u32 first = 0; first < GH_PATH_MAX; first += LOOP_BLOCK)
    if (first >= n || !intern_block(index, slot, direction, lengths + first, n - first)) break;
  return 0;
}

/* Gives at most LOOP_BLOCK bytes, from `at` on, to the automaton at `address` in `state`: the state
 * after them. */
__noinline __u32 automaton_block(__u32 index, __u32 slot, __u32 address, __u32 state, __u32 at) {
  struct value* value = value_of(index, slot);
  if (!value) return GH_STATE_NEVER;
  __u32 len = value->len, start = value->start;
  for (__u32 i = 0; i < LOOP_BLOCK; i++) {
    if (at >= len || state <= GH_STATE_ALWAYS) break;
    __u64 place = start + at - TEXT_BEGIN;
    opaque(place);
    __u32 byte = value->bytes[TEXT_BEGIN + (place & (GH_PATH_MAX - 1))];
    __u32 info = word_at(address + state), word = byte - gh_state_first(info);
    word = word < gh_state_n(info) ? GH_STATE_ROW + word : GH_STATE_OTHERWISE;
    state = word_at(address + state + (byte == '/' ? GH_STATE_SLASH : word));
    at++;
  }
  return state;
}

/* Whether the automaton at `address` takes the text. */
__noinline int automaton_takes(__u32 index, __u32 slot, __u32 address) {
  struct value* value = value_of(index, slot);
  if (!value) return 0;
  __u32 state = word_at(address);
  for (__u32 at = 0; at < GH_PATH_MAX; at += LOOP_BLOCK) {
    if (at >= value->len || state <= GH_STATE_ALWAYS) break;
    state = automaton_block(index, slot, address, state, at);
  }
  if (state <= GH_STATE_ALWAYS) return state == GH_STATE_ALWAYS;
  return gh_state_takes(word_at(address + state));
}

/* Notes whether the automaton whose address stands at `at` takes the text. */
__noinline int match_automaton(__u32 index, __u32 slot, __u32 at) {
  __u32 address = word_at(at);
  if (automaton_takes(index, slot, address))
    add_match(index, slot, FORWARD, GH_AUTOMATON_ID(address));
  return 0;
}

/* Notes which of the `n` automata whose addresses stand at `addresses` take the text. */
__noinline int match_automata(__u32 index, __u32 slot, __u32 addresses, __u32 n) {
  for (__u32 i = 0; i < GH_AUTOMATA_MAX; i++) {
    if (i >= n) break;
    match_automaton(index, slot, addresses + i);
  }
  return 0;
}

/* Finds out which automata take values[slot], which has been interned. */
static __always_inline void match_patterns(__u32 index, __u32 slot, __u32 scan_address) {
  struct value* value = value_of(index, slot);
  struct gh_scan* scan = record_at(struct gh_scan, scan_address);
  if (value && scan && scan->n_automata && !value->unreadable)
    match_automata(index, slot, scan->automata, scan->n_automata);
}

/* Finds out which interned strings values[slot] is, begins with, ends in. */
static __always_inline void intern_value(__u32 index, __u32 slot, __u32 scan_address) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct value* value = value_of(index, slot);
  if (!scratch || !value) return;
  value->id = 0;
  value->n_heads = 0;
  value->n_tails = 0;
  if (value->unreadable) return;

  struct gh_scan* scan = record_at(struct gh_scan, scan_address);
  if (scan && scan->n_tails) {
    sip_start(scratch);
    intern_lengths(index, slot, BACKWARD, scan->tails, scan->n_tails);
  }
  sip_start(scratch);
  if (scan) intern_lengths(index, slot, FORWARD, scan->heads, scan->n_heads);
  value->id = intern_at(index, slot, FORWARD, value->len); /* goes on where the heads ended */
}

#endif /* GATEHOUSE_BPF_DIGEST_H_ */
