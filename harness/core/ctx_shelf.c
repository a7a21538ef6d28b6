/* SPDX-License-Identifier: Apache-2.0 */
/* The objects that the cases of a group, or of a run, share in one worker. */
#include <stdlib.h>
#include <string.h>

#include "ctx_own.h"

typedef struct att_shelf_object {
    struct att_shelf_object *next;
    char *key;
    void *object;
    void (*drop)(void *object);
} att_shelf_object;

void att_shelf_keep(att_shelf *shelf, const char *group)
{
    if (group && shelf->group && strcmp(group, shelf->group) == 0)
        return;
    for (att_shelf_object **at = &shelf->first; *at;) {
        att_shelf_object *o = *at;
        if (group && strncmp(o->key, "run:", 4) == 0) {
            at = &o->next;
            continue;
        }
        *at = o->next;
        if (o->drop)
            o->drop(o->object);
        free(o->key);
        free(o);
    }
    free(shelf->group);
    shelf->group = group ? strdup(group) : NULL;
}

att_status att_ctx_shared(att_ctx *x, const char *key, att_shared_make make, void *arg,
                          void (*drop)(void *object), void **out)
{
    void *object = NULL;

    *out = NULL;
    for (att_shelf_object *o = x->shelf->first; o; o = o->next)
        if (strcmp(o->key, key) == 0) {
            *out = o->object;
            return ATT_OK;
        }
    att_status status = make(x, arg, &object);
    if (status != ATT_OK)
        return status;
    att_shelf_object *o = malloc(sizeof *o);
    char *name = strdup(key);
    if (!o || !name) {
        free(o);
        free(name);
        if (drop)
            drop(object);
        att_ctx_why(x, "no memory for a shared object");
        return ATT_NO_MEMORY;
    }
    *o = (att_shelf_object){x->shelf->first, name, object, drop};
    x->shelf->first = o;
    *out = object;
    return ATT_OK;
}
