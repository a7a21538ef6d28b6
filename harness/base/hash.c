/* SPDX-License-Identifier: Apache-2.0 */
#include "hash.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <xxhash.h>

uint64_t att_hash64(const void *data, size_t length)
{
    return XXH3_64bits(data, length);
}

bool att_sha256_file(const char *path, char out[65])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char buffer[1 << 16], digest[EVP_MAX_MD_SIZE];
    unsigned int size = 0;
    bool ok = false;
    int error = 0;
    FILE *f = fopen(path, "rb");
    EVP_MD_CTX *context = f ? EVP_MD_CTX_new() : NULL;

    if (!context || EVP_DigestInit_ex(context, EVP_sha256(), NULL) != 1) {
        error = f ? ENOMEM : errno;
        goto done;
    }
    for (size_t n; (n = fread(buffer, 1, sizeof buffer, f)) > 0;)
        if (EVP_DigestUpdate(context, buffer, n) != 1)
            goto done;
    if (ferror(f)) {
        error = EIO;
        goto done;
    }
    if (EVP_DigestFinal_ex(context, digest, &size) != 1 || size != 32)
        goto done;
    for (size_t i = 0; i < 32; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[64] = '\0';
    ok = true;
done:
    EVP_MD_CTX_free(context);
    if (f)
        fclose(f);
    if (!ok)
        errno = error ? error : EIO;
    return ok;
}
