/* SPDX-License-Identifier: Apache-2.0 */
/* KV caches that fork without copying.
 *
 * A first cache owns a memory file (memfd) mapped shared.  A fork maps the same file privately: the
 * kernel shares its pages and copies one when the child writes to it.  The pages below `shared`
 * rows are therefore the parent's own; a fork of a fork maps the file again and copies the rows
 * beyond. While forks live their base refuses new tokens, since an unwritten private page would
 * show them. */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "model/lm_parts.h"

typedef struct att_kv_base {
    int fd;
    atomic_int forks; /* living caches that map the file privately */
    atomic_int users; /* those and the owner: the last one closes the file */
} att_kv_base;

static void base_leave(att_kv_base *base)
{
    if (base && atomic_fetch_sub(&base->users, 1) == 1) {
        close(base->fd);
        free(base);
    }
}

static att_status map_base(att_kv *kv, int flags, att_why *why)
{
    void *map = mmap(NULL, kv->bytes, PROT_READ | PROT_WRITE, flags, kv->base->fd, 0);
    if (map == MAP_FAILED) {
        att_why_set(why, "KV cache of %lld tokens: cannot map %zu bytes: %s",
                    (long long)kv->capacity, kv->bytes, strerror(errno));
        return ATT_NO_MEMORY;
    }
    kv->data = map;
    return ATT_OK;
}

att_status att_kv_make(const att_lm *lm, int64_t capacity, att_kv **out, att_why *why)
{
    const att_lm_shape *s = &lm->shape;
    *out = NULL;
    if (capacity < 1 || capacity > s->context) {
        att_why_set(why,
                    "KV cache: a capacity of %lld tokens is not in 1..%lld, the model's context",
                    (long long)capacity, (long long)s->context);
        return ATT_INVALID;
    }
    att_kv *kv = calloc(1, sizeof *kv);
    att_status st = ATT_NO_MEMORY;
    if (!kv || !(kv->base = malloc(sizeof *kv->base))) {
        att_why_set(why, "KV cache: no memory");
        goto done;
    }
    kv->base->fd = -1;
    atomic_init(&kv->base->forks, 0);
    atomic_init(&kv->base->users, 1);
    kv->layers = s->layers;
    kv->heads = s->heads_kv;
    kv->dim = s->head_dim;
    kv->capacity = capacity;
    kv->root = true;
    size_t floats;
    if (__builtin_mul_overflow((size_t)(2 * s->layers * s->heads_kv), (size_t)capacity, &floats) ||
        __builtin_mul_overflow(floats, (size_t)s->head_dim * sizeof(float), &kv->bytes) ||
        kv->bytes > INT64_MAX) {
        att_why_set(why, "KV cache of %lld tokens: its size overflows", (long long)capacity);
        goto done;
    }
    kv->base->fd = memfd_create("att_kv", MFD_CLOEXEC);
    if (kv->base->fd < 0 || ftruncate(kv->base->fd, (off_t)kv->bytes)) {
        att_why_set(why, "KV cache of %zu bytes: %s", kv->bytes, strerror(errno));
        goto done;
    }
    st = map_base(kv, MAP_SHARED, why);
done:
    if (st)
        att_kv_close(kv);
    else
        *out = kv;
    return st;
}

/* Rows [from, to) of every head of `parent` into `child`. */
static void copy_rows(const att_kv *parent, att_kv *child, int64_t from, int64_t to)
{
    for (int64_t i = 0; i < 2 * parent->layers * parent->heads; i++) {
        int64_t at = (i * parent->capacity + from) * parent->dim;
        memcpy(child->data + at, parent->data + at,
               (size_t)((to - from) * parent->dim) * sizeof *child->data);
    }
}

att_status att_kv_fork(const att_kv *parent, att_kv **out, att_why *why)
{
    *out = NULL;
    att_kv *kv = malloc(sizeof *kv);
    if (!kv) {
        att_why_set(why, "KV cache: no memory");
        return ATT_NO_MEMORY;
    }
    *kv = *parent;
    kv->data = NULL;
    kv->root = false;
    atomic_fetch_add(&kv->base->users, 1);
    atomic_fetch_add(&kv->base->forks, 1);
    att_status st = map_base(kv, MAP_PRIVATE | MAP_NORESERVE, why);
    if (st) {
        att_kv_close(kv);
        return st;
    }
    kv->shared = parent->root ? parent->length : parent->shared;
    if (kv->shared < kv->length)
        copy_rows(parent, kv, kv->shared, kv->length);
    *out = kv;
    return ATT_OK;
}

int64_t att_kv_length(const att_kv *kv)
{
    return kv->length;
}

void att_kv_rollback(att_kv *kv, int64_t length)
{
    if (length < 0)
        length = 0;
    if (length < kv->length)
        kv->length = length;
    if (kv->length < kv->shared)
        kv->shared = kv->length;
}

void att_kv_close(att_kv *kv)
{
    if (!kv)
        return;
    if (kv->data)
        munmap(kv->data, kv->bytes);
    if (kv->base && !kv->root)
        atomic_fetch_sub(&kv->base->forks, 1);
    base_leave(kv->base);
    free(kv);
}

float *att_kv_rows(const att_kv *kv, int which, int64_t layer, int64_t head)
{
    return kv->data + ((which * kv->layers + layer) * kv->heads + head) * kv->capacity * kv->dim;
}

bool att_kv_writable(const att_kv *kv)
{
    return !kv->root || atomic_load(&kv->base->forks) == 0;
}
