/* SPDX-License-Identifier: Apache-2.0 */
/* The fault dictionary of choices: which known slip explains the keys that a kernel says it kept?
 *
 * Each row reads the rule of the kernel's parameters otherwise (parity_picks.h); where the choice
 * holds by that reading as far as rounding can tell, the slip explains it.  The output is another
 * matter: it agrees with the keys reported.  O(faults) judgements, so only the first failing cases
 * of a kernel are looked into. */
#include "evals/numeric/parity_picks.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "evals/numeric/parity_own.h"

#define MOST_CASES 12 /* a kernel and worker */

const choice_fault choice_faults[] = {
    {.name = "keep_off_by_one", .text = "one too few is kept", .reading = {.more = -1}},
    {.name = "keep_off_by_one", .text = "one too many is kept", .reading = {.more = 1}},
    {.name = "budget_in_keys",
     .text = "the budget of blocks is read as keys",
     .reading = {.in_keys = true}},
    {.name = "worst_chosen", .text = "the smallest scores are kept", .reading = {.smallest = true}},
    {.name = "own_block_missing",
     .text = "the query's own block is ranked like any other",
     .reading = {.own_free = true}},
    {.name = "maxima_alone",
     .text = "pages are scored by their maxima alone",
     .reading = {.maxima = true}},
    {.name = "first_key_for_block",
     .text = "a block's first key stands for it",
     .reading = {.first_key = true}},
    {.name = "mean_over_whole_block",
     .text = "means are divided by the block's size, full or not",
     .reading = {.whole_block = true}},
    {.name = "block_of_unseen",
     .text = "blocks are scored with keys that their rows may not see",
     .of_unseen = true},
    {.name = "crossing_key_left",
     .text = "the key whose weight reaches p is left out",
     .reading = {.crossing_left = true}},
    {0},
};

static att_status make_count(att_ctx *x, void *arg, void **out)
{
    (void)x;
    (void)arg;
    *out = calloc(1, sizeof(int));
    return *out ? ATT_OK : ATT_NO_MEMORY;
}

bool parity_choice_turn(att_ctx *x)
{
    void *count = NULL;
    char key[160];

    snprintf(key, sizeof key, "run:choice looked at %s", att_ctx_kernel(x)->name);
    return att_ctx_shared(x, key, make_count, NULL, free, &count) == ATT_OK &&
           (*(int *)count)++ < MOST_CASES;
}

uint8_t *parity_open_pairs(att_ctx *x, const parity_inputs *in)
{
    const parity_spec *s = &in->spec;
    const att_variant *oracle = att_ctx_find(x, "reference_f64");
    uint8_t *open = calloc((size_t)(s->b * s->hq * s->sq * s->sk) + 1, 1);
    int64_t *positions = malloc((size_t)(s->b * s->sq + 1) * sizeof *positions);
    att_problem p = in->plain;
    att_status status = open && positions && oracle ? ATT_OK : ATT_NO_MEMORY;

    for (int64_t r = 0; status == ATT_OK && r < s->b * s->sq; r++)
        positions[r] = parity_position(in, r / s->sq, r % s->sq);
    p.q_positions = att_tensor_dense(positions, ATT_I64, 1, 1, s->b, s->sq);
    p.causal = ATT_CAUSAL_NONE;
    p.window_right = -1;
    if (status == ATT_OK)
        status = att_ctx_call(x, &oracle->part[0], ATT_OP_SELECT, &p, open);
    free(positions);
    if (status != ATT_OK)
        open = (free(open), NULL);
    return open;
}
