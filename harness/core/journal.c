/* SPDX-License-Identifier: Apache-2.0 */
/* Write-ahead log, synchronous FULL: a committed row is on the disk.  Commits cost a sync each, so
 * rows share one; what a crash can lose is at most the last 200 ms, and those cases run again. */
#include "journal.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
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
    char *path;
    int64_t count;
    bool open; /* a transaction */
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

/* What ties a row to its key: the integrity check of SQLite sees pages, not a flipped bit in a
 * text.
 */
static int64_t row_hash(const char *key, const char *text, size_t length)
{
    uint64_t h = att_hash64(key, strlen(key)) ^ (att_hash64(text, length) * 0x9E3779B97F4A7C15u);
    int64_t bits;

    memcpy(&bits, &h, sizeof bits);
    return bits;
}

/* Counts the rows; CORRUPT at the first whose hash is not that of its text. */
static att_status check_rows(att_journal *j, att_why *why)
{
    sqlite3_stmt *s = NULL;
    att_status st = ATT_OK;
    int code;

    if (sqlite3_prepare_v2(j->db, "SELECT key, record, hash FROM cases", -1, &s, NULL) != SQLITE_OK)
        return failed(j, why);
    while ((code = sqlite3_step(s)) == SQLITE_ROW) {
        const char *key = (const char *)sqlite3_column_text(s, 0);
        const char *text = (const char *)sqlite3_column_text(s, 1);
        if (!key || !text ||
            row_hash(key, text, (size_t)sqlite3_column_bytes(s, 1)) != sqlite3_column_int64(s, 2)) {
            att_why_set(why, "%s: the row of '%.300s' is damaged", j->path, key ? key : "?");
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

static att_status prepare(att_journal *j, bool resume, att_why *why)
{
    char *tables = NULL;
    bool fresh = false;
    att_status st;

    if ((st = run_sql(j, "PRAGMA locking_mode = EXCLUSIVE", why)) ||
        (st = run_sql(j, "PRAGMA journal_mode = WAL", why)) ||
        (st = run_sql(j, "PRAGMA synchronous = FULL", why)))
        return st;
    if (resume &&
        (st = demand(j, "PRAGMA integrity_check", "ok", "the integrity check found", why)))
        return st;
    if ((st = ask(j, "SELECT name FROM sqlite_master WHERE type = 'table'", &tables, why)))
        return st;
    fresh = *tables == '\0';
    free(tables);
    if (fresh && (st = run_sql(j,
                               "BEGIN;"
                               "CREATE TABLE cases (key TEXT PRIMARY KEY NOT NULL, "
                               "id TEXT NOT NULL, status TEXT NOT NULL, record TEXT NOT NULL, "
                               "hash INTEGER NOT NULL);"
                               "PRAGMA user_version = 1;"
                               "COMMIT",
                               why)))
        return st;
    if ((st = demand(j, "PRAGMA user_version", "1", "the journal of another version", why)))
        return st;
    if (sqlite3_prepare_v2(j->db,
                           "INSERT INTO cases (key, id, status, record, hash) "
                           "VALUES (?,?,?,?,?)",
                           -1, &j->put, NULL) != SQLITE_OK ||
        sqlite3_prepare_v2(j->db, "SELECT record, hash FROM cases WHERE key = ?", -1, &j->get,
                           NULL) != SQLITE_OK)
        return failed(j, why);
    return resume ? check_rows(j, why) : ATT_OK;
}

att_status att_journal_open(const char *path, bool resume, att_journal **out, att_why *why)
{
    att_journal *j = calloc(1, sizeof *j);
    att_status st = ATT_NO_MEMORY;

    if (!j || !(j->path = strdup(path))) {
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

static bool bind_text(sqlite3_stmt *s, int at, const char *text, size_t length)
{
    return sqlite3_bind_text64(s, at, text, length, SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK;
}

static att_status insert(att_journal *j, const char *key, const att_record *r, const char *text,
                         size_t length, att_why *why)
{
    const char *id = r->id ? r->id : "", *status = att_outcome_name(r->status);
    att_status st = ATT_OK;

    if (!bind_text(j->put, 1, key, strlen(key)) || !bind_text(j->put, 2, id, strlen(id)) ||
        !bind_text(j->put, 3, status, strlen(status)) || !bind_text(j->put, 4, text, length) ||
        sqlite3_bind_int64(j->put, 5, row_hash(key, text, length)) != SQLITE_OK) {
        st = failed(j, why);
        goto done;
    }
    int code = sqlite3_step(j->put);
    if (code == SQLITE_CONSTRAINT) {
        att_why_set(why, "%s: '%.400s' is there already", j->path, key);
        st = ATT_INVALID;
    } else if (code != SQLITE_DONE) {
        st = failed(j, why);
    }
done:
    sqlite3_reset(j->put);
    sqlite3_clear_bindings(j->put);
    return st;
}

att_status att_journal_put(att_journal *j, const char *key, const att_record *r, att_why *why)
{
    char *text = NULL;
    size_t length = 0;
    FILE *f = open_memstream(&text, &length);
    att_status st = ATT_NO_MEMORY;

    if (!f) {
        att_why_set(why, "%s: no memory", j->path);
        return st;
    }
    att_record_print(r, f);
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
    if ((st = insert(j, key, r, text, length, why)))
        goto done;
    j->rows++;
    j->count++;
    st = att_journal_tick(j, why);
done:
    free(text);
    return st;
}

att_status att_journal_get(att_journal *j, const char *key, att_record *out, bool *found,
                           att_why *why)
{
    cJSON *tree = NULL;
    att_status st = ATT_OK;
    att_why inner = {""};

    *found = false;
    if (!bind_text(j->get, 1, key, strlen(key)))
        return failed(j, why);
    int code = sqlite3_step(j->get);
    if (code == SQLITE_ROW) {
        const char *text = (const char *)sqlite3_column_text(j->get, 0);
        size_t length = (size_t)sqlite3_column_bytes(j->get, 0);
        if (!text || row_hash(key, text, length) != sqlite3_column_int64(j->get, 1)) {
            att_why_set(&inner, "the row of '%.300s' is damaged", key);
            st = ATT_CORRUPT;
        }
        if (!st)
            st = att_json_parse(text, length, "row", &tree, &inner);
        if (!st && !(st = att_record_parse(tree, out, &inner)))
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
    free(j);
}
