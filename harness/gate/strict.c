/* SPDX-License-Identifier: Apache-2.0 */
#include "gate/strict.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"

att_status att_strict_bad(const att_strict *s, const cJSON *node, const char *format, ...)
{
    char said[400];
    va_list args;

    va_start(args, format);
    vsnprintf(said, sizeof said, format, args);
    va_end(args);
    att_why_set(s->why, "%s:%zu: %s", s->name, att_json_line(s->text, s->length, s->root, node),
                said);
    return ATT_CORRUPT;
}

att_status att_strict_file(const char *path, size_t limit, char **text, size_t *length,
                           att_why *why)
{
    if ((*text = att_file_read(path, limit, length)))
        return ATT_OK;
    att_why_set(why, "%s: %s", path, strerror(errno));
    return errno == EFBIG ? ATT_CORRUPT : ATT_IO;
}

static att_status check_version(const att_strict *s, const char *what, int major)
{
    const cJSON *node = att_json_get(s->root, "schema_version");
    const char *text = cJSON_IsString(node) ? node->valuestring : "";
    char *end = NULL;

    if (!cJSON_IsObject(s->root) || !node)
        return att_strict_bad(s, s->root, "none of %s: \"schema_version\" is missing", what);
    if (*text < '0' || *text > '9' || strtol(text, &end, 10) != major || *end != '.')
        return att_strict_bad(s, node, "schema version \"%.40s\"; this attest reads %s of %d.x",
                              text, what, major);
    return ATT_OK;
}

att_status att_strict_open(const char *text, size_t length, const char *name, const char *what,
                           int major, att_strict *out, att_why *why)
{
    *out = (att_strict){.name = name, .text = text, .length = length, .why = why};
    att_status status = att_json_parse(text, length, name, &out->root, why);

    if (status == ATT_OK && (status = check_version(out, what, major)) != ATT_OK)
        att_strict_close(out);
    return status;
}

void att_strict_close(att_strict *s)
{
    cJSON_Delete(s->root);
    s->root = NULL;
}

static const char *const expected[] = {
    [ATT_STRICT_TEXT] = "a text that is not empty",
    [ATT_STRICT_REAL] = "a number",
    [ATT_STRICT_WHOLE] = "an integer",
    [ATT_STRICT_FLAG] = "true or false",
    [ATT_STRICT_LIST] = "a list",
    [ATT_STRICT_OBJECT] = "an object",
};

/* false: the node is of another type. */
static bool take(const cJSON *object, const cJSON *node, const att_strict_member *m)
{
    switch (m->type) {
    case ATT_STRICT_TEXT:
        return att_json_text(object, m->key, (const char **)m->out) && *node->valuestring;
    case ATT_STRICT_REAL:
        if (!cJSON_IsNumber(node) || !isfinite(node->valuedouble))
            return false;
        *(double *)m->out = node->valuedouble;
        return true;
    case ATT_STRICT_WHOLE:
        return att_json_int(object, m->key, m->out);
    case ATT_STRICT_FLAG:
        *(bool *)m->out = cJSON_IsTrue(node);
        return cJSON_IsBool(node);
    case ATT_STRICT_LIST:
        *(const cJSON **)m->out = node;
        return cJSON_IsArray(node);
    case ATT_STRICT_OBJECT:
        *(const cJSON **)m->out = node;
        return cJSON_IsObject(node);
    default:
        *(const cJSON **)m->out = node;
        return true;
    }
}

static bool knows(const att_strict_member *members, const char *key)
{
    for (; members->key; members++)
        if (strcmp(members->key, key) == 0)
            return true;
    return false;
}

att_status att_strict_read(const att_strict *s, const cJSON *object,
                           const att_strict_member *members)
{
    if (!cJSON_IsObject(object))
        return att_strict_bad(s, object, "an object is expected");
    for (const cJSON *c = object->child; c; c = c->next)
        if (!knows(members, c->string))
            return att_strict_bad(s, c, "\"%.80s\" is unknown here", c->string);
    for (const att_strict_member *m = members; m->key; m++) {
        const cJSON *node = att_json_get(object, m->key);
        if (!node && m->needed)
            return att_strict_bad(s, object, "\"%s\" is missing", m->key);
        if (node && !take(object, node, m))
            return att_strict_bad(s, node, "\"%s\" is not %s", m->key, expected[m->type]);
    }
    return ATT_OK;
}
