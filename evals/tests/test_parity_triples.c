/* SPDX-License-Identifier: Apache-2.0 */
#include "evals/tests/house.h"

#include <stdlib.h>

#include <cjson/cJSON.h>

#include "core/cover.h"

#define MOST 32 /* parameters; levels of one */

/* The release suite's row of triples, and what its covering array came to. */
static cJSON *suite;
static const cJSON *row;
static const att_eval *eval;
static char text[MOST][256]; /* its levels, as cover.h wants them */
static att_cover_cases cases;

static void open_house(void)
{
    FILE *f = fopen("ci/suites/release.json", "rb");
    static char json[1 << 16];

    house_open(1, NULL);
    CU_ASSERT_PTR_NOT_NULL_FATAL(f);
    json[fread(json, 1, sizeof json - 1, f)] = '\0';
    fclose(f);
    suite = cJSON_Parse(json);
    cJSON_ArrayForEach(row, cJSON_GetObjectItemCaseSensitive(suite, "rows"))
    {
        const cJSON *params = cJSON_GetObjectItemCaseSensitive(row, "params");
        if (cJSON_GetObjectItemCaseSensitive(params, "strong"))
            break;
    }
    CU_ASSERT_PTR_NOT_NULL_FATAL(row);
    eval = att_registry_eval(registry, "parity", NULL);
}

static void close_house(void)
{
    att_cover_cases_drop(&cases);
    cJSON_Delete(suite);
    house_close();
}

static const char *strong_names(void)
{
    return cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(row, "params"),
                                            "strong")
        ->valuestring;
}

static bool is_strong(const char *name)
{
    char padded[512], key[64];

    snprintf(padded, sizeof padded, " %s ", strong_names());
    snprintf(key, sizeof key, " %s ", name);
    return strstr(padded, key) != NULL;
}

static void the_array_is_made(void)
{
    const cJSON *params = cJSON_GetObjectItemCaseSensitive(row, "params"), *level;
    const char *levels[MOST] = {NULL};
    att_why why = {""};

    for (size_t i = 0; eval->params[i].name; i++) {
        const cJSON *own = cJSON_GetObjectItemCaseSensitive(params, eval->params[i].name);
        CU_ASSERT_FATAL(i < MOST);
        cJSON_ArrayForEach(level, own)
        {
            char one[32];
            snprintf(one, sizeof one, "%s%g", *text[i] ? " " : "", level->valuedouble);
            if (cJSON_IsString(level))
                snprintf(one, sizeof one, "%s%s", *text[i] ? " " : "", level->valuestring);
            strncat(text[i], one, sizeof text[i] - strlen(text[i]) - 1);
        }
        if (!own)
            snprintf(text[i], sizeof text[i], "%s",
                     eval->params[i].levels ? eval->params[i].levels : eval->params[i].fallback);
        levels[i] = text[i];
    }
    CU_ASSERT_EQUAL_FATAL(
        att_cover_params(eval->params, levels, strong_names(), eval->covers, 1, &cases, &why),
        ATT_OK);
    printf("%zu cases, %zu of %zu pairs and triples can't be\n", cases.count,
           cases.cover.unreachable, cases.cover.targets);
}

static void head_mapping_lengths_and_masks_are_among_the_strong(void)
{
    static const char *const names[] = {"hq", "hkv", "sq", "sk", "lens", "causal", "mask"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        CU_ASSERT(is_strong(names[i]));
}

/* Level `n` of parameter i; false where there are fewer. */
static bool level_of(size_t i, size_t n, char *to, size_t room)
{
    const char *at = text[i];

    for (; n > 0 && at; n--)
        at = strchr(at, ' ') ? strchr(at, ' ') + 1 : NULL;
    if (!at)
        return false;
    snprintf(to, room, "%.*s", (int)strcspn(at, " "), at);
    return true;
}

static bool is_covered(const size_t f[3], char level[3][32])
{
    for (size_t n = 0; n < cases.count; n++) {
        const char *const *value = (const char *const *)cases.value + n * cases.params;
        if (strcmp(value[f[0]], level[0]) == 0 && strcmp(value[f[1]], level[1]) == 0 &&
            strcmp(value[f[2]], level[2]) == 0)
            return true;
    }
    return false;
}

static void put(att_value *values, size_t i, const char *level)
{
    values[i] = (att_value){.i = strtoll(level, NULL, 10), .f = strtod(level, NULL), .s = level};
}

static size_t index_of(const char *name)
{
    size_t i = 0;

    while (strcmp(eval->params[i].name, name) != 0)
        i++;
    return i;
}

/* Could the triple be had at all, with the smallest of everything else and any head mapping? */
static bool can_be(const size_t f[3], char level[3][32])
{
    const size_t hq = index_of("hq"), hkv = index_of("hkv");
    att_value values[MOST] = {0};
    char q[32], k[32];

    for (size_t a = 0; level_of(hq, a, q, sizeof q); a++)
        for (size_t b = 0; level_of(hkv, b, k, sizeof k); b++) {
            for (size_t i = 0; eval->params[i].name; i++)
                put(values, i, eval->params[i].fallback);
            put(values, index_of("sq"), "1");
            put(values, index_of("sk"), "1");
            put(values, hq, q);
            put(values, hkv, k);
            for (size_t t = 0; t < 3; t++)
                put(values, f[t], level[t]);
            if (eval->covers(values))
                return true;
        }
    return false;
}

static size_t triples, lacking;

static void look_at_levels(const size_t f[3])
{
    char level[3][32];

    for (size_t a = 0; level_of(f[0], a, level[0], sizeof level[0]); a++)
        for (size_t b = 0; level_of(f[1], b, level[1], sizeof level[1]); b++)
            for (size_t c = 0; level_of(f[2], c, level[2], sizeof level[2]); c++) {
                triples++;
                if (is_covered(f, level) || !can_be(f, level))
                    continue;
                printf("no case has %s=%s %s=%s %s=%s\n", eval->params[f[0]].name, level[0],
                       eval->params[f[1]].name, level[1], eval->params[f[2]].name, level[2]);
                lacking++;
            }
}

static void every_triple_that_can_be_is_in_some_case(void)
{
    size_t f[3];

    for (f[0] = 0; eval->params[f[0]].name; f[0]++)
        for (f[1] = f[0] + 1; eval->params[f[1]].name; f[1]++)
            for (f[2] = f[1] + 1; eval->params[f[2]].name; f[2]++)
                if (is_strong(eval->params[f[0]].name) && is_strong(eval->params[f[1]].name) &&
                    is_strong(eval->params[f[2]].name))
                    look_at_levels(f);
    CU_ASSERT(triples >= 10000);
    CU_ASSERT_EQUAL(lacking, 0);
    printf("%zu triples looked at\n", triples);
}

/* A sample of the array on a right kernel: that its cases are ones that can be run. */
static void its_cases_pass_on_a_right_kernel(void)
{
    size_t passed = 0;

    for (size_t n = 0; n < cases.count; n += 50) {
        char line[1024] = "";
        for (size_t i = 0; i < cases.params; i++)
            snprintf(line + strlen(line), sizeof line - strlen(line), "%s=%s ",
                     eval->params[i].name, cases.value[n * cases.params + i]);
        att_record r = house_case("parity", "flash_f32", line, 1);
        CU_ASSERT(r.status == ATT_PASS || r.status == ATT_HOLE);
        passed += r.status == ATT_PASS;
        att_record_clear(&r);
    }
    CU_ASSERT(passed >= 5);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the house opens with the release suite", open_house},
        {"its array of triples is made", the_array_is_made},
        {"head mapping, lengths and masks are among the strong",
         head_mapping_lengths_and_masks_are_among_the_strong},
        {"every triple that can be is in some case", every_triple_that_can_be_is_in_some_case},
        {"its cases pass on a right kernel", its_cases_pass_on_a_right_kernel},
        {"the house closes", close_house},
        CU_TEST_INFO_NULL};

    return att_suite_run("parity_triples", tests);
}
