/* SPDX-License-Identifier: Apache-2.0 */
#include "declare.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/fp.h"
#include "core/record_names.h"

static int by_kernel(const void *a, const void *b)
{
    return strcmp(((const att_declaration *)a)->kernel, ((const att_declaration *)b)->kernel);
}

static int by_text(const void *a, const void *b)
{
    return strcmp((*(const att_variant *const *)a)->text, (*(const att_variant *const *)b)->text);
}

/* The coarser of two types; "that of the tensors" is the finest, since it promises most. */
static int32_t coarser(int32_t a, int32_t b)
{
    return att_precision_bits(a) <= att_precision_bits(b) ? a : b;
}

double att_precision_bits(int32_t dtype)
{
    if (dtype < 0 || dtype >= ATT_DTYPES)
        return INFINITY;
    const double unit = att_fp_format(dtype).unit;
    return unit > 0 ? -log2(unit) : 0;
}

static void add_part(const att_kernel *k, att_declaration *d)
{
    d->class_ = k->class_ > d->class_ ? k->class_ : d->class_;
    d->margin = fmax(d->margin, k->margin);
    d->acc = coarser(d->acc, k->precision.acc);
    d->prob = coarser(d->prob, k->precision.prob);
    d->out = coarser(d->out, k->precision.out);
    d->align = k->align > d->align ? k->align : d->align;
    d->over_read = k->over_read > d->over_read ? k->over_read : d->over_read;
}

static bool declare(const att_variant *v, att_declaration *d)
{
    *d = (att_declaration){
        .kernel = strdup(v->text), .acc = ATT_DTYPES, .prob = ATT_DTYPES, .out = ATT_DTYPES};
    for (size_t i = 0; i < v->parts; i++)
        add_part(v->part[i].kernel, d);
    return d->kernel != NULL;
}

att_status att_declarations_fill(const att_run_plan *plan, att_result *result, att_why *why)
{
    const att_variant **all = calloc(plan->n + 1, sizeof *all);
    bool good = all != NULL;
    size_t n = 0;

    for (size_t i = 0; good && i < plan->n; i++)
        all[i] = plan->cases[i].c->variant;
    if (good)
        qsort(all, plan->n, sizeof *all, by_text);
    for (size_t i = 0; good && i < plan->n; i++)
        if (n == 0 || strcmp(all[n - 1]->text, all[i]->text) != 0)
            all[n++] = all[i];
    result->declarations = good ? calloc(n + 1, sizeof *result->declarations) : NULL;
    good = result->declarations != NULL;
    for (size_t i = 0; good && i < n; i++)
        good = declare(all[i], &result->declarations[result->n_declarations++]);
    free(all);
    if (good)
        return ATT_OK;
    att_why_set(why, "no memory for what kernels declare");
    return ATT_NO_MEMORY;
}

const att_declaration *att_declaration_find(const att_declaration *all, size_t n,
                                            const char *kernel)
{
    const att_declaration key = {.kernel = (char *)(uintptr_t)kernel};

    return n > 0 ? bsearch(&key, all, n, sizeof *all, by_kernel) : NULL;
}

/* ------------------------------------------------------------------------------------- JSON */

static const char tensors[] = "tensors"; /* the type of what the call was handed */

static const char *type_name(int32_t type)
{
    return type == ATT_DTYPES ? tensors : att_dtype_name(type);
}

void att_declaration_print(const att_declaration *d, FILE *f)
{
    const char *class_ = att_name_at(&att_names_class, d->class_);

    fprintf(f, "{\"acc\": \"%s\", \"align\": %" PRId64 ", \"class\": \"%s\", \"kernel\": ",
            type_name(d->acc), d->align, class_ ? class_ : "D");
    att_json_put_text(f, d->kernel);
    fputs(", \"margin\": ", f);
    att_json_put_real(f, d->margin);
    fprintf(f, ", \"out\": \"%s\", \"over_read\": %" PRId64 ", \"prob\": \"%s\"}",
            type_name(d->out), d->over_read, type_name(d->prob));
}

static bool take_type(const cJSON *object, const char *key, int32_t *out)
{
    const char *name = NULL;

    if (!att_json_text(object, key, &name))
        return false;
    *out = strcmp(name, tensors) == 0 ? ATT_DTYPES : att_dtype_named(name);
    return *out >= 0;
}

/* The first member that is wrong; NULL = none. */
static const char *take_all(const cJSON *object, att_declaration *d, const char **kernel)
{
    const char *class_ = NULL;
    int class_number = 0;

    if (!att_json_text(object, "kernel", kernel) || !**kernel)
        return "kernel";
    if (!att_json_text(object, "class", &class_) ||
        !att_name_find(&att_names_class, class_, &class_number))
        return "class";
    d->class_ = class_number;
    if (!att_json_real(object, "margin", &d->margin) || !(d->margin >= 0 && d->margin <= 1))
        return "margin";
    if (!att_json_int(object, "align", &d->align) || d->align < 0)
        return "align";
    if (!att_json_int(object, "over_read", &d->over_read) || d->over_read < 0)
        return "over_read";
    return !take_type(object, "acc", &d->acc)     ? "acc"
           : !take_type(object, "prob", &d->prob) ? "prob"
           : !take_type(object, "out", &d->out)   ? "out"
                                                  : NULL;
}

att_status att_declaration_parse(const cJSON *object, att_declaration *out, att_why *why)
{
    att_declaration d = {0};
    const char *kernel = NULL, *wrong = take_all(object, &d, &kernel);

    if (wrong) {
        att_why_set(why, "what a kernel declares: \"%s\" is missing or not of its kind", wrong);
        return ATT_INVALID;
    }
    if (!(d.kernel = strdup(kernel))) {
        att_why_set(why, "no memory for what a kernel declares");
        return ATT_NO_MEMORY;
    }
    *out = d;
    return ATT_OK;
}

bool att_declaration_copy(const att_declaration *from, att_declaration *to)
{
    *to = *from;
    return (to->kernel = strdup(from->kernel)) != NULL;
}

void att_declarations_drop(att_declaration *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(all[i].kernel);
    free(all);
}
