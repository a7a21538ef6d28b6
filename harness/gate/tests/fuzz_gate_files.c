/* SPDX-License-Identifier: Apache-2.0 */
/* libFuzzer target: baselines, policies and waivers.  What the baseline's reader takes must come
 * back from its writer in the same bytes twice over.  `make fuzz`. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "gate/baseline.h"
#include "gate/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Written, read and written again. */
static void round_trip(const att_baseline *b)
{
    char path[64];
    size_t n = 0, m = 0;
    att_baseline again = {0};
    att_why why = {""};

    snprintf(path, sizeof path, "/tmp/att_fuzz_baseline.%ld", (long)getpid());
    if (att_baseline_write(b, path, &why) != ATT_OK)
        return;
    char *first = att_file_read(path, SIZE_MAX / 2, &n);
    if (first && att_baseline_parse(first, n, "fuzz", &again, &why) != ATT_OK)
        abort();
    if (first && att_baseline_write(&again, path, &why) == ATT_OK) {
        char *second = att_file_read(path, SIZE_MAX / 2, &m);
        if (second && (n != m || memcmp(first, second, n) != 0))
            abort();
        free(second);
    }
    att_baseline_drop(&again);
    free(first);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    att_baseline b = {0};
    att_policy p = {0};
    att_waivers w = {0};
    att_why why = {""};

    if (att_baseline_parse(text, size, "fuzz", &b, &why) == ATT_OK)
        round_trip(&b);
    att_baseline_drop(&b);
    if (att_policy_parse(text, size, "fuzz", &p, &why) == ATT_OK)
        att_policy_drop(&p);
    if (att_waivers_parse(text, size, "fuzz", &w, &why) == ATT_OK)
        att_waivers_drop(&w);
    return 0;
}
