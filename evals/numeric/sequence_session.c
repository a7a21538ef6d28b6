/* SPDX-License-Identifier: Apache-2.0 */
/* A KV cache under test. */
#include "evals/numeric/sequence.h"

att_status sequence_session(att_ctx *x, void *arg)
{
    (void)arg;
    att_ctx_why(x, "no sessions yet");
    return ATT_UNSUPPORTED;
}

void sequence_draw_session(att_rng *rng, int64_t n, const parity_spec *spec, sequence *out)
{
    (void)rng, (void)n, (void)spec;
    *out = (sequence){.n = 1, .step = {{'o', 0}}};
}
