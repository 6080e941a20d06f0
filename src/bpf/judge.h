/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rules against values. Everything here is a search in the image; nothing touches the kernel.
 */
#ifndef GATEHOUSE_BPF_JUDGE_H_
#define GATEHOUSE_BPF_JUDGE_H_

#include "bpf/state.h"

/* 1 if a <= b, else 0, without a branch: with one, the verifier would walk every path of a search.
 */
#define is_at_most(a, b) (((__u64)(a) - (__u64)(b) - 1) >> 63)

/* 2^10 words are a page, 2^10 pages a set: each search takes at most ten steps. */
#define SEARCH_STEPS 10
GH_STATIC_ASSERT(GH_PAGE_WORDS <= 1 << SEARCH_STEPS && GH_SET_PAGES_MAX <= 1 << SEARCH_STEPS,
                 "steps");

/* Whether `id` is among `n` ascending words of a page from `first` on. n > 0; they are in the page.
 */
static __always_inline bool page_has(struct gh_page* page, __u32 first, __u32 n, __u32 id) {
  for (int i = 0; i < SEARCH_STEPS && n > 1; i++) {
    __u32 half = n / 2;
    first += half * is_at_most(page->words[(first + half) & (GH_PAGE_WORDS - 1)], id);
    n -= half;
  }
  return page->words[first & (GH_PAGE_WORDS - 1)] == id;
}

/* Whether the set at `address` holds `id`. A set of more than a page begins at a page's begin. */
__noinline int set_has(__u32 address, __u32 n, __u32 id) {
  __u32 begin = address, pages = (n + GH_PAGE_WORDS - 1) / GH_PAGE_WORDS;
  for (int i = 0; i < SEARCH_STEPS && pages > 1;
       i++) { /* the last page that begins at or below id */
    __u32 half = pages / 2;
    begin += half * GH_PAGE_WORDS * is_at_most(word_at(begin + half * GH_PAGE_WORDS), id);
    pages -= half;
  }
  struct gh_page* page = page_of(begin);
  __u32 rest = n - (begin - address);
  if (!page || !n) return 0;
  return page_has(page, begin, rest < GH_PAGE_WORDS ? rest : GH_PAGE_WORDS, id);
}

/* As is_at_most, for any two numbers of 64 bits: the borrow of b - a. */
static __always_inline __u64 number_at_most(__u64 a, __u64 b) {
  return (((~b & a) | (~(b ^ a) & (b - a))) >> 63) ^ 1;
}

#define RANGES_PER_PAGE (sizeof(struct gh_page) / sizeof(struct gh_range))
#define RANGE_WORDS (sizeof(struct gh_range) / GH_WORD_BYTES)
/* 2^8 ranges are a page. */
#define RANGE_STEPS (SEARCH_STEPS + 8)
GH_STATIC_ASSERT(RANGES_PER_PAGE <= 1 << 8, "steps");

/* Whether one of the `n` ascending ranges at `address` holds `number`. */
__noinline int ranges_have(__u32 address, __u32 n, __u64 number) {
  if (!n) return 0;
  for (int i = 0; i < RANGE_STEPS && n > 1; i++) { /* the last range that begins at or below it */
    __u32 half = n / 2;
    struct gh_range* range = record_at(struct gh_range, address + half * RANGE_WORDS);
    if (!range) return 0;
    address += half * RANGE_WORDS * number_at_most(range->first, number);
    n -= half;
  }
  struct gh_range* range = record_at(struct gh_range, address);
  return range && range->first <= number && number <= range->last;
}

/* As number_at_most, of addresses. */
static __always_inline __u64 address_at_most(__u64 a, __u64 a_low, __u64 b, __u64 b_low) {
  __u64 greater_or_same = number_at_most(b, a);
  return number_at_most(a, b) & ((greater_or_same ^ 1) | number_at_most(a_low, b_low));
}

#define ADDRESS_RANGE_WORDS (sizeof(struct gh_address_range) / GH_WORD_BYTES)

/* Whether one of the `n` ascending ranges at `address` holds the address `high`, `low`. */
__noinline int addresses_have(__u32 address, __u32 n, __u64 high, __u64 low) {
  if (!n) return 0;
  for (int i = 0; i < RANGE_STEPS && n > 1; i++) { /* as in ranges_have */
    __u32 half = n / 2;
    struct gh_address_range* range =
        record_at(struct gh_address_range, address + half * ADDRESS_RANGE_WORDS);
    if (!range) return 0;
    address +=
        half * ADDRESS_RANGE_WORDS * address_at_most(range->first, range->first_low, high, low);
    n -= half;
  }
  struct gh_address_range* range = record_at(struct gh_address_range, address);
  return range && address_at_most(range->first, range->first_low, high, low) &&
         address_at_most(high, low, range->last, range->last_low);
}

/* Whether the number has a bit in common with the mask at `address`. */
static __always_inline bool mask_has(__u32 address, __u64 number) {
  struct gh_range* mask = record_at(struct gh_range, address);
  return mask && mask->first & number;
}

/* Whether `other` has a bit that `subject` has not, and that is in the mask at `address`. */
static __always_inline bool gained(struct scratch* scratch, struct subject* subject, __u32 other,
                                   __u32 address) {
  struct subject* now = &scratch->subjects[other & (SUBJECTS - 1)];
  if (subject->unreadable || now->unreadable) return false;
  return mask_has(address, now->number & ~subject->number);
}

/* Whether the text in `slot` is in the set of a filter, searched by `match`. */
static __always_inline bool text_matches(__u32 index, __u32 slot, __u32 match, __u32 set, __u32 n) {
  struct value* value = value_of(index, slot);
  if (!value || value->unreadable) return 0;
  if (match == GH_MATCH_EXACT) return value->id && set_has(set, n, value->id);
  bool heads = match != GH_MATCH_POSTFIX;
  __u32 candidates = heads ? value->n_heads : value->n_tails;
  for (__u32 i = 0; i < GH_MATCHES_MAX; i++) {
    if (i >= candidates) break;
    if (set_has(set, n, heads ? value->heads[i] : value->tails[i])) return 1;
  }
  return 0;
}

/* Whether a filter on a field of a socket holds. What is not there is in no set and out of none. */
static __always_inline bool field_holds(struct scratch* scratch, struct gh_filter* filter,
                                        __u32 field) {
  __u32 number = filter->subject & (WORDS_TAKEN - 1);
  bool negated = filter->negated;
  opaque(number);
  struct gh_socket* socket = &scratch->sockets[number];
  if (scratch->subjects[number].unreadable) return negated;
  if (!(socket->known >> field & 1)) return false;
  __u64 value = socket->fields[field & (GH_FIELD_COUNT - 1)];
  __u64 low = socket->fields[(field + 1) & (GH_FIELD_COUNT - 1)]; /* of an address */
  bool found = filter->match == GH_MATCH_ADDRESS
                   ? addresses_have(filter->set, filter->count, value, low)
                   : ranges_have(filter->set, filter->count, value);
  return found != negated;
}

/* Whether a set of ranges has the id of the process or of one of its ancestors. */
static __always_inline bool ancestors_match(struct ancestors* ancestors, __u32 set, __u32 count) {
  for (__u32 i = 0; i < GH_ANCESTORS_MAX; i++) {
    if (i >= ancestors->n) break;
    if (ranges_have(set, count, ancestors->pids[i])) return true;
  }
  return false;
}

/* Whether a set has one of the programs that a process descends from. */
static __always_inline bool descent_matches(struct descent* descent, __u32 set, __u32 count) {
  for (__u32 i = 0; i < GH_PROGRAMS_MAX; i++) {
    if (i >= descent->n) break;
    if (descent->ids[i] && set_has(set, count, descent->ids[i])) return true;
  }
  return false;
}

/* Whether one filter holds, negation included. An unreadable value is in no set. */
__noinline int filter_holds(__u32 index, __u32 address) {
  struct gh_filter* filter = record_at(struct gh_filter, address);
  if (!filter) return 0;
  __u32 set = filter->set, n = filter->count, match = filter->match, field = filter->field;
  bool found = false, negated = filter->negated;
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  if (!scratch) return negated;
  if (field != GH_FIELD_WHOLE) return field_holds(scratch, filter, field);
  struct subject* subject = &scratch->subjects[filter->subject & (SUBJECTS - 1)];
  if (filter->subject == GH_SUBJECT_ANCESTORS)
    found = ancestors_match(&scratch->ancestors[0], set, n);
  else if (filter->subject == GH_SUBJECT_NAMESPACE_ANCESTORS)
    found = ancestors_match(&scratch->ancestors[1], set, n);
  else if (filter->subject >= GH_SUBJECT_DESCENT)
    found = descent_matches(descent_of(scratch, filter->subject), set, n);
  else if (match == GH_MATCH_RANGE)
    found = !subject->unreadable && ranges_have(set, n, subject->number);
  else if (match == GH_MATCH_MASK)
    found = !subject->unreadable && mask_has(set, subject->number);
  else if (match == GH_MATCH_GAINED)
    found = gained(scratch, subject, filter->other, set);
  else
    found = text_matches(index, subject->slot, match, set, n);
  return found != negated;
}

#define FILTER_WORDS (sizeof(struct gh_filter) / GH_WORD_BYTES)

/* Whether all filters of a rule hold. */
__noinline int rule_holds(__u32 index, __u32 address) {
  struct gh_rule* rule = record_at(struct gh_rule, address);
  if (!rule) return 0;
  __u32 filters = rule->filters, n = rule->n_filters;
  for (__u32 i = 0; i < GH_FILTERS_PER_RULE_MAX; i++) {
    if (i >= n) break;
    if (!filter_holds(index, filters + i * FILTER_WORDS)) return 0;
  }
  return 1;
}

/* Address of the first rule of a policy that holds, or 0. */
__noinline int deciding_rule(__u32 index, __u32 first) {
  __u32 address = first;
  for (__u32 i = 0; i < GH_RULES_PER_POLICY_MAX; i++) {
    if (rule_holds(index, address)) return address;
    struct gh_rule* rule = record_at(struct gh_rule, address);
    if (!rule || rule->flags & GH_RULE_LAST) break;
    address += sizeof(struct gh_rule) / GH_WORD_BYTES;
  }
  return 0;
}

#endif /* GATEHOUSE_BPF_JUDGE_H_ */
