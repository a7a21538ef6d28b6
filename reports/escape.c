/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdint.h>
#include <string.h>

#include "reports/escape.h"

/* Length of the well-formed UTF-8 character at s (Unicode table 3-7); 0 if it is broken. */
static size_t utf8_length(const unsigned char *s)
{
    if (s[0] < 0x80)
        return 1;
    if (s[0] >= 0xc2 && s[0] <= 0xdf)
        return (s[1] & 0xc0) == 0x80 ? 2 : 0;
    if (s[0] >= 0xe0 && s[0] <= 0xef) {
        unsigned char low = s[0] == 0xe0 ? 0xa0 : 0x80, high = s[0] == 0xed ? 0x9f : 0xbf;
        return s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80 ? 3 : 0;
    }
    if (s[0] >= 0xf0 && s[0] <= 0xf4) {
        unsigned char low = s[0] == 0xf0 ? 0x90 : 0x80, high = s[0] == 0xf4 ? 0x8f : 0xbf;
        bool good = s[1] >= low && s[1] <= high && (s[2] & 0xc0) == 0x80;
        return good && (s[3] & 0xc0) == 0x80 ? 4 : 0;
    }
    return 0;
}

void att_xml_put(att_buf *out, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = utf8_length(s);
        bool nonchar = n == 3 && s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe;
        bool control = n == 1 && s[0] < 0x20 && s[0] != '\t' && s[0] != '\n' && s[0] != '\r';

        if (n == 0 || nonchar || control)
            att_buf_puts(out, "\xef\xbf\xbd");
        else if (*s == '&')
            att_buf_puts(out, "&amp;");
        else if (*s == '<')
            att_buf_puts(out, "&lt;");
        else if (*s == '>')
            att_buf_puts(out, "&gt;");
        else if (*s == '"')
            att_buf_puts(out, "&quot;");
        else if (*s == '\t' || *s == '\n' || *s == '\r')
            att_buf_printf(out, "&#%d;", *s);
        else
            att_buf_add(out, (const char *)s, n);
        s += n ? n : 1;
    }
}

/* A character on one line of Markdown: controls and broken UTF-8 as a space and U+FFFD. */
static size_t put_plain(att_buf *out, const unsigned char *s)
{
    size_t n = utf8_length(s);

    if (n == 0)
        att_buf_puts(out, "\xef\xbf\xbd");
    else if (n == 1 && (s[0] < 0x20 || s[0] == 0x7f))
        att_buf_puts(out, " ");
    else
        att_buf_add(out, (const char *)s, n);
    return n ? n : 1;
}

void att_md_put(att_buf *out, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        if (*s == '<' || *s == '>' || *s == '&') {
            att_buf_puts(out, *s == '<' ? "&lt;" : *s == '>' ? "&gt;" : "&amp;");
            s++;
            continue;
        }
        if (strchr("\\`*_{}[]()#+!|~$@", *s))
            att_buf_puts(out, "\\");
        s += put_plain(out, s);
    }
}

/* The longest run of backticks. */
static size_t longest_run(const char *text)
{
    size_t longest = 0, run = 0;

    for (; *text; text++) {
        run = *text == '`' ? run + 1 : 0;
        longest = run > longest ? run : longest;
    }
    return longest;
}

void att_md_code(att_buf *out, const char *text, bool in_table)
{
    size_t fence = longest_run(text) + 1;
    const char *pad = fence > 1 || !*text || text[0] == ' ' ? " " : "";

    for (size_t i = 0; i < fence; i++)
        att_buf_puts(out, "`");
    att_buf_puts(out, pad);
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        if (*s == '|' && in_table)
            att_buf_puts(out, "\\");
        s += put_plain(out, s);
    }
    att_buf_puts(out, pad);
    for (size_t i = 0; i < fence; i++)
        att_buf_puts(out, "`");
}

void att_shell_put(att_buf *out, const char *text)
{
    att_buf_puts(out, "'");
    for (; *text; text++)
        if (*text == '\'')
            att_buf_puts(out, "'\\''");
        else
            att_buf_add(out, text, 1);
    att_buf_puts(out, "'");
}

void att_gnuplot_put(att_buf *out, const char *text)
{
    att_buf_puts(out, "'");
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        if (*s == '\'')
            att_buf_puts(out, "'");
        s += put_plain(out, s);
    }
    att_buf_puts(out, "'");
}

void att_tsv_put(att_buf *out, const char *text)
{
    for (const unsigned char *s = (const unsigned char *)text; *s;)
        if (*s == '"') {
            att_buf_puts(out, " ");
            s++;
        } else {
            s += put_plain(out, s);
        }
}

void att_csv_put(att_buf *out, const char *text)
{
    bool quoted = strpbrk(text, ",\"\r\n") != NULL;

    att_buf_puts(out, quoted ? "\"" : "");
    if (*text && strchr("=+-@\t\r", *text))
        att_buf_puts(out, "'");
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        size_t n = utf8_length(s);
        if (*s == '"')
            att_buf_puts(out, "\"");
        if (n == 0)
            att_buf_puts(out, "\xef\xbf\xbd");
        else
            att_buf_add(out, (const char *)s, n);
        s += n ? n : 1;
    }
    att_buf_puts(out, quoted ? "\"" : "");
}

void att_slug_put(att_buf *out, const char *text)
{
    size_t n = 0;
    bool gap = false;

    for (; *text && n < 80; text++) {
        unsigned char c = (unsigned char)*text;
        bool keep = c < 0x80 && (isalnum(c) || c == '_' || ((c == '-' || c == '.') && n > 0));
        if (!keep) {
            gap = n > 0;
            continue;
        }
        if (gap)
            att_buf_puts(out, "-");
        att_buf_add(out, text, 1);
        n += gap ? 2 : 1;
        gap = false;
    }
    if (n == 0)
        att_buf_puts(out, "unnamed");
}
