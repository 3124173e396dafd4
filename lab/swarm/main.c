/* SPDX-License-Identifier: Apache-2.0 */
/* agents ADDRESS PORT CA-FILE: commands on standard input, answers on standard output; swarm.h is
 * the manual. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/number.h"
#include "swarm.h"
#include "sys/file.h"

enum { MAX_WORDS = 16, PIECE = 1 << 16, LINES_AT_ONCE = 2000, RESUME_MS = 5, MAX_CA = 1 << 16 };

struct console {
    struct swarm swarm;
    struct watch *input; /* NULL: not read for now. */
    struct timer *resume;
    struct buf text; /* Read, not done. */
    size_t done;     /* Of it. */
    bool ended;
};

static void answer(const struct buf *b)
{
    (void)puts(buf_str(b));
    (void)fflush(stdout);
}

static void say_state(const struct swarm *s)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    buf_printf(&b,
               "{\"members\": %zu, \"connected\": %zu, \"connects\": %llu, \"resumed\": %llu, "
               "\"failures\": %llu, "
               "\"snapshots\": %llu, \"deltas\": %llu, \"shared\": %llu, \"refused\": %llu, "
               "\"bytes_in\": %llu}",
               s->n_here, s->n_open, (unsigned long long)s->connects,
               (unsigned long long)s->resumed, (unsigned long long)s->failures,
               (unsigned long long)s->snapshots, (unsigned long long)s->deltas,
               (unsigned long long)s->shared_found, (unsigned long long)s->refused,
               (unsigned long long)s->bytes_in);
    answer(&b);
}

static void say_settled(const struct swarm *s)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;
    const char *comma = "";

    buf_printf(&b, "{\"settled\": %zu, \"acks_us\": [", s->n_here);
    for (size_t i = 0; s->mark_ns && i < s->n_members; i++)
        if (s->members[i] && s->members[i]->acked_ns >= s->mark_ns) {
            buf_printf(&b, "%s%llu", comma,
                       (unsigned long long)(s->members[i]->acked_ns - s->mark_ns) / 1000);
            comma = ", ";
        }
    buf_puts(&b, "]}");
    answer(&b);
}

static void say_flushed(const struct swarm *s)
{
    CLEANUP(buf_done) struct buf b = BUF_INIT;

    buf_printf(&b, "{\"flushed\": %llu, \"denied\": %llu, \"untold\": %llu}",
               (unsigned long long)s->records, (unsigned long long)s->denied,
               (unsigned long long)s->untold);
    answer(&b);
}

static bool all_are_settled(const struct swarm *s)
{
    if (s->n_unenrolled || s->n_enrolling || (s->wanted && s->n_open < s->n_here))
        return false;
    for (size_t i = 0; s->wanted && i < s->n_members; i++)
        if (s->members[i] && !member_is_settled(s->members[i], s->wait_revision))
            return false;
    return true;
}

static void go_on(struct console *c)
{
    c->swarm.waits = WAIT_NOTHING;
    if (!timer_is_running(c->resume))
        timer_start(c->resume, 0);
}

static void look(void *user);

/* Looking at all members at each news of one would be quadratic: soon is enough. */
static void news(struct swarm *s)
{
    struct console *c = (struct console *)s;

    if (s->waits != WAIT_NOTHING && !timer_is_running(c->resume))
        timer_start(c->resume, RESUME_MS);
}

static void do_command(struct console *c, char *words[], size_t n)
{
    struct swarm *s = &c->swarm;
    struct member *m = n == 2 ? swarm_find(s, words[1]) : NULL;
    uint64_t port = 0;

    if (strcmp(words[0], "flow") == 0) {
        telling_take(s, words + 1, n - 1);
    } else if (strcmp(words[0], "enrol") == 0 && n == 3) {
        swarm_enrol(s, words[1], words[2]);
    } else if (strcmp(words[0], "connect") == 0) {
        swarm_connect(s);
    } else if (strcmp(words[0], "settle") == 0 && n == 2 &&
               number_parse(words[1], strlen(words[1]), UINT64_MAX, &s->wait_revision) == 0) {
        s->waits = WAIT_SETTLED;
        news(s);
    } else if (strcmp(words[0], "flush") == 0) {
        telling_flush(s);
        s->waits = WAIT_FLUSHED;
        news(s);
    } else if (strcmp(words[0], "mark") == 0) {
        s->mark_ns = swarm_now_ns();
        (void)printf("{\"marked\": %llu}\n", (unsigned long long)s->mark_ns);
        (void)fflush(stdout);
    } else if (strcmp(words[0], "forget") == 0 && m) {
        swarm_forget(s, m);
    } else if (strcmp(words[0], "turn") == 0 && n == 3 &&
               number_parse(words[1], strlen(words[1]), UINT16_MAX, &port) == 0) {
        swarm_turn(s, (uint16_t)port, strcmp(words[2], "bare") == 0);
    } else if (strcmp(words[0], "forget-tickets") == 0) {
        swarm_forget_tickets(s);
    } else if (strcmp(words[0], "drop") == 0) {
        (void)printf("{\"dropped\": %zu}\n", s->n_open);
        (void)fflush(stdout);
        swarm_drop(s);
    } else if (strcmp(words[0], "state") == 0) {
        say_state(s);
    } else {
        swarm_die("unknown command: %s with %zu words", words[0], n);
    }
}

static bool do_line(struct console *c)
{
    char *words[MAX_WORDS], *line = c->text.data + c->done, *end;
    size_t n = 0;

    end = c->done < c->text.size ? memchr(line, '\n', c->text.size - c->done) : NULL;
    if (!end)
        return false;
    *end = 0;
    c->done += (size_t)(end - line) + 1;
    while (n < MAX_WORDS && *(line += strspn(line, " "))) {
        words[n++] = line;
        line += strcspn(line, " ");
        if (*line)
            *line++ = 0;
    }
    if (n)
        do_command(c, words, n);
    return true;
}

static void read_more(int fd, void *user)
{
    struct console *c = user;
    static char piece[PIECE];
    ssize_t n;

    if (c->done == c->text.size) {
        buf_reset(&c->text);
        c->done = 0;
    }
    n = read(fd, piece, sizeof(piece));
    if (n > 0)
        buf_add(&c->text, piece, (size_t)n);
    c->ended = n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
    if (c->ended) {
        watch_free(TAKE_PTR(c->input));
    }
    look(c);
}

static void keep_the_rest(struct console *c)
{
    struct buf rest = BUF_INIT;

    buf_add(&rest, c->text.data + c->done, c->text.size - c->done);
    buf_done(&c->text);
    c->text = rest;
    c->done = 0;
}

/* Does what can be done now. */
static void look(void *user)
{
    struct console *c = user;
    struct swarm *s = &c->swarm;
    size_t lines = 0;

    if (s->waits == WAIT_SETTLED && all_are_settled(s)) {
        say_settled(s);
        go_on(c);
    } else if (s->waits == WAIT_FLUSHED && !s->n_unanswered) {
        say_flushed(s);
        go_on(c);
    }
    if (s->waits == WAIT_NOTHING && s->n_unanswered > SWARM_UNTOLD) {
        timer_start(c->resume, RESUME_MS);
        return;
    }
    while (s->waits == WAIT_NOTHING && lines < LINES_AT_ONCE && do_line(c))
        lines++;
    if (lines == LINES_AT_ONCE) {
        timer_start(c->resume, 0);
        watch_free(TAKE_PTR(c->input));
        return;
    }
    if (s->waits != WAIT_NOTHING) {
        watch_free(TAKE_PTR(c->input));
        return;
    }
    if (c->ended) {
        loop_stop(s->loop);
        return;
    }
    keep_the_rest(c);
    if (!c->input)
        c->input = watch_new(s->loop, STDIN_FILENO, read_more, c);
}

static void raise_file_limit(void)
{
    struct rlimit files = {.rlim_cur = 1 << 17, .rlim_max = 1 << 17};

    if (setrlimit(RLIMIT_NOFILE, &files) == 0 || getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files); /* Then fewer members find room. */
}

/* Programs of megabytes come one after the other: the memory of one is for the next, instead of
 * the kernel's in between. */
static void keep_memory(void)
{
    enum { KEPT = 256 << 20, LARGE = 32 << 20 };

    (void)mallopt(M_TRIM_THRESHOLD, KEPT); /* If not, it is only slower. */
    (void)mallopt(M_MMAP_THRESHOLD, LARGE);
}

int main(int argc, char *argv[])
{
    static struct console c;
    CLEANUP(buf_done) struct buf ca = BUF_INIT;
    struct tls_options stranger = {.role = TLS_CLIENT, .peer_name = TLS_CONTROLLER_NAME};
    struct swarm *s = &c.swarm;
    const char *what = "";
    uint64_t port = 0;

    if (argc != 4 || number_parse(argv[2], strlen(argv[2]), UINT16_MAX, &port) < 0) {
        (void)fputs("usage: agents ADDRESS PORT CA-FILE\n", stderr);
        return 2;
    }
    if (file_read(argv[3], MAX_CA, &ca) < 0)
        swarm_die("%s cannot be read", argv[3]);
    stranger.ca_pem = buf_str(&ca);
    if (tls_new(&stranger, &s->stranger, &what) < 0)
        swarm_die("%s: %s", argv[3], what);
    raise_file_limit();
    keep_memory();
    s->loop = loop_new();
    s->address = argv[1];
    s->port = (uint16_t)port;
    s->progress = news;
    c.resume = timer_new(s->loop, look, &c);
    c.input = watch_new(s->loop, STDIN_FILENO, read_more, &c);
    if (fcntl(STDIN_FILENO, F_SETFL, O_NONBLOCK) < 0)
        swarm_die("standard input: %s", strerror(errno));
    loop_run(s->loop);
    return 0; /* The system takes back what is left. */
}
