/* SPDX-License-Identifier: Apache-2.0 */
/* attest describe FILE.so: what a plugin declares, as JSON on descriptor 3.  A process of its own,
 * since loading runs the plugin's code. */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "core/param.h"
#include "core/plugin_so.h"
#include "tables.h"

extern const att_verb att_verb_describe;

static void put(FILE *f, const char *key, const char *text)
{
    fprintf(f, "\"%s\":", key);
    att_json_put_text(f, text ? text : "");
    fputc(',', f);
}

static void put_param(FILE *f, const att_param *p)
{
    fputc('{', f);
    put(f, "domain", p->domain);
    put(f, "fallback", p->fallback);
    put(f, "help", p->help);
    put(f, "name", p->name);
    fprintf(f, "\"type\":%d,", p->type);
    put(f, "unit", p->unit);
    fputs("\"x\":0}", f);
}

static int run(const att_cli *cli, int argc, char **argv)
{
    const att_kernel *const *kernels = NULL;
    size_t n = 0;
    att_why why = {""};

    (void)cli;
    if (argc != 2)
        return att_usage(&att_verb_describe, "one file is expected");
    att_status status = att_plugin_open(argv[1], &kernels, &n, &why);
    FILE *f = fdopen(3, "w");
    if (!f)
        return ATT_EXIT_INCOMPLETE;
    fputs("{\"kernels\":[", f);
    for (size_t i = 0; status == ATT_OK && i < n; i++) {
        const att_kernel *k = kernels[i];
        fprintf(f, "%s{\"acc\":%d,\"align\":%" PRId64 ",\"class\":%d,", i ? "," : "",
                k->precision.acc, k->align, k->class_);
        put(f, "family", k->family);
        fputs("\"margin\":", f);
        att_json_put_real(f, k->margin);
        fputc(',', f);
        put(f, "name", k->name);
        fprintf(f, "\"out\":%d,\"over_read\":%" PRId64 ",\"prob\":%d,", k->precision.out,
                k->over_read, k->precision.prob);
        fputs("\"params\":[", f);
        for (size_t j = 0; j < att_param_count(k->params); j++) {
            fputs(j ? "," : "", f);
            put_param(f, &k->params[j]);
        }
        fputs("],", f);
        put(f, "summary", k->summary);
        fputs("\"x\":0}", f);
    }
    fputs("],", f);
    put(f, "why", why.text);
    fputs("\"x\":0}", f);
    return fclose(f) == 0 ? ATT_EXIT_PASS : ATT_EXIT_INCOMPLETE;
}

const att_verb att_verb_describe = {"describe", "FILE.so", "what a plugin declares",
                                    NULL,       run,       true};
