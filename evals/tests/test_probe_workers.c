/* SPDX-License-Identifier: Apache-2.0 */
/* Every task through the command line: the same seed gives the same items and numbers, bit for bit,
 * however many workers share the cases; another seed gives other items. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/tests/room.h"
#include "base/tests/suite.h"
#include "core/result.h"
#include "evals/table.h"

/* By rows, by a selection, as a session, and by a state. */
static const char kernels[] =
    "\"flash_f32\", \"sliding_window{left=100}\", \"topk\", \"h2o_cache{budget=64,recent=32}\", "
    "\"linear_elu1\"";

static const att_eval *probe_eval(void)
{
    for (const att_eval *const *e = att_evals; *e; e++)
        if (strcmp((*e)->name, "probe") == 0)
            return *e;
    return NULL;
}

/* Every task on these kernels. */
static void write_suite(const char *path, int seed)
{
    FILE *f = fopen(path, "w");
    const char *const *task = probe_eval()->tasks;

    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    fputs("{\"schema_version\": 1, \"name\": \"probes\", \"rows\": [\n", f);
    for (; *task; task++)
        fprintf(f,
                "{\"measure\": \"probe.%s\", \"kernels\": [%s], \"params\": {\"len\": [256]}, "
                "\"seeds\": [%d], \"budget\": 600, \"required\": true}%s\n",
                *task, kernels, seed, task[1] ? "," : "");
    fputs("]}\n", f);
    CU_ASSERT_EQUAL(fclose(f), 0);
}

static void run_tasks(int workers, int seed, att_result *result)
{
    char self[PATH_MAX], command[4 * PATH_MAX], folder[] = "/tmp/att_probe_XXXXXX";
    char suite[PATH_MAX];
    att_why why = {""};

    test_room(self);
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(folder));
    snprintf(suite, sizeof suite, "%s/suite.json", folder);
    write_suite(suite, seed);
    snprintf(command, sizeof command,
             "'%s/attest' run --quiet --suite '%s' --workers %d --out '%s' >'%s/out' 2>&1", self,
             suite, workers, folder, folder);
    CU_ASSERT_EQUAL(system(command), 0);
    snprintf(command, sizeof command, "%s/latest/result.json", folder);
    CU_ASSERT_EQUAL_FATAL(att_result_read(command, result, &why), ATT_OK);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    CU_ASSERT_EQUAL(system(command), 0);
}

static bool same_bits(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static bool same_items(const att_record *a, const att_record *b)
{
    bool same = a->n_items == b->n_items;

    for (size_t i = 0; i < a->n_items && same; i++) {
        const att_item *x = &a->items[i], *y = &b->items[i];
        same = x->hit == y->hit && x->cluster == y->cluster && same_bits(x->score, y->score) &&
               same_bits(x->at, y->at) && !x->note == !y->note &&
               (!x->note || strcmp(x->note, y->note) == 0);
    }
    return same;
}

static bool same_numbers(const att_record *a, const att_record *b)
{
    bool same = a->n_metrics == b->n_metrics && a->status == b->status;

    for (size_t i = 0; i < a->n_metrics && same; i++)
        same = strcmp(a->metrics[i].name, b->metrics[i].name) == 0 &&
               same_bits(a->metrics[i].value, b->metrics[i].value) &&
               same_bits(a->metrics[i].lo, b->metrics[i].lo) &&
               same_bits(a->metrics[i].hi, b->metrics[i].hi);
    return same;
}

static att_result alone, shared, other;

static void every_task_runs_on_one_worker_and_on_two(void)
{
    run_tasks(1, 1, &alone);
    run_tasks(2, 1, &shared);
    run_tasks(2, 2, &other);
    CU_ASSERT_TRUE(alone.n_records > 0 && alone.n_records % 5 == 0);
    CU_ASSERT_EQUAL_FATAL(alone.n_records, shared.n_records);
    CU_ASSERT_EQUAL_FATAL(alone.n_records, other.n_records);
}

static void workers_change_no_item_and_no_number(void)
{
    for (size_t i = 0; i < alone.n_records; i++) {
        const att_record *a = &alone.records[i], *b = &shared.records[i];
        const bool same = strcmp(a->line, b->line) == 0 && same_items(a, b) && same_numbers(a, b);
        if (!same)
            printf("%s\n", a->line);
        CU_ASSERT_TRUE(same);
        CU_ASSERT_TRUE(a->status == ATT_PASS && a->n_items > 0);
    }
}

static void another_seed_gives_other_items(void)
{
    for (size_t i = 0; i < alone.n_records; i++) {
        CU_ASSERT_STRING_EQUAL(alone.records[i].id, other.records[i].id);
        CU_ASSERT_FALSE(same_items(&alone.records[i], &other.records[i]));
    }
    att_result_clear(&alone);
    att_result_clear(&shared);
    att_result_clear(&other);
}

int main(void)
{
    static const CU_TestInfo tests[] = {
        {"every task runs on one worker and on two", every_task_runs_on_one_worker_and_on_two},
        {"workers change no item and no number", workers_change_no_item_and_no_number},
        {"another seed gives other items", another_seed_gives_other_items},
        CU_TEST_INFO_NULL};

    return att_suite_run("probe_workers", tests);
}
