/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The values that an operation is judged by: which arguments, and what they mean, stands in the
 * image (struct gh_input); each is read once, for all policies. A value that cannot be read is
 * unreadable, with the reason, and is in no set.
 */
#ifndef GATEHOUSE_BPF_INPUTS_H_
#define GATEHOUSE_BPF_INPUTS_H_

#include "bpf/digest.h"
#include "bpf/lineage.h"
#include "bpf/objects.h"
#include "bpf/path.h"
#include "bpf/process.h"
#include "bpf/socket.h"

/* An argument that could not be taken: an address of no memory, the number of no file. */
#define LOST (~0ULL)

/* The lowest `bytes` of an argument's register; what lies above is not the callee's business. */
static __always_inline __u64 narrow(__u64 raw, __u32 bytes, bool is_signed) {
  __u32 shift = (64 - 8 * bytes) & 63;
  raw <<= shift;
  return is_signed ? (__u64)((__s64)raw >> shift) : raw >> shift;
}

/* A number: the argument, or what it points to. */
static __always_inline void read_number(struct subject* subject, struct gh_input* input, __u64 raw,
                                        bool lost) {
  __u64 number = narrow(raw, input->bytes, input->flags & GH_INPUT_SIGNED);
  subject->unreadable = GH_READABLE;
  if (input->read == GH_READ_SYSTEM_CALL && in_compat_call()) number |= GH_COMPAT_CALL;
  if (input->read == GH_READ_CAPABILITIES && read_capabilities(&number, (kernel_cap_t*)raw))
    lost = true;
  if (lost) {
    subject->unreadable = GH_UNREADABLE_FAULT;
    count(GH_STAT_NUMBER_FAULT);
  }
  subject->number = number;
}

static __always_inline void unreadable(struct value* value, __u32 reason, __u32 stat) {
  value->unreadable = reason;
  count(stat);
}

/* Makes the `len` bytes that stand where events are made the text: texts end at TEXT_END. */
static __always_inline void take_text(struct scratch* scratch, struct value* value, __u64 len) {
  opaque(len);
  if (len >= GH_PATH_MAX) return;
  bpf_probe_read_kernel(&value->bytes[TEXT_END - len], len, scratch->event);
  value->len = len;
  value->start = TEXT_END - len;
}

/* The string that an input is. */
static __always_inline const char* string_of(__u32 read, __u64 raw) {
  if (read == GH_READ_FILENAME) return BPF_CORE_READ((struct filename*)raw, name);
  if (read == GH_READ_MODULE) return module_name((struct module*)raw);
  if (read == GH_READ_LOAD_INFO) return load_info_name((struct load_info*)raw);
  if (read == GH_READ_NET_DEVICE) return ((struct net_device*)raw)->name;
  return (const char*)raw;
}

/* A string. It is read to where events are made, as its place is known only with its length. */
static __always_inline void read_string(struct scratch* scratch, struct value* value, __u32 read,
                                        __u64 raw) {
  const char* text = string_of(read, raw);
  long bytes = read == GH_READ_USER_STRING
                   ? bpf_probe_read_user_str(scratch->event, GH_PATH_MAX + 1, text)
                   : bpf_probe_read_kernel_str(scratch->event, GH_PATH_MAX + 1, text);
  value->unreadable = GH_READABLE;
  value->len = 0;
  value->start = TEXT_END;
  if (bytes <= 0) return unreadable(value, GH_UNREADABLE_FAULT, GH_STAT_STRING_FAULT);
  if (bytes > GH_PATH_MAX) return unreadable(value, GH_UNREADABLE_TOO_LONG, GH_STAT_STRING_FAULT);
  take_text(scratch, value, bytes - 1);
}

#define FAMILY_UNIX 1

struct sockaddr_unix { /* unix(7) */
  __u16 family;
  char path[108];
};

/* The path, or the name with '@' in front, of an address of `length` bytes; the empty text if it
 * has neither, as of another family. What is behind its length is not part of it. Returns the
 * family, negative if it cannot be read. */
static __always_inline int read_unix_address(struct scratch* scratch, struct value* value,
                                             bool of_process, __u64 from, __u64 length) {
  struct sockaddr_unix* address = (struct sockaddr_unix*)from;
  __u16 family = 0;
  char* to = (char*)scratch->event;
#define READ_FROM(to, n, from) \
  (of_process ? bpf_probe_read_user(to, n, from) : bpf_probe_read_kernel(to, n, from))
  if (length < sizeof(family) || READ_FROM(&family, sizeof(family), &address->family)) return -1;
  __u64 n = length - sizeof(family);
  if (n > sizeof(address->path)) n = sizeof(address->path);
  opaque(n);
  if (family != FAMILY_UNIX || n == 0 || n > sizeof(address->path)) return family;
  if (READ_FROM(to, n, address->path)) return -1;
#undef READ_FROM
  if (to[0]) {
    char* copy = to + sizeof(*address);
    to[n] = 0;
    n = bpf_probe_read_kernel_str(copy, sizeof(*address), to) - 1;
  } else {
    to[0] = '@';
  }
  take_text(scratch, value, n);
  return family;
}

/* The length of an address is the next argument. */
static __always_inline void read_sockaddr_un(struct scratch* scratch, struct value* value,
                                             __u32 number, __u32 read, __u64 raw) {
  number &= WORDS_TAKEN - 1;
  opaque(number);
  struct gh_socket* socket = &scratch->sockets[number];
  __u32 length = scratch->arguments[(number + 1) & (WORDS_TAKEN - 1)];
  __builtin_memset(socket, 0, sizeof(*socket));
  value->unreadable = GH_READABLE;
  value->len = 0;
  value->start = TEXT_END;
  scratch->subjects[number].unreadable = GH_READABLE;
  scratch->subjects[number].number = 0;
  if (!raw) return; /* there is none, as the address of a send(2) */
  int family = read_unix_address(scratch, value, read == GH_READ_USER_SOCKADDR_UN, raw, length);
  if (family < 0) {
    scratch->subjects[number].unreadable = GH_UNREADABLE_FAULT;
    return unreadable(value, GH_UNREADABLE_FAULT, GH_STAT_SOCKET_FAULT);
  }
  scratch->subjects[number].number = family;
  set_field(socket, GH_FIELD_FAMILY, family);
}

/* Behind the `at` bytes of a buffer that stand where events are made, the next `n`; returns how
 * many then stand there, more than fit if they cannot be read. */
__noinline __u32 append_bytes(__u32 index, __u32 at, __u64 from, __u64 n, bool of_process) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  __u64 place = at, bytes = n;
  opaque(place);
  if (!scratch || place >= GH_PATH_MAX) return GH_PATH_MAX;
  if (bytes > GH_PATH_MAX - 1 - place) bytes = GH_PATH_MAX - 1 - place;
  opaque(bytes);
  if (bytes >= GH_PATH_MAX) return GH_PATH_MAX;
  __u8* to = &scratch->event[place];
  long failed = of_process ? bpf_probe_read_user(to, bytes, (void*)from)
                           : bpf_probe_read_kernel(to, bytes, (void*)from);
  return failed ? GH_PATH_MAX : place + bytes;
}

#define BUFFERS_MAX 16 /* of an array of them, as many are read */

/* As append_bytes, what the entry of a struct iovec[] at `entry` is about, without its first `skip`
 * bytes. `memory`: 1: the entry is in memory of the process; 2: its buffer is. */
__noinline __u32 append_entry(__u32 index, __u32 at, __u64 entry, __u64 skip, __u32 memory) {
  struct iovec iovec = {};
  long failed = memory & 1 ? bpf_probe_read_user(&iovec, sizeof(iovec), (void*)entry)
                           : bpf_probe_read_kernel(&iovec, sizeof(iovec), (void*)entry);
  if (failed) return GH_PATH_MAX;
  if (iovec.iov_len <= skip) return at;
  return append_bytes(index, at, (__u64)iovec.iov_base + skip, iovec.iov_len - skip, memory & 2);
}

static __always_inline __u32 append_entries(__u32 index, __u64 entries, __u64 n, __u64 skip,
                                            __u32 memory) {
  __u32 at = 0;
  for (__u32 i = 0; i < BUFFERS_MAX; i++) {
    if (i >= n || at >= GH_PATH_MAX - 1) break;
    at = append_entry(index, at, entries + i * sizeof(struct iovec), i ? 0 : skip, memory);
  }
  return at;
}

/* The address tells whose memory it is in, unless the process passed it. */
static __always_inline bool is_of_process(__u64 address) { return (__s64)address >= 0; }

/* Where the bytes are that an input is about. */
struct buffer {
  bool known;
  bool entries; /* of buffers, each a struct iovec: `n` of them are at `at` */
  __u32 memory; /* 1: the entries are in memory of the process; 2: the bytes are */
  __u64 at;     /* 0 if not known */
  __u64 n;      /* bytes, or entries */
  __u64 skip;   /* of the first entry's bytes */
  __u64 length; /* bytes in all; ~0 if only the entries tell */
};

static __always_inline struct buffer buffer_of_iterator(__u64 raw) {
  struct iterator it = iterator_of((struct iov_iter*)raw);
  if (it.buffer)
    return (struct buffer){
        .known = it.known, .memory = 2, .at = it.buffer, .n = it.count, .length = it.count};
  return (struct buffer){.known = it.known,
                         .entries = true,
                         .memory = it.of_process ? 2 : 0,
                         .at = it.buffers,
                         .n = it.n_buffers,
                         .skip = it.offset,
                         .length = it.count};
}

static __always_inline struct buffer buffer_of(struct scratch* scratch,
                                               const struct gh_input* input, __u32 number) {
  __u64 raw = scratch->arguments[number & (WORDS_TAKEN - 1)];
  __u32 read = input->read, length = input->bytes & (WORDS_TAKEN - 1);
  __s64 told = scratch->arguments[length];
  if (input->flags & GH_INPUT_SIGNED) told = (__s32)told;
  if (scratch->lost >> length & 1) raw = LOST, told = 1;
  if (read == GH_READ_IOV_ITER) return buffer_of_iterator(raw);
  bool of_process = read == GH_READ_USER_BUFFER || read == GH_READ_USER_IOVEC || is_of_process(raw);
  bool entries = read == GH_READ_IOVEC || read == GH_READ_USER_IOVEC;
  __u64 n = told < 0 ? 0 : told;
  return (struct buffer){.known = true,
                         .entries = entries,
                         .memory = of_process ? 3 : 0,
                         .at = raw,
                         .n = n,
                         .length = entries ? ~0ULL : n};
}

/* The bytes of a buffer, or of several; of long ones, those that they begin with. */
__noinline int read_buffer(__u32 index, __u32 slot, __u32 number, __u32 address) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct gh_input* input = record_at(struct gh_input, address);
  struct value* value = value_of(index, slot);
  if (!scratch || !input || !value) return 0;
  struct buffer buffer = buffer_of(scratch, input, number);
  __u64 length = buffer.length, bytes = GH_PATH_MAX;
  if (buffer.known && buffer.entries)
    bytes = append_entries(index, buffer.at, buffer.n, buffer.skip, buffer.memory);
  else if (buffer.known)
    bytes = append_bytes(index, 0, buffer.at, buffer.n, buffer.memory & 2);
  if (length == ~0ULL) length = bytes;
  value->unreadable = GH_READABLE;
  value->len = 0;
  value->start = TEXT_END;
  if (bytes >= GH_PATH_MAX) {
    unreadable(value, GH_UNREADABLE_FAULT, GH_STAT_STRING_FAULT);
    bytes = length = 0;
  }
  if (bytes > length) bytes = length;
  take_text(scratch, value, bytes);
  scratch->subjects[number & (SUBJECTS - 1)].number = length > 0xffffffff ? 0xffffffff : length;
  return 0;
}

/* An open file of the current process, or 0. Another thread may close it meanwhile. */
static __always_inline struct file* file_of_descriptor(__u32 descriptor) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  struct fdtable* table = BPF_CORE_READ(task, files, fdt);
  if (descriptor >= BPF_CORE_READ(table, max_fds)) return 0;
  struct file** files = BPF_CORE_READ(table, fd);
  struct file* file = 0;
  bpf_probe_read_kernel(&file, sizeof(file), files + descriptor);
  return file;
}

/* The file that an input is the path of, or 0. */
static __always_inline struct file* file_of(__u32 read, __u64 raw) {
  struct task_struct* task = (struct task_struct*)bpf_get_current_task();
  if (read == GH_READ_FILE) return (struct file*)raw;
  if (read == GH_READ_KIOCB) return BPF_CORE_READ((struct kiocb*)raw, ki_filp);
  if (read == GH_READ_FD) return file_of_descriptor(raw);
  if (read == GH_READ_BINPRM) return BPF_CORE_READ((struct linux_binprm*)raw, file);
  if (read == GH_READ_BINARY) return BPF_CORE_READ(task, mm, exe_file);
  if (read == GH_READ_PARENT_BINARY)
    return BPF_CORE_READ(task, group_leader, real_parent, group_leader, mm, exe_file);
  return 0;
}

/* Keeps the type and the identity of a file; what it is of, it has not if there is no inode. */
static __always_inline void read_inode(struct scratch* scratch, struct subject* subject,
                                       __u32 number, struct inode* inode) {
  subject->file_mode = BPF_CORE_READ(inode, i_mode);
  if (number >= GH_SUBJECT_TOLD) return;
  opaque(number);
  struct gh_socket* file = &scratch->sockets[number & (WORDS_TAKEN - 1)];
  if (!inode) subject->unreadable = GH_UNREADABLE_FAULT;
  file->known = 1 << GH_FIELD_FILE;
  file->fields[GH_FIELD_FILE] = BPF_CORE_READ(inode, i_sb, s_dev);
  file->fields[GH_FIELD_FILE + 1] = BPF_CORE_READ(inode, i_ino);
}

/* A file's path, or that of a struct path. */
static __always_inline void read_path(struct scratch* scratch, __u32 index, __u32 number,
                                      struct value* value, __u32 read, __u64 raw) {
  struct subject* subject = &scratch->subjects[number & (SUBJECTS - 1)];
  __u64 mnt = 0, dentry = 0;
  __u32 slot = subject->slot;
  if (read == GH_READ_DENTRY) {
    read_inode(scratch, subject, number, BPF_CORE_READ((struct dentry*)raw, d_inode));
    resolve_dentry(index, slot, raw);
    return;
  }
  if (read == GH_READ_PATH) {
    mnt = (__u64)BPF_CORE_READ((struct path*)raw, mnt);
    dentry = (__u64)BPF_CORE_READ((struct path*)raw, dentry);
    read_inode(scratch, subject, number, BPF_CORE_READ((struct dentry*)dentry, d_inode));
  } else {
    struct file* file = file_of(read, raw);
    if (!file && (read == GH_READ_BINARY || read == GH_READ_PARENT_BINARY))
      return unreadable(value, GH_UNREADABLE_NO_BINARY, GH_STAT_NO_BINARY);
    mnt = (__u64)BPF_CORE_READ(file, f_path.mnt);
    dentry = (__u64)BPF_CORE_READ(file, f_path.dentry);
    read_inode(scratch, subject, number, BPF_CORE_READ(file, f_inode));
  }
  resolve_path(index, slot, mnt, dentry);
}

/* Follows the chain of the input at `address` and keeps what it leads to where arguments are. Fails
 * if a pointer on the way is NULL or cannot be read. */
__noinline int follow_chain(__u32 index, __u32 address) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct gh_input* input = record_at(struct gh_input, address);
  struct gh_chain* chain = input ? record_at(struct gh_chain, input->chain) : 0;
  if (!scratch || !chain) return -1;
  __u32 n = chain->n;
  __u64 place = chain->from == GH_FROM_TASK ? bpf_get_current_task()
                : chain->from == GH_FROM_REGISTERS
                    ? scratch->registers
                    : scratch->arguments[chain->from & (WORDS_TAKEN - 1)];
  for (__u32 i = 0; i < GH_STEPS_MAX; i++) {
    if (i >= n) break;
    if (!place) return -1;
    place += chain->offsets[i];
    if (i + 1 < n && bpf_probe_read_kernel(&place, sizeof(place), (void*)place)) return -1;
  }
  __u64 value = place, bytes = chain->bytes;
  opaque(bytes);
  if (bytes > 0) {
    value = 0;
    if (bytes > sizeof(value) || bpf_probe_read_kernel(&value, bytes, (void*)place)) return -1;
  }
  scratch->arguments[input->subject & (WORDS_TAKEN - 1)] = value;
  return 0;
}

/* As follow_chain; what cannot be reached is unreadable. False: it need not be read any more. */
static __always_inline bool reach(struct scratch* scratch, __u32 index, struct gh_input* input,
                                  __u32 address, __u32 number) {
  if (!follow_chain(index, address)) return true;
  count(GH_STAT_RESOLVE_FAULT);
  scratch->subjects[number].unreadable = GH_UNREADABLE_FAULT;
  /* No descriptor, and no pointer: whoever reads a text from there sees that it cannot. */
  scratch->arguments[number & (WORDS_TAKEN - 1)] = input->read == GH_READ_FD ? -1 : 0;
  return gh_is_text(input->read);
}

/* A place for the text of a subject. */
static __always_inline __u32 take_slot(struct scratch* scratch, struct subject* subject) {
  __u32 slot = scratch->n_texts++ & (GH_TEXTS_MAX - 1);
  subject->slot = slot;
  subject->file_mode = 0;
  subject->unreadable = GH_READABLE;
  return slot;
}

/* Reads the value that `address` (struct gh_input) describes, unless read_more does. */
__noinline int read_input(__u32 index, __u32 address) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct gh_input* input = record_at(struct gh_input, address);
  if (!scratch || !input) return 0;
  __u32 read = input->read, number = input->subject & (SUBJECTS - 1);
  struct subject* subject = &scratch->subjects[number];
  if (gh_is_more(read, number)) return 0;
  if (read == GH_READ_PROCESS) {
    subject->unreadable = GH_READABLE;
    if (number == GH_SUBJECT_ANCESTORS || number == GH_SUBJECT_NAMESPACE_ANCESTORS)
      read_ancestors(index, number);
    else
      subject->number = number_of_process(number);
    return 0;
  }
  if (input->chain && !reach(scratch, index, input, address, number)) return 0;
  __u64 raw = scratch->arguments[number & (WORDS_TAKEN - 1)];
  if (!gh_is_text(read)) {
    read_number(subject, input, raw, scratch->lost >> number & 1);
    return 0;
  }
  __u32 slot = take_slot(scratch, subject);
  struct value* value = &scratch->values[slot];
  if (read == GH_READ_SOCKADDR_UN || read == GH_READ_USER_SOCKADDR_UN)
    read_sockaddr_un(scratch, value, number, read, raw);
  else if (read < GH_READ_FILE)
    read_string(scratch, value, read, raw);
  else
    read_path(scratch, index, number, value, read, raw);
  if (read >= GH_READ_FILE) subject->number = subject->file_mode >> 12; /* the type of the file */
  intern_value(index, slot, input->scan);
  return 0;
}

/* Of the same input, what read_input has not read. A program in which nothing calls this is without
 * it, and without the functions that it calls: the kernel verifies what is called, and takes out
 * the rest (since 6.8, kernel commit 2afae08c9dcb). */
__noinline int read_more(__u32 index, __u32 address) {
  struct scratch* scratch = bpf_map_lookup_elem(&scratch_pool, &index);
  struct gh_input* input = record_at(struct gh_input, address);
  if (!scratch || !input) return 0;
  __u32 read = input->read, number = input->subject & (SUBJECTS - 1);
  struct subject* subject = &scratch->subjects[number];
  if (!gh_is_more(read, number)) {
    if (gh_is_text(read)) match_patterns(index, subject->slot, input->scan);
    return 0;
  }
  if (read == GH_READ_PROCESS) {
    subject->unreadable = GH_READABLE;
    if (number >= GH_SUBJECT_SCRIPT)
      read_script(index, number);
    else if (number >= GH_SUBJECT_DESCENT)
      read_descent(index, number);
    else
      read_changes(index, number);
    return 0;
  }
  if (input->chain && !reach(scratch, index, input, address, number)) return 0;
  __u64 raw = scratch->arguments[number & (WORDS_TAKEN - 1)];
  if (gh_is_socket(read)) {
    read_socket(index, number, read, raw);
  } else if (gh_is_cred(read)) {
    read_cred(index, number, read == GH_READ_USER_NAMESPACE, raw);
  } else if (gh_is_object(read)) {
    read_object(index, number, read, raw);
  } else {
    __u32 slot = take_slot(scratch, subject);
    read_buffer(index, slot, number, address);
    intern_value(index, slot, input->scan);
    match_patterns(index, slot, input->scan);
  }
  return 0;
}

#define INPUT_WORDS (sizeof(struct gh_input) / GH_WORD_BYTES)

/* Reads all inputs of a gate; `more`: whether there may be some for read_more. */
static __always_inline void read_inputs(struct scratch* scratch, __u32 index,
                                        const struct gh_gate* gate, bool more) {
  __u32 inputs = gate->inputs, n = gate->n_inputs;
  scratch->inputs = inputs;
  scratch->n_inputs = n;
  scratch->n_texts = 0;
  scratch->tracked = 0;
  for (__u32 i = 0; i < GH_SUBJECT_COUNT; i++) {
    if (i >= n) break;
    read_input(index, inputs + i * INPUT_WORDS);
    if (more) read_more(index, inputs + i * INPUT_WORDS);
  }
}

#endif /* GATEHOUSE_BPF_INPUTS_H_ */
