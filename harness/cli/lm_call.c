/* SPDX-License-Identifier: Apache-2.0 */
#include "lm_call.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "core/host.h"
#include "tables.h"

enum { TEXT_MAX = 64 << 20 };

static att_status scratch_of(att_lm_run *run, const att_plan *plan, att_scratch *out, att_why *why)
{
    size_t align = plan->scratch_align ? plan->scratch_align : 64;
    if (plan->scratch_bytes > run->scratch_bytes || (uintptr_t)run->scratch % align) {
        free(run->scratch);
        run->scratch_bytes = (plan->scratch_bytes + align - 1) / align * align;
        run->scratch = aligned_alloc(align, run->scratch_bytes);
        if (!run->scratch) {
            run->scratch_bytes = 0;
            att_why_set(why, "no memory for %zu bytes of scratch", plan->scratch_bytes);
            return ATT_NO_MEMORY;
        }
    }
    out->data = run->scratch;
    out->bytes = plan->scratch_bytes;
    out->handle = plan->handle;
    return ATT_OK;
}

att_status att_lm_run_attend(att_lm_run *run, const att_variant *variant, int64_t layer,
                             const att_problem *p, att_why *why)
{
    const att_variant_part *part = att_variant_layer(variant, layer);
    att_reason reason = {""};
    att_plan plan = {0};
    att_scratch scratch = {.host = &run->host};
    if (!part || !part->kernel->attend) {
        att_why_set(why, "%s offers no attention for layer %lld", variant->text, (long long)layer);
        return ATT_UNSUPPORTED;
    }
    const att_kernel *k = part->kernel;
    att_status st = k->supports ? k->supports(k, ATT_OP_ATTEND, p, part->values, &reason) : ATT_OK;
    if (st) {
        att_why_set(why, "%s, layer %lld: %s", variant->text, (long long)layer, reason.text);
        return st;
    }
    if (k->plan && (st = k->plan(k, ATT_OP_ATTEND, p, part->values, &plan))) {
        att_why_set(why, "%s, layer %lld: its plan failed", variant->text, (long long)layer);
        return st;
    }
    if ((st = scratch_of(run, &plan, &scratch, why)))
        goto done;
    scratch.params = part->values;
    if ((st = k->attend(k, p, &scratch))) {
        const char *text = k->last_error ? k->last_error(k) : NULL;
        att_why_set(why, "%s, layer %lld: %s", variant->text, (long long)layer,
                    text ? text : "attend failed");
    }
done:
    if (k->drop && plan.handle)
        k->drop(k, plan.handle);
    return st;
}

static att_status attend(void *arg, int64_t layer, const att_problem *p, att_why *why)
{
    att_lm_run *run = arg;
    return att_lm_run_attend(run, run->variant, layer, p, why);
}

static att_status open_kernel(att_lm_run *run, const att_cli *cli)
{
    const att_tables tables = att_cli_tables(cli);
    att_status st = att_registry_make(&tables, NULL, &run->registry, &run->why);
    if (!st)
        st = att_variant_parse(run->registry, run->options->kernel, &run->arena, &run->variant,
                               &run->why);
    if (!st)
        st = att_variant_parse(run->registry, tables.oracle, &run->arena, &run->oracle, &run->why);
    return st;
}

static att_status read_text(att_lm_run *run)
{
    const char *path = run->options->text_file;
    size_t length;
    run->text = att_file_read(path, TEXT_MAX, &length);
    if (!run->text) {
        att_why_set(&run->why, "%s: %s", path, strerror(errno));
        return ATT_IO;
    }
    att_why why = {""};
    att_status st = att_lm_tokens(run->lm, run->text, length, &run->ids, &run->n, &why);
    if (st)
        att_why_set(&run->why, "%s: %.400s", path, why.text);
    return st;
}

att_status att_lm_run_open(att_lm_run *run, const att_cli *cli, const att_lm_options *options)
{
    *run = (att_lm_run){.options = options};
    run->attention = (att_lm_attention){run, attend};
    att_status st = open_kernel(run, cli);
    if (!st && (st = att_host_make((int)options->threads, &run->host)))
        att_why_set(&run->why, "%lld threads cannot be started", (long long)options->threads);
    if (!st)
        st = att_lm_open(options->model, &run->host, &run->lm, &run->why);
    if (!st && options->text_file)
        st = read_text(run);
    return st;
}

void att_lm_run_close(att_lm_run *run)
{
    free(run->scratch);
    free(run->ids);
    free(run->text);
    att_lm_close(run->lm);
    att_host_drop(&run->host);
    att_arena_drop(&run->arena);
    att_registry_drop(run->registry);
}
