/* SPDX-License-Identifier: Apache-2.0 */
/* What kernels declare, against what they declared: who promises less has loosened, whatever its
 * cases say. */
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "base/fp.h"
#include "core/declare.h"
#include "gate/gate_own.h"

/* A declared number that must not grow (or, with `bits`, whose bits must not fall). */
static const struct {
    const char *name;
    enum { TYPE, CLASS, LENGTH, REAL } kind;
    size_t offset;
} members[] = {{"class", CLASS, offsetof(att_declaration, class_)},
               {"precision of sums", TYPE, offsetof(att_declaration, acc)},
               {"precision of probabilities", TYPE, offsetof(att_declaration, prob)},
               {"precision of the result", TYPE, offsetof(att_declaration, out)},
               {"margin", REAL, offsetof(att_declaration, margin)},
               {"alignment asked for", LENGTH, offsetof(att_declaration, align)},
               {"bytes read past a buffer", LENGTH, offsetof(att_declaration, over_read)}};

static double number(const att_declaration *d, size_t i)
{
    const char *at = (const char *)d + members[i].offset;

    switch (members[i].kind) {
    case TYPE:
        return att_precision_bits(*(const int32_t *)(const void *)at);
    case CLASS:
        return *(const int32_t *)(const void *)at;
    case LENGTH:
        return (double)*(const int64_t *)(const void *)at;
    default:
        return *(const double *)(const void *)at;
    }
}

static const char *type_of(const att_declaration *d, size_t i)
{
    const char *at = (const char *)d + members[i].offset;
    const int32_t type = *(const int32_t *)(const void *)at;

    return type == ATT_DTYPES ? "the tensors' type" : att_dtype_name(type);
}

static const char *text_of(att_gate *g, const att_declaration *was, const att_declaration *is,
                           size_t i)
{
    return members[i].kind == TYPE
               ? att_gate_text(g, "declares %s, declared %s", type_of(is, i), type_of(was, i))
               : "declares less than it did";
}

static const att_record *record_of(const att_result *result, const char *kernel)
{
    for (size_t i = 0; i < result->n_records; i++)
        if (strcmp(result->records[i].kernel, kernel) == 0)
            return &result->records[i];
    return NULL;
}

static bool find(att_gate *g, const att_record *r, const char *what, double was, double is,
                 const char *text)
{
    att_finding *f = att_gate_find(g, ATT_GATE_LOOSENED, r);

    if (!f)
        return false;
    f->metric = what;
    f->value = is;
    f->baseline = was;
    f->limit = was;
    f->cause = r->kernel;
    f->text = text;
    return true;
}

bool att_gate_declarations(const att_gate_ask *ask, att_gate *g)
{
    const att_baseline *b = ask->baseline;
    const att_result *result = ask->result;
    bool good = true;

    for (size_t k = 0; k < b->n_declarations && good; k++) {
        const att_declaration *was = &b->declarations[k];
        const att_declaration *is =
            att_declaration_find(result->declarations, result->n_declarations, was->kernel);
        const att_record *r = record_of(result, was->kernel);
        if (r && !is)
            good = find(g, r, "declarations", NAN, NAN, "the run does not say what it declares");
        for (size_t i = 0; r && is && good && i < sizeof members / sizeof *members; i++) {
            const double before = number(was, i), now = number(is, i);
            const bool less = members[i].kind == TYPE ? now < before : now > before;
            if (less)
                good = find(g, r, members[i].name, before, now, text_of(g, was, is, i));
        }
    }
    return good;
}
