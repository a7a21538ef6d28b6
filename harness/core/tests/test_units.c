/* SPDX-License-Identifier: Apache-2.0 */
/* Declared arithmetic as numbers. */
#include "base/tests/suite.h"
#include "core/error.h"

static void units_follow_the_declaration_and_what_is_stored(void)
{
    att_units u;
    att_precision same = {.acc = ATT_F32, .prob = ATT_DTYPES, .out = ATT_DTYPES};
    att_precision wide = {.acc = ATT_F32, .prob = ATT_F32, .out = ATT_F32};
    att_precision none = {.acc = ATT_I8};

    CU_ASSERT_EQUAL(att_units_of(&same, ATT_F16, ATT_F16, &u), ATT_OK);
    CU_ASSERT_EQUAL(u.prob, 0x1p-11);
    CU_ASSERT_EQUAL(u.prob_lost, 0x1p-25);
    CU_ASSERT_EQUAL(u.out, 0x1p-11);
    CU_ASSERT_EQUAL(att_units_of(&wide, ATT_BF16, ATT_BF16, &u), ATT_OK);
    CU_ASSERT_EQUAL(u.prob, 0x1p-24);
    CU_ASSERT_EQUAL(u.out, 0x1p-8); /* stored in bf16 whatever was declared */
    CU_ASSERT_EQUAL(att_units_of(&none, ATT_F32, ATT_F32, &u), ATT_INVALID);
}

int main(void)
{
    static const CU_TestInfo tests[] = {{"units_follow_the_declaration_and_what_is_stored",
                                         units_follow_the_declaration_and_what_is_stored},
                                        CU_TEST_INFO_NULL};

    return att_suite_run("units", tests);
}
