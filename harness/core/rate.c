/* SPDX-License-Identifier: Apache-2.0 */
#include "rate.h"

#include <math.h>
#include <stdlib.h>

static bool reserve(att_hits *h, size_t more)
{
    if (more > SIZE_MAX / sizeof *h->cluster / 4 - h->n)
        return false;
    size_t need = h->n + more;
    if (need <= h->room)
        return true;
    uint8_t *hit = realloc(h->hit, 2 * need * sizeof *hit);
    if (hit)
        h->hit = hit;
    int32_t *cluster = hit ? realloc(h->cluster, 2 * need * sizeof *cluster) : NULL;
    if (!cluster)
        return false;
    h->cluster = cluster;
    h->room = 2 * need;
    return true;
}

bool att_hits_add(att_hits *h, const att_record *r)
{
    int32_t top = 0;

    if (!reserve(h, r->n_items))
        return false;
    for (size_t i = 0; i < r->n_items; i++) {
        const att_item *item = &r->items[i];
        h->hit[h->n] = item->hit != 0;
        h->hits += h->hit[h->n];
        /* wraps rather than overflows: any number will do that no other record uses */
        h->cluster[h->n++] = (int32_t)((uint32_t)h->next + (uint32_t)item->cluster);
        top = item->cluster > top ? item->cluster : top;
    }
    h->next = (int32_t)((uint32_t)h->next + (uint32_t)top + 1u);
    h->chance = fmax(h->chance, r->chance);
    return true;
}

double att_hits_share(const att_hits *h)
{
    return h->n > 0 ? (double)h->hits / (double)h->n : NAN;
}

att_interval att_hits_interval(const att_hits *h, double confidence)
{
    double effect = att_design_effect(h->hit, h->cluster, h->n);

    return att_wilson((double)h->hits / effect, (double)h->n / effect, confidence);
}

void att_hits_drop(att_hits *h)
{
    free(h->hit);
    free(h->cluster);
    *h = (att_hits){0};
}
