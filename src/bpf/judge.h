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

/* Whether one filter holds, negation included. An unreadable value is in no set. */
__noinline int filter_holds(__u32 index, __u32 address) {
  struct gh_filter* filter = record_at(struct gh_filter, address);
  if (!filter) return 0;
  __u32 set = filter->set, n = filter->count;
  bool found = false;
  struct value* value = value_of(index, filter->subject);
  if (value && !value->unreadable) {
    if (filter->match == GH_MATCH_EXACT) {
      found = value->id && set_has(set, n, value->id);
    } else {
      bool heads = filter->match == GH_MATCH_PREFIX;
      __u32 candidates = heads ? value->n_heads : value->n_tails;
      for (__u32 i = 0; i < GH_MATCHES_MAX && !found; i++) {
        if (i >= candidates) break;
        found = set_has(set, n, heads ? value->heads[i] : value->tails[i]);
      }
    }
  }
  return found != !!filter->negated;
}

/* Whether all filters of a rule hold. */
__noinline int rule_holds(__u32 index, __u32 address) {
  struct gh_rule* rule = record_at(struct gh_rule, address);
  if (!rule) return 0;
  __u32 filters = rule->filters, n = rule->n_filters;
  for (__u32 i = 0; i < GH_FILTERS_PER_RULE_MAX; i++) {
    if (i >= n) break;
    if (!filter_holds(index, filters + i * (sizeof(struct gh_filter) / GH_WORD_BYTES))) return 0;
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
