/* SPDX-License-Identifier: Apache-2.0 */
/* Text -> ids in three steps: special tokens are cut out (leftmost, longest); what lies between is
 * cut into pieces by the pattern of tokenizer_load.c; the bytes of each piece are merged by rank.
 */
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer_file.h"

typedef struct output {
    int32_t *ids; /* room for one id a byte, and the first */
    size_t n;
} output;

/* The special token at text[0..length), -1 if there is none. */
static int32_t special_here(const att_tokenizer *t, const char *text, size_t length)
{
    unsigned char c = (unsigned char)text[0];
    for (uint32_t i = t->special_at[c]; i < t->special_at[c + 1]; i++) {
        att_span s = t->pieces[t->special[i]];
        if (s.length <= length && !memcmp(text, t->bytes + s.at, s.length))
            return t->special[i];
    }
    return -1;
}

static att_status put_piece(const att_tokenizer *t, const char *text, size_t at, size_t length,
                            output *o, att_why *why)
{
    int32_t *ids = o->ids + o->n;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[at + i];
        ids[i] = t->byte_id[c] >= 0 ? t->byte_id[c] : t->unknown;
        if (ids[i] < 0) {
            att_why_set(why, "byte %zu of the text: 0x%02x has no token", at + i, c);
            return ATT_UNSUPPORTED;
        }
    }
    size_t n = att_bpe_merge(t->bpe, ids, length);
    if (n == SIZE_MAX) {
        att_why_set(why, "no memory to tokenise a piece of %zu bytes", length);
        return ATT_NO_MEMORY;
    }
    o->n += n;
    return ATT_OK;
}

/* Cuts text[from..to), which holds no special token, into pieces. */
static att_status put_run(const att_tokenizer *t, pcre2_match_data *match, const char *text,
                          size_t from, size_t to, output *o, att_why *why)
{
    PCRE2_SPTR s = (PCRE2_SPTR)text;
    while (from < to) {
        int rc = pcre2_match(t->cut, s, to, from, PCRE2_ANCHORED | PCRE2_NO_UTF_CHECK, match, NULL);
        size_t end = rc > 0 ? pcre2_get_ovector_pointer(match)[1] : 0;
        if (end <= from) {
            att_why_set(why, "byte %zu of the text: PCRE2 cannot cut it (%d)", from, rc);
            return ATT_FAILED;
        }
        if (rc > 2) { /* the last white-space character belongs to what follows */
            size_t last = end - 1;
            while (last > from && (s[last] & 0xc0) == 0x80)
                last--;
            end = last > from ? last : end;
        }
        att_status st = put_piece(t, text, from, end - from, o, why);
        if (st)
            return st;
        from = end;
    }
    return ATT_OK;
}

static att_status check_utf8(const att_tokenizer *t, pcre2_match_data *match, const char *text,
                             size_t length, att_why *why)
{
    int rc = pcre2_match(t->cut, (PCRE2_SPTR)text, length, 0, PCRE2_ANCHORED, match, NULL);
    if (rc > PCRE2_ERROR_UTF8_ERR1 || rc < PCRE2_ERROR_UTF8_ERR21)
        return ATT_OK;
    att_why_set(why, "byte %zu of the text: not UTF-8", (size_t)pcre2_get_startchar(match));
    return ATT_CORRUPT;
}

static att_status encode(const att_tokenizer *t, pcre2_match_data *match, const char *text,
                         size_t length, output *o, att_why *why)
{
    att_status st = check_utf8(t, match, text, length, why);
    size_t from = 0;
    if (!st && t->first >= 0)
        o->ids[o->n++] = t->first;
    for (size_t at = 0; !st && at < length;) {
        int32_t id = special_here(t, text + at, length - at);
        if (id < 0) {
            at++;
            continue;
        }
        st = put_run(t, match, text, from, at, o, why);
        o->ids[o->n++] = id;
        from = at += t->pieces[id].length;
    }
    return st ? st : put_run(t, match, text, from, length, o, why);
}

att_status att_tokenizer_encode(const att_tokenizer *t, const char *text, size_t length,
                                int32_t **ids, size_t *n, att_why *why)
{
    *ids = NULL;
    *n = 0;
    att_status st = ATT_NO_MEMORY;
    output o = {0};
    pcre2_match_data *match = pcre2_match_data_create(4, NULL);
    if (length < SIZE_MAX / sizeof *o.ids - 1)
        o.ids = malloc((length + 1) * sizeof *o.ids);
    if (!match || !o.ids) {
        att_why_set(why, "no memory to tokenise %zu bytes", length);
        goto done;
    }
    st = encode(t, match, text, length, &o, why);
    if (!st) {
        *ids = o.ids;
        *n = o.n;
        o.ids = NULL;
    }
done:
    free(o.ids);
    pcre2_match_data_free(match);
    return st;
}

void att_tokenizer_drop(att_tokenizer *t)
{
    if (!t)
        return;
    pcre2_code_free(t->cut);
    att_bpe_drop(t->bpe);
    free(t->special);
    free(t->pieces);
    free(t->bytes);
    free(t);
}

int64_t att_tokenizer_size(const att_tokenizer *t)
{
    return t->n;
}

const char *att_tokenizer_piece(const att_tokenizer *t, int32_t id, size_t *length)
{
    if (id < 0 || id >= t->n)
        return NULL;
    *length = t->pieces[id].length;
    return t->bytes + t->pieces[id].at;
}
