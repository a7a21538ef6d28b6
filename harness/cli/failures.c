/* SPDX-License-Identifier: Apache-2.0 */
#include "failures.h"

#include <stdio.h>
#include <string.h>

#include "core/names.h"
#include "tint.h"

#define MOST_CASES   10 /* printed one by one */
#define MOST_KERNELS 20 /* concluded upon */
#define MOST_NAMES   3  /* that the cases can't tell apart */

static bool failed(const att_record *r)
{
    return r->status == ATT_FAIL || r->status == ATT_CRASH || r->status == ATT_TIMEOUT;
}

static void print_case(const att_record *r)
{
    char line[512];

    snprintf(line, sizeof line, "%-7s", att_outcome_name(r->status));
    att_tint_bad(stderr, line);
    fprintf(stderr, " %s\n        %s\n", r->id, r->reason ? r->reason : "");
    for (size_t d = 0; d < r->n_diagnoses; d++) {
        if (att_diagnosis_repeats(r, d))
            continue;
        att_diagnosis_line(&r->diagnoses[d], line, sizeof line);
        fprintf(stderr, "        %s\n", line);
    }
    fprintf(stderr, "        %sattest repro '%s'\n", r->smallest ? "smallest: " : "",
            r->smallest ? r->smallest : r->line);
}

static void print_cases(const att_result *result)
{
    size_t told = 0;

    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        if (!failed(r) && r->status != ATT_ERROR)
            continue;
        if (told++ == MOST_CASES) {
            fputs("  ... and more; see summary.md and result.json\n", stderr);
            break;
        }
        print_case(r);
    }
}

static void print_names(const att_names *names)
{
    const size_t tied = att_names_tied(names);

    fprintf(stderr, ", %zu looked into: ", names->looked);
    if (tied == 0)
        fputs("nothing known explains most of them", stderr);
    for (size_t i = 0; i < tied && i < MOST_NAMES; i++)
        fprintf(stderr, "%s%s", i ? " or " : "", names->name[i].fault);
    if (tied > 0)
        fprintf(stderr, " explains %zu", names->name[0].explained);
}

/* The smallest case of the kernel that was found; NULL = none. */
static const char *smallest_of(const att_result *result, const char *kernel)
{
    const char *best = NULL;

    for (size_t i = 0; i < result->n_records; i++) {
        const att_record *r = &result->records[i];
        if (r->smallest && strcmp(r->kernel, kernel) == 0 &&
            (!best || strlen(r->smallest) < strlen(best)))
            best = r->smallest;
    }
    return best;
}

static void conclude(const att_result *result, const char *kernel)
{
    const char *smallest = smallest_of(result, kernel);
    att_names names;

    if (att_names_of(result, kernel, &names) == ATT_OK && names.failed > 0) {
        fprintf(stderr, "%s: %zu failing case%s", kernel, names.failed,
                names.failed == 1 ? "" : "s");
        if (names.looked > 0)
            print_names(&names);
        fputc('\n', stderr);
        if (smallest)
            fprintf(stderr, "        smallest: attest repro '%s'\n", smallest);
    }
    att_names_drop(&names);
}

/* Is record i the first failing one of its kernel? */
static bool first_of_kernel(const att_result *result, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (failed(&result->records[k]) &&
            strcmp(result->records[k].kernel, result->records[i].kernel) == 0)
            return false;
    return failed(&result->records[i]);
}

void att_failures_print(const att_result *result)
{
    size_t told = 0;

    print_cases(result);
    for (size_t i = 0; i < result->n_records && told < MOST_KERNELS; i++)
        if (first_of_kernel(result, i)) {
            conclude(result, result->records[i].kernel);
            told++;
        }
}
