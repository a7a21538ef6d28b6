/* SPDX-License-Identifier: Apache-2.0 */
/* A strict scanner (RFC 8259) passes over the text first; cJSON then builds the tree.  The scanner
 * holds the rules that cJSON does not: number grammar, no control characters, no \u0000, paired
 * surrogates, valid UTF-8, depth, nothing after the value. */
#include "json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "str.h"

#define DEPTH 64

typedef struct scan {
    const unsigned char *at, *end;
    const char *error; /* NULL = none yet */
} scan;

static bool fail(scan *s, const char *error)
{
    if (!s->error)
        s->error = error;
    return false;
}

static void blanks(scan *s)
{
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\t' || *s->at == '\n' || *s->at == '\r'))
        s->at++;
}

static bool take(scan *s, char c)
{
    if (s->at < s->end && *s->at == (unsigned char)c) {
        s->at++;
        return true;
    }
    return false;
}

static bool digits(scan *s)
{
    const unsigned char *from = s->at;

    while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
        s->at++;
    return s->at > from || fail(s, "a digit is missing in a number");
}

static bool number(scan *s)
{
    take(s, '-');
    bool zero = take(s, '0');
    if (zero ? s->at < s->end && *s->at >= '0' && *s->at <= '9' : !digits(s))
        return fail(s, "a number starts with a needless 0");
    if (take(s, '.') && !digits(s))
        return false;
    if (take(s, 'e') || take(s, 'E')) {
        if (!take(s, '+'))
            take(s, '-');
        return digits(s);
    }
    return true;
}

/* Four hex digits; -1 if they are not there. */
static long hex4(scan *s)
{
    long x = 0;

    for (int i = 0; i < 4; i++, s->at++) {
        int c = s->at < s->end ? *s->at : 0;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        x = 16 * x + digit;
    }
    return x;
}

static bool escape(scan *s)
{
    int c = s->at < s->end ? *s->at++ : 0;

    if (c != 'u')
        return (c && strchr("\"\\/bfnrt", c)) || fail(s, "unknown escape in a string");
    long x = hex4(s);
    if (x < 0)
        return fail(s, "\\u without four hex digits");
    if (x == 0)
        return fail(s, "a NUL character in a string");
    if (x >= 0xDC00 && x <= 0xDFFF)
        return fail(s, "a low surrogate without its high one");
    if (x >= 0xD800 && x <= 0xDBFF) {
        long low = take(s, '\\') && take(s, 'u') ? hex4(s) : -1;
        if (low < 0xDC00 || low > 0xDFFF)
            return fail(s, "a high surrogate without its low one");
    }
    return true;
}

/* One multi-byte UTF-8 character (RFC 3629: no overlong form, no surrogate, at most U+10FFFF). */
static bool utf8(scan *s)
{
    unsigned char a = *s->at++;
    int more = a >= 0xC2 && a <= 0xDF ? 1 : (a & 0xF0) == 0xE0 ? 2 : a >= 0xF0 && a <= 0xF4 ? 3 : 0;
    unsigned char lo = a == 0xE0 ? 0xA0 : a == 0xF0 ? 0x90 : 0x80;
    unsigned char hi = a == 0xED ? 0x9F : a == 0xF4 ? 0x8F : 0xBF;

    if (!more || s->end - s->at < more || *s->at < lo || *s->at > hi)
        return fail(s, "a string is not valid UTF-8");
    for (int i = 0; i < more; i++)
        if ((*s->at++ & 0xC0) != 0x80)
            return fail(s, "a string is not valid UTF-8");
    return true;
}

static bool string(scan *s)
{
    if (!take(s, '"'))
        return fail(s, "a string is expected");
    while (s->at < s->end) {
        unsigned char c = *s->at;
        if (c == '"') {
            s->at++;
            return true;
        }
        if (c < 0x20)
            return fail(s, "a control character in a string");
        if (c >= 0x80) {
            if (!utf8(s))
                return false;
            continue;
        }
        s->at++;
        if (c == '\\' && !escape(s))
            return false;
    }
    return fail(s, "a string does not end");
}

static bool value(scan *s, int depth);

static bool members(scan *s, int depth, char close)
{
    if (depth >= DEPTH)
        return fail(s, "nesting deeper than 64");
    blanks(s);
    if (take(s, close))
        return true;
    for (;;) {
        blanks(s);
        if (close == '}') {
            if (!string(s))
                return false;
            blanks(s);
            if (!take(s, ':'))
                return fail(s, "':' is expected after a key");
        }
        if (!value(s, depth + 1))
            return false;
        blanks(s);
        if (take(s, close))
            return true;
        if (!take(s, ','))
            return fail(s, close == '}' ? "',' or '}' is expected" : "',' or ']' is expected");
    }
}

static bool word(scan *s, const char *text)
{
    size_t n = strlen(text);

    if ((size_t)(s->end - s->at) < n || memcmp(s->at, text, n) != 0)
        return fail(s, "a value is expected");
    s->at += n;
    return true;
}

static bool value(scan *s, int depth)
{
    blanks(s);
    if (s->at >= s->end)
        return fail(s, "the text ends too early");
    switch (*s->at) {
    case '{':
        s->at++;
        return members(s, depth, '}');
    case '[':
        s->at++;
        return members(s, depth, ']');
    case '"':
        return string(s);
    case 't':
        return word(s, "true");
    case 'f':
        return word(s, "false");
    case 'n':
        return word(s, "null");
    default:
        if (*s->at == '-' || (*s->at >= '0' && *s->at <= '9'))
            return number(s);
        return fail(s, "a value is expected");
    }
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const cJSON *const *)a)->string, (*(const cJSON *const *)b)->string);
}

/* What only the tree shows: repeated keys, numbers that overflow.  NULL = fine; *where: the node.
 */
static const char *check_tree(const cJSON *node, const cJSON **where)
{
    size_t n = 0, i = 0;
    const cJSON **names = NULL;
    const char *error = NULL;

    *where = node;
    if (cJSON_IsNumber(node) && !isfinite(node->valuedouble))
        return "a number beyond the range of a double";
    if (!cJSON_IsObject(node) && !cJSON_IsArray(node))
        return NULL;
    for (const cJSON *c = node->child; c && !error; c = c->next, n++)
        error = check_tree(c, where);
    if (error || n < 2 || !cJSON_IsObject(node))
        return error;
    if (!(names = malloc(n * sizeof *names)))
        return "no memory";
    for (const cJSON *c = node->child; c; c = c->next)
        names[i++] = c;
    qsort(names, n, sizeof *names, by_name);
    for (i = 1; i < n && !error; i++)
        if (by_name(&names[i - 1], &names[i]) == 0) {
            *where = names[i];
            error = "a repeated key";
        }
    free(names);
    return error;
}

static void say_where(const scan *s, const unsigned char *from, const char *name, att_why *why)
{
    size_t line = 1, column = 1;

    for (; from < s->at; from++) {
        column = *from == '\n' ? 1 : column + 1;
        line += *from == '\n';
    }
    att_why_set(why, "%s:%zu:%zu: %s", name, line, column, s->error);
}

att_status att_json_parse(const char *text, size_t length, const char *name, cJSON **out,
                          att_why *why)
{
    const unsigned char *start = (const unsigned char *)text;
    scan s = {.at = start, .end = start + length};
    const cJSON *where = NULL;

    if (value(&s, 0)) {
        blanks(&s);
        if (s.at < s.end)
            fail(&s, "text after the value");
    }
    if (s.error) {
        say_where(&s, start, name, why);
        return ATT_CORRUPT;
    }
    cJSON *tree = cJSON_ParseWithLength(text, length);
    if (!tree) {
        att_why_set(why, "%s: no memory for its JSON", name);
        return ATT_NO_MEMORY;
    }
    const char *error = check_tree(tree, &where);
    if (error) {
        att_why_set(why, "%s:%zu: %s%s%.80s", name, att_json_line(text, length, tree, where), error,
                    where->string ? ": " : "", where->string ? where->string : "");
        cJSON_Delete(tree);
        return ATT_CORRUPT;
    }
    *out = tree;
    return ATT_OK;
}

att_status att_json_read(const char *path, size_t limit, cJSON **out, att_why *why)
{
    size_t length = 0;
    char *text = att_file_read(path, limit, &length);

    if (!text) {
        if (errno == EFBIG)
            att_why_set(why, "%s: longer than %zu bytes", path, limit);
        else
            att_why_set(why, "%s: %s", path, strerror(errno));
        return errno == EFBIG ? ATT_CORRUPT : ATT_IO;
    }
    att_status status = att_json_parse(text, length, path, out, why);
    free(text);
    return status;
}

/* Steps over the text of `at`, a node of the parsed tree, until it comes to `node`: true. */
static bool walk_to(scan *s, const cJSON *at, const cJSON *node, int depth)
{
    const bool object = cJSON_IsObject(at);
    blanks(s);
    if (at == node)
        return true;
    if (!object && !cJSON_IsArray(at)) {
        value(s, depth);
        return false;
    }
    s->at++;
    for (const cJSON *c = at->child; c && !s->error; c = c->next) {
        blanks(s);
        if (object && string(s)) {
            blanks(s);
            take(s, ':');
        }
        if (walk_to(s, c, node, depth + 1))
            return true;
        blanks(s);
        take(s, ',');
    }
    blanks(s);
    s->at += s->at < s->end;
    return false;
}

size_t att_json_line(const char *text, size_t length, const cJSON *root, const cJSON *node)
{
    scan s = {.at = (const unsigned char *)text, .end = (const unsigned char *)text + length};
    size_t line = 1;

    if (!walk_to(&s, root, node, 0) || s.error)
        return 0;
    for (; (const unsigned char *)text < s.at; text++)
        line += *text == '\n';
    return line;
}

const cJSON *att_json_get(const cJSON *object, const char *key)
{
    return cJSON_IsObject(object) ? cJSON_GetObjectItemCaseSensitive(object, key) : NULL;
}

bool att_json_text(const cJSON *object, const char *key, const char **out)
{
    const cJSON *x = att_json_get(object, key);

    if (!cJSON_IsString(x))
        return false;
    *out = x->valuestring;
    return true;
}

bool att_json_number(const cJSON *node, double *out)
{
    const char *name = NULL;

    if (cJSON_IsNumber(node)) {
        *out = node->valuedouble;
        return true;
    }
    if (!att_json_text(node, "nonfinite", &name))
        return false;
    if (strcmp(name, "nan") == 0)
        *out = NAN;
    else if (strcmp(name, "inf") == 0)
        *out = INFINITY;
    else if (strcmp(name, "-inf") == 0)
        *out = -INFINITY;
    else
        return false;
    return true;
}

bool att_json_real(const cJSON *object, const char *key, double *out)
{
    return att_json_number(att_json_get(object, key), out);
}

bool att_json_int(const cJSON *object, const char *key, int64_t *out)
{
    const cJSON *x = att_json_get(object, key);

    if (!cJSON_IsNumber(x) || x->valuedouble != floor(x->valuedouble) ||
        fabs(x->valuedouble) > 0x1p53)
        return false;
    *out = (int64_t)x->valuedouble;
    return true;
}

/* Bytes that are no UTF-8 (a token's piece, a plugin's message) become U+FFFD. */
void att_json_put_text(FILE *f, const char *text)
{
    const unsigned char *c = (const unsigned char *)text, *end = c + strlen(text);

    fputc('"', f);
    while (c < end) {
        scan s = {.at = c, .end = end};
        if (*c >= 0x80) {
            if (utf8(&s))
                fwrite(c, 1, (size_t)(s.at - c), f);
            else
                fputs("\\ufffd", f);
            c = s.error ? c + 1 : s.at;
            continue;
        }
        if (*c == '"' || *c == '\\')
            fprintf(f, "\\%c", *c);
        else if (*c == '\n')
            fputs("\\n", f);
        else if (*c == '\t')
            fputs("\\t", f);
        else if (*c < 0x20 || *c == 0x7f)
            fprintf(f, "\\u%04x", *c);
        else
            fputc(*c, f);
        c++;
    }
    fputc('"', f);
}

void att_json_put_real(FILE *f, double x)
{
    if (isnan(x))
        fputs("{\"nonfinite\": \"nan\"}", f);
    else if (isinf(x))
        fprintf(f, "{\"nonfinite\": \"%s\"}", x > 0 ? "inf" : "-inf");
    else {
        char text[40];
        int digits = 15; /* what every decimal of so many digits survives */
        do
            snprintf(text, sizeof text, "%.*g", digits, x);
        while (digits++ < 17 && strtod(text, NULL) != x);
        fputs(text, f);
    }
}
