/* SPDX-License-Identifier: Apache-2.0 */
/* Probes that iterate the attention: variable tracking and the latent hop. */
#include "evals/tests/made_probe.h"
#include "evals/tests/probe_house.h"

extern const probe_task probe_task_variables, probe_task_latent_hop;

static const char *const lengths[] = {"len=256", "len=1024", "len=4096", NULL};
static const char *const controls[] = {"uniform", "first_k", "last_k", "random", "sink_only"};

static att_status counter_supports(const att_kernel *self, att_op op, const att_problem *p,
                                   const att_value *params, att_reason *why)
{
    (void)self, (void)params, (void)why;
    return op == ATT_OP_RECUR && p->recur && p->recur->rule == ATT_RULE_LINEAR ? ATT_OK
                                                                               : ATT_UNSUPPORTED;
}

/* Counts the tokens of a kv head in the first number of its state; a row's weights "add up" to the
 * tokens so far. */
static att_status counter_recur(const att_kernel *self, const att_problem *p, const att_scratch *s)
{
    const int64_t group = p->heads_q / p->heads_kv;

    (void)self, (void)s;
    for (int64_t h = 0; h < p->heads_q; h++) {
        const float *in = (const float *)p->recur->state_in.data +
                          h / group * p->recur->state_in.stride[1];
        float *out = (float *)p->out.data + h * p->q_len * p->value_dim;
        memset(out, 0, (size_t)(p->q_len * p->value_dim) * sizeof *out);
        for (int64_t i = 0; i < p->q_len; i++)
            out[i * p->value_dim + PROBE_ALL] = in[0] + (float)(i + 1);
    }
    for (int64_t g = 0; g < p->heads_kv; g++)
        ((float *)p->recur->state_out.data)[g * p->recur->state_out.stride[1]] += (float)p->q_len;
    return ATT_OK;
}

static const att_kernel counter = {
    .struct_size = sizeof(att_kernel),
    .abi = ATT_ABI,
    .name = "counter",
    .family = "made",
    .summary = "made for a test",
    .class_ = ATT_OWN,
    .precision = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_DTYPES},
    .supports = counter_supports,
    .recur = counter_recur};

static void open_house(void)
{
    static const att_kernel *const made[] = {&counter, NULL};

    house_open(1, made);
}

static void every_hop_of_a_recurrence_follows_all_tokens_once(void)
{
    CU_ASSERT_EQUAL(probe_number("needle", "counter", "len=2500", "weights_sum"), 2500);
    CU_ASSERT_EQUAL(probe_number("variables", "counter", "len=2500", "weights_sum"), 2500);
    CU_ASSERT_EQUAL(probe_number("latent_hop", "counter", "len=700", "weights_sum"), 700);
}

static void dense_follows_every_chain(void)
{
    dense_is_right("variables", lengths);
    CU_ASSERT_EQUAL(probe_number("variables", "dense", "len=1024", "set_f1"), 1);
}

static void dense_makes_every_latent_hop(void)
{
    dense_is_right("latent_hop", lengths);
    CU_ASSERT_EQUAL(probe_number("latent_hop", "dense", "len=1024", "lured"), 0);
}

static void a_chain_is_followed_by_those_who_see_all_of_it(void)
{
    closed_form_holds("variables");
}

static void a_latent_hop_is_made_by_those_who_see_rule_and_needle(void)
{
    closed_form_holds("latent_hop");
}

static void every_control_is_punished_by_hops(void)
{
    for (size_t i = 0; i < 5; i++) {
        is_punished("variables", controls[i], 0);
        is_punished("latent_hop", controls[i], 0.1);
    }
}

static void items_are_the_seed_s(void)
{
    items_follow_the_seed("variables");
    items_follow_the_seed("latent_hop");
}

static void one_chain_is_refused_because_every_name_would_be_right(void)
{
    probe_circuit c = {.len = 256, .facts = 1};
    att_rng rng = att_rng_make(1, "");
    att_why why = {""};

    CU_ASSERT_EQUAL(probe_task_variables.make(&c, &rng, &why), ATT_UNSUPPORTED);
    CU_ASSERT_PTR_NOT_NULL(strstr(why.text, "every name is an answer"));
}

static void a_chain_says_at_which_hop_it_was_lost(void)
{
    probe_circuit *c = made_circuit(&probe_task_variables, 256, 1);
    float *out = made_out(c, 5);

    for (int64_t k = 0; k < 5; k++) /* the values are drawn first, then the chains' names */
        made_say(c, out, k, 3, probe_drawn(c, c->asked[3].context, c->facts + 3 * 5 + k));
    CU_ASSERT_EQUAL(probe_task_variables.judge(c, 3, out).hit, 1);
    made_say(c, out, 2, 3, 4000);
    CU_ASSERT_EQUAL(probe_task_variables.judge(c, 3, out).hit, 0);
    CU_ASSERT_STRING_EQUAL(probe_task_variables.judge(c, 3, out).note, "lost at hop 2");
    made_row(c, out, 0, 3)[0] = NAN;
    CU_ASSERT_STRING_EQUAL(probe_task_variables.judge(c, 3, out).note, "lost at the value");
    free(out);
    made_circuit_drop(c);
}

static void a_latent_hop_says_whether_lure_rule_or_needle_misled(void)
{
    probe_circuit *c = made_circuit(&probe_task_latent_hop, 256, 1);
    const int64_t link = probe_drawn(c, 0, 2 * 5 + 1), decoy = probe_drawn(c, 0, 2 * 5 + 4);
    const struct {
        int64_t hop[2];
        const char *note;
    } tries[] = {{{link, c->asked[2].answer}, ""},
                 {{link, 4000}, "needle lost"},
                 {{decoy, 4000}, "lexical lure"},
                 {{4001, 4000}, "rule lost"},
                 {{4001, c->asked[2].answer}, "right by luck"}};
    float *out = made_out(c, 2);

    for (size_t t = 0; t < 5; t++) {
        made_say(c, out, 0, 2, tries[t].hop[0]);
        made_say(c, out, 1, 2, tries[t].hop[1]);
        const probe_outcome o = probe_task_latent_hop.judge(c, 2, out);
        CU_ASSERT_EQUAL(o.hit, t == 0);
        CU_ASSERT_STRING_EQUAL(o.note ? o.note : "", tries[t].note);
    }
    free(out);
    made_circuit_drop(c);
}

static void the_latent_hop_is_set_against_a_short_context(void)
{
    static const char far[] = "sliding_window{left=256}", len[] = "len=4096";

    CU_ASSERT_EQUAL(probe_number("latent_hop", "dense", len, "relative"), 1);
    CU_ASSERT_EQUAL(probe_number("latent_hop", far, len, "base_accuracy"), 1);
    CU_ASSERT_TRUE(probe_number("latent_hop", far, len, "relative") < 0.2);
}

int main(void)
{
    const CU_TestInfo tests[] = {
        {"the kernels of the house come together", open_house},
        {"dense follows every chain", dense_follows_every_chain},
        {"dense makes every latent hop", dense_makes_every_latent_hop},
        {"a chain is followed by those who see all of it",
         a_chain_is_followed_by_those_who_see_all_of_it},
        {"a latent hop is made by those who see rule and needle",
         a_latent_hop_is_made_by_those_who_see_rule_and_needle},
        {"every control is punished by hops", every_control_is_punished_by_hops},
        {"items are the seed's", items_are_the_seed_s},
        {"one chain is refused because every name would be right",
         one_chain_is_refused_because_every_name_would_be_right},
        {"a chain says at which hop it was lost", a_chain_says_at_which_hop_it_was_lost},
        {"a latent hop says whether lure, rule or needle misled",
         a_latent_hop_says_whether_lure_rule_or_needle_misled},
        {"the latent hop is set against a short context",
         the_latent_hop_is_set_against_a_short_context},
        {"every hop of a recurrence follows all tokens once",
         every_hop_of_a_recurrence_follows_all_tokens_once},
        {"the house closes", house_close},
        CU_TEST_INFO_NULL};

    return att_suite_run("probe_hops", tests);
}
