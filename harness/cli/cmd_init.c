/* SPDX-License-Identifier: Apache-2.0 */
/* attest init: what a project needs to have its own attention kernel checked, written into it.  The
 * files are those of kernels/plugin, ci/plugin, ci/policies, ci/github and ci/gitlab, with the
 * project's name in place of theirs. */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "cli.h"

typedef struct options {
    const char *name, *ci, *source;
    bool force;
} options;

static const att_option table[] = {
    {"name", ATT_OPTION_TEXT, offsetof(options, name), "NAME", NULL,
     "of the kernel; default: the folder's"},
    {"ci", ATT_OPTION_TEXT, offsetof(options, ci), "github|gitlab|none", NULL,
     "whose CI file; default: what the project has"},
    {"source", ATT_OPTION_TEXT, offsetof(options, source), "OWNER/NAME|URL", NULL,
     "where CI gets attest from; default: its variable ATTEST_REPOSITORY"},
    {"force", ATT_OPTION_FLAG, offsetof(options, force), NULL, NULL, "overwrite what is there"},
    {.name = NULL}};

extern const att_verb att_verb_init;

/* Put into the program by the Makefile. */
#define EMBEDDED(name, symbol)                                                                     \
    extern const char name##_start[] __asm__("_binary_" symbol "_start");                          \
    extern const char name##_end[] __asm__("_binary_" symbol "_end")
EMBEDDED(plugin, "kernels_plugin_template_c");
EMBEDDED(makefile, "ci_plugin_attest_mk");
EMBEDDED(policy, "ci_policies_default_json");
EMBEDDED(github, "ci_github_example_yml");
EMBEDDED(gitlab, "ci_gitlab_attest_yml");

static const char ignore_start[] = "*.so\nruns/\n";
#define ignore_end (ignore_start + sizeof ignore_start - 1)

static const struct {
    const char *path; /* in the project; my_attention stands for the name */
    const char *ci;   /* only for this; NULL = always */
    const char *start, *end;
} files[] = {{"attest/my_attention.c", NULL, plugin_start, plugin_end},
             {"attest/attest.mk", NULL, makefile_start, makefile_end},
             {"attest/policy.json", NULL, policy_start, policy_end},
             {"attest/.gitignore", NULL, ignore_start, ignore_end},
             {".github/workflows/attest.yml", "github", github_start, github_end},
             {"attest/gitlab-ci.yml", "gitlab", gitlab_start, gitlab_end}};
#define FILES (sizeof files / sizeof *files)

/* What is written in the project in place of the templates' own names. */
typedef struct names {
    char name[64], c[80], so[80], repository[512], url[512];
    const char *ci;
} names;

/* The text with every name replaced; data NULL where memory ran out. */
static att_buf filled(const names *n, const char *text, const char *end)
{
    const char *const rows[][2] = {{"my_attention", n->name},
                                   {"template_f64", n->name},
                                   {"template.c", n->c},
                                   {"my.so", n->so},
                                   {"https://example.org/OWNER/attest.git", n->url},
                                   {"OWNER/attest", n->repository}};
    att_buf out = {0};

    while (text < end) {
        size_t r = 0;
        while (r < sizeof rows / sizeof *rows && strncmp(text, rows[r][0], strlen(rows[r][0])) != 0)
            r++;
        if (r == sizeof rows / sizeof *rows) {
            att_buf_add(&out, text++, 1);
        } else {
            att_buf_puts(&out, rows[r][1]);
            text += strlen(rows[r][0]);
        }
    }
    return out;
}

/* A name that C and the case grammar take: letters, digits, _. */
static void name_of(const char *text, char out[64])
{
    size_t n = 0;

    if (isdigit((unsigned char)*text))
        out[n++] = '_';
    for (; *text && n < 63; text++)
        out[n++] = isalnum((unsigned char)*text) ? *text : '_';
    out[n] = '\0';
}

static const char *ci_of(void)
{
    if (access(".gitlab-ci.yml", F_OK) == 0)
        return "gitlab";
    if (access(".github", F_OK) == 0)
        return "github";
    size_t n = 0;
    char *config = att_file_read(".git/config", 1 << 20, &n);
    const char *found = config && strstr(config, "gitlab")       ? "gitlab"
                        : config && strstr(config, "github.com") ? "github"
                                                                 : "none";
    free(config);
    return found;
}

static bool names_fill(const options *o, names *out)
{
    char here[PATH_MAX];

    if (!getcwd(here, sizeof here))
        return false;
    const char *slash = strrchr(here, '/');
    name_of(o->name ? o->name : slash ? slash + 1 : here, out->name);
    if (!*out->name)
        snprintf(out->name, sizeof out->name, "my_kernel");
    snprintf(out->c, sizeof out->c, "attest/%s.c", out->name);
    snprintf(out->so, sizeof out->so, "attest/%s.so", out->name);
    out->ci = o->ci ? o->ci : ci_of();
    snprintf(out->repository, sizeof out->repository, "%s",
             o->source ? o->source : "${{ vars.ATTEST_REPOSITORY }}");
    /* GitLab hands its own variable of this name over where the job has none. */
    snprintf(out->url, sizeof out->url,
             o->source && !strstr(o->source, "://") ? "https://github.com/%s.git" : "%s",
             o->source ? o->source : "$ATTEST_REPOSITORY");
    return true;
}

static bool wanted(size_t i, const names *n)
{
    return !files[i].ci || strcmp(files[i].ci, n->ci) == 0;
}

static bool write_file(const char *path, const char *start, const char *end, const names *n)
{
    char folder[PATH_MAX];

    for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
        if (mkdir(folder, 0777) != 0 && errno != EEXIST)
            return false;
    }
    att_buf text = filled(n, start, end);
    const bool good = !text.failed && text.data && att_file_write(path, text.data, text.length);
    att_buf_drop(&text);
    return good;
}

static void say_next(const names *n, bool sourced)
{
    printf("\nNext:\n"
           "1. attest/%s.c computes attention itself.  Call your kernel from one_row or attend in "
           "its place,\n   let supports refuse what yours can't do, and name your sources in "
           "ATTEST_LINK.\n"
           "2. make -f attest/attest.mk attest-check\n"
           "3. When it is green: attest baseline accept attest/runs/latest --baseline "
           "attest/baseline.json\n   --reason 'the first', and commit attest/baseline.json.\n",
           n->name);
    if (strcmp(n->ci, "none") == 0)
        puts("4. No CI was found here: attest init --ci github or --ci gitlab writes its file; any "
             "other calls\n   ci/attest-ci.sh of attest.");
    else if (strcmp(n->ci, "gitlab") == 0)
        puts("4. In .gitlab-ci.yml: include: [{local: attest/gitlab-ci.yml}]");
    if (strcmp(n->ci, "none") != 0 && !sourced)
        puts("5. Set the CI variable ATTEST_REPOSITORY to where attest is got from (or --source).");
}

static int run(const att_cli *cli, int argc, char **argv)
{
    options o = {0};
    names n = {.ci = NULL};
    char nearest[64];
    int first = 0, code = att_options_read(&att_verb_init, argc, argv, &o, &first);

    (void)cli;
    if (code >= 0)
        return code;
    if (first < argc)
        return att_usage(&att_verb_init, "unexpected operand %s: go to the project's root first",
                         argv[first]);
    if (o.ci && !att_str_choice("github|gitlab|none", o.ci, nearest))
        return att_usage(&att_verb_init, "--ci %s: the nearest is %s", o.ci, nearest);
    if (!names_fill(&o, &n)) {
        fprintf(stderr, "attest init: the folder has no name: %s\n", strerror(errno));
        return ATT_EXIT_INCOMPLETE;
    }
    char paths[FILES][160];
    for (size_t i = 0; i < FILES; i++) {
        att_buf path = filled(&n, files[i].path, files[i].path + strlen(files[i].path));
        snprintf(paths[i], sizeof paths[i], "%s", path.data ? path.data : "");
        att_buf_drop(&path);
        if (wanted(i, &n) && !o.force && access(paths[i], F_OK) == 0) {
            fprintf(stderr, "attest init: %s is there already\n", paths[i]);
            code = ATT_EXIT_USAGE;
        }
    }
    if (code == ATT_EXIT_USAGE) {
        fputs("attest init: nothing was written; --force overwrites\n", stderr);
        return code;
    }
    for (size_t i = 0; i < FILES; i++) {
        if (!wanted(i, &n))
            continue;
        if (!write_file(paths[i], files[i].start, files[i].end, &n)) {
            fprintf(stderr, "attest init: %s: %s\n", paths[i], strerror(errno));
            return ATT_EXIT_INCOMPLETE;
        }
        puts(paths[i]);
    }
    say_next(&n, o.source != NULL);
    return ATT_EXIT_PASS;
}

const att_verb att_verb_init = {.name = "init",
                                .operands = "",
                                .summary = "write what a project of yours needs to be checked",
                                .options = table,
                                .run = run};
