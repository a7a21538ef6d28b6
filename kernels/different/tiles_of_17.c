/* SPDX-License-Identifier: Apache-2.0 */
/* Right but different: the online softmax with tiles of 17 keys, a size that divides nothing. */
#include "common/online.h"

static void mix(const att_plain_row *w, float top, float *sum)
{
    (void)top;
    att_online_mix(w, 17, sum);
}

static att_status attend(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    static const att_plain way = {.mix = mix};
    (void)self;
    return att_plain_attend(p, &way, s);
}

const att_kernel att_kernel_tiles_of_17 = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "tiles_of_17",
    .family = "different",
    .summary = "online softmax, tiles of 17 keys",
    .source = "Milakov and Gimelshein 2018",
    .class_ = ATT_EXACT,
    .traits = ATT_TRAIT_DETERMINISTIC | ATT_TRAIT_THREAD_INVARIANT,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = att_plain_supports,
    .plan = att_plain_plan_of,
    .attend = attend,
};
