/* SPDX-License-Identifier: Apache-2.0 */
#include "controller/auth/passwords.h"

#include <argon2.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "base/utf8.h"

enum { SALT_SIZE = 16, TAG_SIZE = 32, LANES = 1 };

const char *password_problem(const char *account, const char *password)
{
    size_t len = strlen(password), at = 0;

    if (len < PASSWORD_MIN)
        return "expected at least 12 bytes: a few words are easier to keep than signs";
    if (len > PASSWORD_MAX)
        return "expected at most 256 bytes";
    if (!utf8_valid(password, len, &at))
        return "expected UTF-8";
    if (strstr(password, account))
        return "it must not have the account's name in it";
    for (size_t i = 1; i < len; i++)
        if (password[i] != password[0])
            return NULL;
    return "expected more than one sign again and again";
}

static void hash(const char *password, char encoded[PASSWORD_HASH_SIZE])
{
    unsigned char salt[SALT_SIZE];

    if (RAND_bytes(salt, sizeof(salt)) != 1)
        abort(); /* No randomness: hashes would share their salt. */
    if (argon2id_hash_encoded(PASSWORD_PASSES, PASSWORD_MEMORY_KIB, LANES, password,
                              strlen(password), salt, sizeof(salt), TAG_SIZE, encoded,
                              PASSWORD_HASH_SIZE) != ARGON2_OK)
        encoded[0] = 0; /* No memory: nobody gets in by it. */
}

static void run(struct crew_job *job)
{
    struct password_job *j = (struct password_job *)job;
    char unused[PASSWORD_HASH_SIZE];

    if (!j->has_encoded)
        j->is_right = true;
    else if (j->encoded[0])
        j->is_right = argon2id_verify(j->encoded, j->password, strlen(j->password)) == ARGON2_OK;
    else
        hash(j->password, unused); /* As long as a real one takes. */
    if (j->is_right && j->next)
        hash(j->next, j->hash);
}

static void wipe(char *text)
{
    if (text)
        OPENSSL_cleanse(text, strlen(text));
    free(text);
}

static void free_job(struct password_job *j)
{
    wipe(j->password);
    wipe(j->next);
    free(j);
}

static void done(struct crew_job *job, bool has_run)
{
    struct password_job *j = (struct password_job *)job;

    if (j->is_abandoned) {
        free_job(j);
        return;
    }
    j->is_done = true;
    j->is_right = j->is_right && has_run;
    if (has_run && j->tell)
        j->tell(j->user);
}

struct password_job *password_job_new(const char *encoded, const char *password, const char *next)
{
    struct password_job *j = xcalloc(1, sizeof(*j));

    j->job.run = run;
    j->job.done = done;
    j->is_done = true; /* Not under way. */
    j->has_encoded = encoded != NULL;
    if (encoded && strlen(encoded) < sizeof(j->encoded))
        memcpy(j->encoded, encoded, strlen(encoded));
    j->password = xstrdup(password);
    j->next = xstrdup(next);
    return j;
}

void password_job_drop(void *job)
{
    struct password_job *j = job;

    if (j && !j->is_done)
        j->is_abandoned = true;
    else if (j)
        free_job(j);
}

int password_job_start(struct password_job *j, struct crew *w)
{
    int r = crew_submit(w, &j->job);

    if (r == 0)
        j->is_done = false;
    return r;
}
