/* SPDX-License-Identifier: Apache-2.0 */
/* The tokeniser's tables out of a GGUF file's keys.  GPT-2 writes bytes in its vocabulary as
 * printable code points; here everything is turned back into bytes once.
 *
 * The pattern cuts text so that every Unicode number stands alone, and by the GPT-2 pattern inside
 * the runs between numbers.  There, a white-space piece leaves its last character to what follows,
 * unless the run ends: group 2 is set when it must.  That, and possessive loops, keep matching
 * linear and off the stack.  \s is spelled out because PCRE2 reads it wider than Unicode's
 * White_Space.
 * Source: Radford et al. 2019; the tokenizer.json of SmolLM2 (Digits, then ByteLevel). */
#include <stdlib.h>
#include <string.h>

#include "model/tokenizer_file.h"

#define SPACE "\\t-\\r\\x{85}\\p{Z}"
static const char pattern[] = "(?:'s|'t|'re|'ve|'m|'ll|'d)"
                              "|\\p{N}"
                              "| ?\\p{L}++"
                              "| ?[^" SPACE "\\p{L}\\p{N}]++"
                              "|([" SPACE "]++)(?:(?=\\p{N}|\\z)|())";

enum {
    SIZE_LIMIT = 1 << 24,
    PIECE_LIMIT = 1 << 16,
    TYPE_NORMAL = 1,
    TYPE_CONTROL = 3,
    TYPE_USER = 4
};

/* -------------------------------------------------------- bytes as GPT-2 writes them */

/* Printable Latin-1 stands for itself; the other 68 bytes are code points 256, 257, ... in order.
 */
static void byte_table(int16_t of_code[324])
{
    int next = 256;
    for (int c = 0; c < 324; c++)
        of_code[c] = -1;
    for (int b = 0; b < 256; b++) {
        bool own = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        of_code[own ? b : next++] = (int16_t)b;
    }
}

/* Code points below 2048 in 1 or 2 bytes of UTF-8, back to bytes; the count, or SIZE_MAX. */
static size_t unprint(const int16_t of_code[324], att_gguf_text text, char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < text.length;) {
        unsigned a = (unsigned char)text.data[i++], code = a;
        if (a >= 0x80) {
            unsigned b = i < text.length ? (unsigned char)text.data[i++] : 0;
            if (a < 0xc2 || a > 0xdf || (b & 0xc0) != 0x80)
                return SIZE_MAX;
            code = (a & 31) << 6 | (b & 63);
        }
        if (code >= 324 || of_code[code] < 0)
            return SIZE_MAX;
        out[n++] = (char)of_code[code];
    }
    return n;
}

/* ------------------------------------------------------------------- bytes -> id, at load */

typedef struct index {
    const att_tokenizer *t;
    int32_t *slots; /* -1 = free */
    size_t mask;
} index_;

static uint64_t hash_bytes(const char *p, size_t n)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < n; i++)
        h = (h ^ (unsigned char)p[i]) * 0x100000001b3u;
    return h ^ h >> 29;
}

static int32_t *index_slot(const index_ *x, const char *p, size_t n)
{
    size_t i = (size_t)hash_bytes(p, n) & x->mask;
    for (; x->slots[i] >= 0; i = (i + 1) & x->mask) {
        att_span s = x->t->pieces[x->slots[i]];
        if (s.length == n && !memcmp(x->t->bytes + s.at, p, n))
            break;
    }
    return &x->slots[i];
}

static att_status index_make(index_ *x, const att_tokenizer *t, const int64_t *types)
{
    size_t slots = 16;
    while (slots < 2 * (size_t)t->n)
        slots *= 2;
    *x = (index_){t, malloc(slots * sizeof *x->slots), slots - 1};
    if (!x->slots)
        return ATT_NO_MEMORY;
    memset(x->slots, 0xff, slots * sizeof *x->slots);
    for (int32_t id = 0; id < t->n; id++) {
        if (types && types[id] != TYPE_NORMAL)
            continue;
        int32_t *slot = index_slot(x, t->bytes + t->pieces[id].at, t->pieces[id].length);
        if (*slot < 0)
            *slot = id;
    }
    return ATT_OK;
}

/* ------------------------------------------------------------------------------ load */

static att_status load_pieces(att_tokenizer *t, const att_gguf *g, const att_gguf_text *tokens,
                              size_t n, const int64_t *types, att_why *why)
{
    int16_t of_code[324];
    size_t total = 0, at = 0;
    byte_table(of_code);
    for (size_t i = 0; i < n; i++) {
        if (tokens[i].length > PIECE_LIMIT) {
            att_why_set(why, "%s: key tokenizer.ggml.tokens: token %zu has %zu bytes",
                        att_gguf_name(g), i, tokens[i].length);
            return ATT_CORRUPT;
        }
        total += tokens[i].length;
    }
    if (n == 0 || n > SIZE_LIMIT || total > UINT32_MAX) {
        att_why_set(why, "%s: key tokenizer.ggml.tokens has %zu tokens of %zu bytes",
                    att_gguf_name(g), n, total);
        return ATT_CORRUPT;
    }
    t->bytes = malloc(total + 1);
    t->pieces = malloc(n * sizeof *t->pieces);
    if (!t->bytes || !t->pieces)
        return ATT_NO_MEMORY;
    for (size_t i = 0; i < n; i++) {
        size_t length = tokens[i].length;
        if (types && types[i] != TYPE_NORMAL)
            memcpy(t->bytes + at, tokens[i].data, length);
        else
            length = unprint(of_code, tokens[i], t->bytes + at);
        if (length == SIZE_MAX) {
            att_why_set(
                why,
                "%s: key tokenizer.ggml.tokens: token %zu is not written in GPT-2's byte letters",
                att_gguf_name(g), i);
            return ATT_CORRUPT;
        }
        t->pieces[i] = (att_span){(uint32_t)at, (uint32_t)length};
        at += length;
    }
    t->n = (int32_t)n;
    return ATT_OK;
}

/* One line of the merges, "left right" in byte letters, as three ids. */
static bool parse_merge(const index_ *x, const int16_t of_code[324], att_gguf_text line,
                        char *scratch, int32_t id[3])
{
    const char *gap = line.length > 2 ? memchr(line.data + 1, ' ', line.length - 2) : NULL;
    if (!gap || line.length > PIECE_LIMIT)
        return false;
    att_gguf_text a = {line.data, (size_t)(gap - line.data)};
    att_gguf_text b = {gap + 1, line.length - a.length - 1};
    size_t n = unprint(of_code, a, scratch);
    if (n == SIZE_MAX)
        return false;
    size_t m = unprint(of_code, b, scratch + n);
    if (m == SIZE_MAX)
        return false;
    id[0] = *index_slot(x, scratch, n);
    id[1] = *index_slot(x, scratch + n, m);
    id[2] = *index_slot(x, scratch, n + m);
    return id[0] >= 0 && id[1] >= 0 && id[2] >= 0;
}

static att_status load_merges(att_tokenizer *t, const att_gguf *g, const index_ *x, att_why *why)
{
    int16_t of_code[324];
    att_gguf_text *lines;
    size_t n;
    int32_t *ids = NULL;
    char *scratch = NULL;
    att_status st = att_gguf_strings(g, "tokenizer.ggml.merges", true, &lines, &n, why);
    if (st)
        return st;
    ids = malloc((3 * n + 1) * sizeof *ids);
    scratch = malloc(PIECE_LIMIT + 1);
    byte_table(of_code);
    if (!ids || !scratch) {
        st = ATT_NO_MEMORY;
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        int32_t id[3];
        if (!parse_merge(x, of_code, lines[i], scratch, id)) {
            att_why_set(why,
                        "%s: key tokenizer.ggml.merges: merge %zu (%.*s) is not two tokens that "
                        "make a third",
                        att_gguf_name(g), i, lines[i].length < 80 ? (int)lines[i].length : 80,
                        lines[i].data);
            st = ATT_CORRUPT;
            goto done;
        }
        for (size_t j = 0; j < 3; j++)
            ids[j * n + i] = id[j];
    }
    t->bpe = att_bpe_make(ids, ids + n, ids + 2 * n, n);
    if (!t->bpe)
        st = ATT_NO_MEMORY;
done:
    free(scratch);
    free(ids);
    free(lines);
    return st;
}

/* Counting sort by first byte, then longest first inside a group. */
static att_status load_special(att_tokenizer *t, const int64_t *types)
{
    size_t n = 0;
    t->special = malloc(((size_t)t->n + 1) * sizeof *t->special);
    if (!t->special)
        return ATT_NO_MEMORY;
    for (int c = 0; c < 256; c++) {
        t->special_at[c] = (uint32_t)n;
        for (int32_t id = 0; types && id < t->n; id++) {
            att_span s = t->pieces[id];
            if ((types[id] != TYPE_CONTROL && types[id] != TYPE_USER) || s.length == 0 ||
                (unsigned char)t->bytes[s.at] != c)
                continue;
            size_t i = n++;
            for (; i > t->special_at[c] && t->pieces[t->special[i - 1]].length < s.length; i--)
                t->special[i] = t->special[i - 1];
            t->special[i] = id;
        }
    }
    t->special_at[256] = (uint32_t)n;
    t->n_special = n;
    return ATT_OK;
}

static att_status load_cut(att_tokenizer *t, att_why *why)
{
    int code;
    PCRE2_SIZE at;
    t->cut = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_UCP, &code,
                           &at, NULL);
    if (!t->cut) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(code, text, sizeof text);
        att_why_set(why, "PCRE2 refuses the pre-tokeniser's pattern: %s", (const char *)text);
        return ATT_FAILED;
    }
    pcre2_jit_compile(t->cut, PCRE2_JIT_COMPLETE); /* without it the pattern is interpreted */
    return ATT_OK;
}

static att_status expect_text(const att_gguf *g, const char *key, const char *want,
                              const char *what, att_why *why)
{
    att_gguf_text text;
    att_status st = att_gguf_string(g, key, true, &text, why);
    if (st || att_gguf_text_is(text, want))
        return st;
    att_why_set(why, "%s: key %s: %s %.*s is not read (only %s)", att_gguf_name(g), key, what,
                text.length < 80 ? (int)text.length : 80, text.data, want);
    return ATT_UNSUPPORTED;
}

static att_status load_id(const att_tokenizer *t, const att_gguf *g, const char *key, bool need,
                          int32_t *out, att_why *why)
{
    int64_t id = -1;
    att_status st = att_gguf_int(g, key, need, &id, why);
    if (!st && (id < -1 || id >= t->n || (need && id < 0))) {
        att_why_set(why, "%s: key %s is %lld, the vocabulary has %d tokens", att_gguf_name(g), key,
                    (long long)id, t->n);
        st = ATT_CORRUPT;
    }
    *out = (int32_t)id;
    return st;
}

static att_status load(att_tokenizer *t, const att_gguf *g, att_why *why)
{
    att_gguf_text *tokens = NULL;
    int64_t *types = NULL;
    size_t n, n_types;
    index_ x = {0};
    bool put_first = false;
    att_status st;
    why->text[0] = 0;
    if ((st = expect_text(g, "tokenizer.ggml.model", "gpt2", "tokeniser", why)) ||
        (st = expect_text(g, "tokenizer.ggml.pre", "smollm", "pre-tokeniser", why)) ||
        (st = att_gguf_strings(g, "tokenizer.ggml.tokens", true, &tokens, &n, why)) ||
        (st = att_gguf_ints(g, "tokenizer.ggml.token_type", false, &types, &n_types, why)))
        goto done;
    if (types && n_types != n) {
        att_why_set(why, "%s: key tokenizer.ggml.token_type has %zu values for %zu tokens",
                    att_gguf_name(g), n_types, n);
        st = ATT_CORRUPT;
        goto done;
    }
    if ((st = load_pieces(t, g, tokens, n, types, why)) || (st = index_make(&x, t, types)) ||
        (st = load_merges(t, g, &x, why)) || (st = load_special(t, types)) ||
        (st = load_cut(t, why)) ||
        (st = load_id(t, g, "tokenizer.ggml.unknown_token_id", false, &t->unknown, why)) ||
        (st = att_gguf_flag(g, "tokenizer.ggml.add_bos_token", false, &put_first, why)))
        goto done;
    t->first = -1;
    if (put_first && (st = load_id(t, g, "tokenizer.ggml.bos_token_id", true, &t->first, why)))
        goto done;
    for (int c = 0; c < 256; c++)
        t->byte_id[c] = *index_slot(&x, (const char[]){(char)c}, 1);
done:
    if (st == ATT_NO_MEMORY && !why->text[0])
        att_why_set(why, "%s: no memory for the tokeniser", att_gguf_name(g));
    free(x.slots);
    free(types);
    free(tokens);
    return st;
}

att_status att_tokenizer_make(const att_gguf *g, att_tokenizer **out, att_why *why)
{
    att_why unasked;
    *out = NULL;
    att_tokenizer *t = calloc(1, sizeof *t);
    if (!t) {
        att_why_set(why, "%s: no memory for the tokeniser", att_gguf_name(g));
        return ATT_NO_MEMORY;
    }
    att_status st = load(t, g, why ? why : &unasked);
    if (st)
        att_tokenizer_drop(t);
    else
        *out = t;
    return st;
}
