/* SPDX-License-Identifier: Apache-2.0 */
/* Write-ahead log, synchronous FULL: a committed row is on the disk.  Commits cost a sync each, so
 * rows share one; what a crash can lose is at most the last 200 ms, and those cases run again.
 *
 * A row says nothing twice: the stamp is a number into a table of its own, the record is printed
 * beside what the plan knows of its case, and the one index holds 64-bit hashes of line and stamp
 * (of a million rows two are alike with a chance of 3e-8; the second would be refused, not lost).
 */
#include "journal.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/str.h"
#include "core/record.h"

#define BATCH_SECONDS 0.2
#define BATCH_ROWS    256

struct att_journal {
    sqlite3 *db;
    sqlite3_stmt *put, *get;
    char *path, *stamp;
    int64_t count, stamp_at; /* its row of stamps */
    bool open;               /* a transaction */
    double since;
    int rows;
};

static att_status failed(const att_journal *j, att_why *why)
{
    int code = sqlite3_errcode(j->db) & 0xff;

    att_why_set(why, "%s: %s", j->path, sqlite3_errmsg(j->db));
    return code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? ATT_CORRUPT
           : code == SQLITE_NOMEM                          ? ATT_NO_MEMORY
                                                           : ATT_IO;
}

static att_status run_sql(att_journal *j, const char *sql, att_why *why)
{
    return sqlite3_exec(j->db, sql, NULL, NULL, NULL) == SQLITE_OK ? ATT_OK : failed(j, why);
}

/* The first column of a query's first row, "" if there is none; *text is free()d by the caller. */
static att_status ask(att_journal *j, const char *sql, char **text, att_why *why)
{
    sqlite3_stmt *s = NULL;
    att_status st = ATT_OK;

    *text = NULL;
    if (sqlite3_prepare_v2(j->db, sql, -1, &s, NULL) != SQLITE_OK)
        return failed(j, why);
    int code = sqlite3_step(s);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        st = failed(j, why);
    } else {
        const unsigned char *value = code == SQLITE_ROW ? sqlite3_column_text(s, 0) : NULL;
        if (!(*text = strdup(value ? (const char *)value : ""))) {
            att_why_set(why, "%s: no memory", j->path);
            st = ATT_NO_MEMORY;
        }
    }
    sqlite3_finalize(s);
    return st;
}

/* Refuses with `what` where the answer to `sql` is not `expected`. */
static att_status demand(att_journal *j, const char *sql, const char *expected, const char *what,
                         att_why *why)
{
    char *got = NULL;
    att_status st = ask(j, sql, &got, why);

    if (!st && strcmp(got, expected) != 0) {
        att_why_set(why, "%s: %s: %.300s", j->path, what, got);
        st = ATT_CORRUPT;
    }
    free(got);
    return st;
}

static bool remove_one(const char *path, const char *suffix, att_why *why)
{
    att_buf name = {0};

    att_buf_printf(&name, "%s%s", path, suffix);
    bool gone = !name.failed && (unlink(name.data) == 0 || errno == ENOENT);
    if (!gone)
        att_why_set(why, "%s%s: %s", path, suffix, strerror(name.failed ? ENOMEM : errno));
    att_buf_drop(&name);
    return gone;
}

static bool bind_text(sqlite3_stmt *s, int at, const char *text, size_t length)
{
    return sqlite3_bind_text64(s, at, text, length, SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK;
}

/* What ties two texts to each other. */
static int64_t pair_hash(const char *one, const char *text, size_t length)
{
    uint64_t h = att_hash64(one, strlen(one)) ^ (att_hash64(text, length) * 0x9E3779B97F4A7C15u);
    int64_t bits;

    memcpy(&bits, &h, sizeof bits);
    return bits;
}

static int64_t key_of(const char *line, const char *stamp)
{
    return pair_hash(line, stamp, strlen(stamp));
}

/* Counts the rows; CORRUPT at the first whose line or record is not what was written: the integrity
 * check of SQLite sees pages, not a flipped bit in a text. */
static att_status check_rows(att_journal *j, att_why *why)
{
    sqlite3_stmt *s = NULL;
    att_status st = ATT_OK;
    int code;

    if (sqlite3_prepare_v2(j->db,
                           "SELECT line, record, hash, cases.key, stamps.stamp FROM cases "
                           "LEFT JOIN stamps ON stamps.id = cases.stamp",
                           -1, &s, NULL) != SQLITE_OK)
        return failed(j, why);
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        const char *line = (const char *)sqlite3_column_text(s, 0);
        const char *text = (const char *)sqlite3_column_text(s, 1);
        const char *stamp = (const char *)sqlite3_column_text(s, 4);
        if (!line || !text || !stamp || key_of(line, stamp) != sqlite3_column_int64(s, 3) ||
            pair_hash(line, text, (size_t)sqlite3_column_bytes(s, 1)) !=
                sqlite3_column_int64(s, 2)) {
            att_why_set(why, "%s: the row of '%.300s' is damaged", j->path, line ? line : "?");
            st = ATT_CORRUPT;
            break;
        }
        j->count++;
    }
    if (!st && code != SQLITE_DONE)
        st = failed(j, why);
    sqlite3_finalize(s);
    return st;
}

/* The stamp's number, new or not. */
static att_status find_stamp(att_journal *j, att_why *why)
{
    static const char *const sql[] = {"INSERT OR IGNORE INTO stamps (stamp) VALUES (?)",
                                      "SELECT id FROM stamps WHERE stamp = ?"};
    att_status st = ATT_OK;

    for (size_t i = 0; i < sizeof sql / sizeof *sql && !st; i++) {
        sqlite3_stmt *s = NULL;
        if (sqlite3_prepare_v2(j->db, sql[i], -1, &s, NULL) != SQLITE_OK ||
            !bind_text(s, 1, j->stamp, strlen(j->stamp)) ||
            sqlite3_step(s) != (i ? SQLITE_ROW : SQLITE_DONE))
            st = failed(j, why);
        else if (i)
            j->stamp_at = sqlite3_column_int64(s, 0);
        sqlite3_finalize(s);
    }
    return st;
}

/* The tables of a new file; CORRUPT where the file is another version's. */
static att_status make_tables(att_journal *j, att_why *why)
{
    char *tables = NULL;
    att_status st = ask(j, "SELECT name FROM sqlite_master WHERE type = 'table'", &tables, why);

    if (st)
        return st;
    if (*tables == '\0')
        st = run_sql(j,
                     "BEGIN;"
                     "CREATE TABLE stamps (id INTEGER PRIMARY KEY, stamp TEXT NOT NULL UNIQUE);"
                     "CREATE TABLE cases (key INTEGER NOT NULL UNIQUE, line TEXT NOT NULL, "
                     "stamp INTEGER NOT NULL REFERENCES stamps (id), status TEXT NOT NULL, "
                     "record TEXT NOT NULL, hash INTEGER NOT NULL);"
                     "PRAGMA user_version = 2;"
                     "COMMIT",
                     why);
    free(tables);
    return st ? st : demand(j, "PRAGMA user_version", "2", "the journal of another version", why);
}

static bool prepare_get(att_journal *j)
{
    return sqlite3_prepare_v2(j->db, "SELECT record, hash FROM cases WHERE key = ? AND line = ?",
                              -1, &j->get, NULL) == SQLITE_OK;
}

static att_status prepare(att_journal *j, bool resume, att_why *why)
{
    att_status st;

    if ((st = run_sql(j, "PRAGMA locking_mode = EXCLUSIVE", why)) ||
        (st = run_sql(j, "PRAGMA journal_mode = WAL", why)) ||
        (st = run_sql(j, "PRAGMA synchronous = FULL", why)))
        return st;
    if (resume &&
        (st = demand(j, "PRAGMA integrity_check", "ok", "the integrity check found", why)))
        return st;
    if ((st = make_tables(j, why)) || (resume && (st = check_rows(j, why))) ||
        (st = find_stamp(j, why)))
        return st;
    if (sqlite3_prepare_v2(j->db,
                           "INSERT INTO cases (key, line, stamp, status, record, hash) "
                           "VALUES (?,?,?,?,?,?)",
                           -1, &j->put, NULL) != SQLITE_OK ||
        !prepare_get(j))
        return failed(j, why);
    return ATT_OK;
}

att_status att_journal_open(const char *path, bool resume, const char *stamp, att_journal **out,
                            att_why *why)
{
    att_journal *j = calloc(1, sizeof *j);
    att_status st = ATT_NO_MEMORY;

    if (!j || !(j->path = strdup(path)) || !(j->stamp = strdup(stamp))) {
        att_why_set(why, "%s: no memory", path);
        goto done;
    }
    st = ATT_IO;
    if (!resume && (!remove_one(path, "", why) || !remove_one(path, "-wal", why) ||
                    !remove_one(path, "-shm", why)))
        goto done;
    if (sqlite3_open_v2(path, &j->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL) !=
        SQLITE_OK) {
        att_why_set(why, "%s: %s", path, j->db ? sqlite3_errmsg(j->db) : "no memory");
        goto done;
    }
    st = prepare(j, resume, why);
done:
    if (st)
        att_journal_close(j);
    else
        *out = j;
    return st;
}

/* A file's path as a URI of SQLite's. */
static bool uri_of(const char *path, att_buf *out)
{
    att_buf_puts(out, "file:");
    for (const char *c = path; *c; c++)
        if (strchr("%?#", *c))
            att_buf_printf(out, "%%%02x", (unsigned)(unsigned char)*c);
        else
            att_buf_add(out, c, 1);
    att_buf_puts(out, "?immutable=1");
    return !out->failed;
}

att_status att_journal_read(const char *path, const char *stamp, att_journal **out, att_why *why)
{
    att_journal *j = calloc(1, sizeof *j);
    att_buf name = {0};
    struct stat log;
    att_status st = ATT_NO_MEMORY;

    att_buf_printf(&name, "%s-wal", path);
    const bool left = !name.failed && stat(name.data, &log) == 0 && log.st_size > 0;
    att_buf_drop(&name);
    if (!j || !(j->path = strdup(path)) || !(j->stamp = strdup(stamp)) || !uri_of(path, &name)) {
        att_why_set(why, "%s: no memory", path);
        goto done;
    }
    st = ATT_IO;
    if (left) {
        att_why_set(why, "%s: in use, or left by a run that was killed: resume it first", path);
        goto done;
    }
    if (sqlite3_open_v2(name.data, &j->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) !=
        SQLITE_OK) {
        att_why_set(why, "%s: %s", path, j->db ? sqlite3_errmsg(j->db) : "no memory");
        goto done;
    }
    st = demand(j, "PRAGMA user_version", "2", "the journal of another version", why);
    if (!st && !prepare_get(j))
        st = failed(j, why);
done:
    att_buf_drop(&name);
    if (st)
        att_journal_close(j);
    else
        *out = j;
    return st;
}

att_status att_journal_flush(att_journal *j, att_why *why)
{
    att_status st = j->open ? run_sql(j, "COMMIT", why) : ATT_OK;

    if (!st) {
        j->open = false;
        j->rows = 0;
    }
    return st;
}

att_status att_journal_tick(att_journal *j, att_why *why)
{
    bool due = j->open && (j->rows >= BATCH_ROWS || att_clock_now() - j->since >= BATCH_SECONDS);

    return due ? att_journal_flush(j, why) : ATT_OK;
}

static att_status insert(att_journal *j, const char *line, const char *status, const char *text,
                         size_t length, att_why *why)
{
    att_status st = ATT_OK;

    if (sqlite3_bind_int64(j->put, 1, key_of(line, j->stamp)) != SQLITE_OK ||
        !bind_text(j->put, 2, line, strlen(line)) ||
        sqlite3_bind_int64(j->put, 3, j->stamp_at) != SQLITE_OK ||
        !bind_text(j->put, 4, status, strlen(status)) || !bind_text(j->put, 5, text, length) ||
        sqlite3_bind_int64(j->put, 6, pair_hash(line, text, length)) != SQLITE_OK) {
        st = failed(j, why);
        goto done;
    }
    int code = sqlite3_step(j->put);
    if (code == SQLITE_CONSTRAINT) {
        att_why_set(why, "%s: '%.400s' is there already", j->path, line);
        st = ATT_INVALID;
    } else if (code != SQLITE_DONE) {
        st = failed(j, why);
    }
done:
    sqlite3_reset(j->put);
    sqlite3_clear_bindings(j->put);
    return st;
}

att_status att_journal_put(att_journal *j, const char *line, const att_record *base,
                           const att_record *r, att_why *why)
{
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);
    att_status st = ATT_NO_MEMORY;

    if (!f) {
        att_why_set(why, "%s: no memory", j->path);
        return st;
    }
    att_record_print_beside(r, base, f);
    if (fclose(f) != 0) {
        att_why_set(why, "%s: no memory", j->path);
        goto done;
    }
    if (!j->open) {
        if ((st = run_sql(j, "BEGIN IMMEDIATE", why)))
            goto done;
        j->open = true;
        j->rows = 0;
        j->since = att_clock_now();
    }
    if ((st = insert(j, line, att_outcome_name(r->status), text, length, why)))
        goto done;
    j->rows++;
    j->count++;
    st = att_journal_tick(j, why);
done:
    free(text);
    return st;
}

att_status att_journal_get(att_journal *j, const char *line, const att_record *base,
                           att_record *out, bool *found, att_why *why)
{
    cJSON *tree = NULL;
    att_status st = ATT_OK;
    att_why inner = {""};

    *found = false;
    if (sqlite3_bind_int64(j->get, 1, key_of(line, j->stamp)) != SQLITE_OK ||
        !bind_text(j->get, 2, line, strlen(line)))
        return failed(j, why);
    int code = sqlite3_step(j->get);
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(j->get, 0);
        size_t length = (size_t)sqlite3_column_bytes(j->get, 0);
        if (!text || pair_hash(line, text, length) != sqlite3_column_int64(j->get, 1)) {
            att_why_set(&inner, "the row of '%.300s' is damaged", line);
            st = ATT_CORRUPT;
        }
        if (!st)
            st = att_json_parse(text, length, "row", &tree, &inner);
        if (!st && !(st = att_record_parse_beside(tree, base, out, &inner)))
            *found = true;
        if (st)
            att_why_set(why, "%s: %.450s", j->path, inner.text);
    } else if (code != SQLITE_DONE) {
        st = failed(j, why);
    }
    cJSON_Delete(tree);
    sqlite3_reset(j->get);
    sqlite3_clear_bindings(j->get);
    return st;
}

int64_t att_journal_count(const att_journal *j)
{
    return j->count;
}

void att_journal_close(att_journal *j)
{
    if (!j)
        return;
    att_journal_flush(j, NULL);
    sqlite3_finalize(j->put);
    sqlite3_finalize(j->get);
    sqlite3_close(j->db);
    free(j->path);
    free(j->stamp);
    free(j);
}
