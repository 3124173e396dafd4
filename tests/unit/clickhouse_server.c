/* SPDX-License-Identifier: Apache-2.0 */
#include "unit/clickhouse_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "unit/test.h"

enum { LOOKS = 9000, LOOK_MS = 20 };

static pid_t server;
static int ports[3]; /* HTTP, its own protocol, replication: it wants all of them. */

static const char program[] = "/usr/sbin/clickhouse-server";

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* Kept by sockets that do not listen: else another program may be given one while the server is
 * down. */
static void find_ports(void)
{
    const int one = 1;

    for (int i = 0; i < 3; i++) {
        struct sockaddr_in a = loopback(0);
        socklen_t size = sizeof(a);
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

        assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)), 0);
        assert_int_equal(bind(fd, (struct sockaddr *)&a, size), 0);
        assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
        ports[i] = ntohs(a.sin_port);
    }
}

static void write_files(const char *folder)
{
    char path[200];
    FILE *f;

    (void)snprintf(path, sizeof(path), "%s/config.xml", folder);
    f = fopen(path, "we");
    assert_non_null(f);
    fprintf(f,
            "<yandex><logger><level>warning</level><log>%s/log</log></logger>"
            "<http_port>%d</http_port><tcp_port>%d</tcp_port>"
            "<interserver_http_port>%d</interserver_http_port><listen_host>127.0.0.1</listen_host>"
            "<path>%s/data/</path><tmp_path>%s/tmp/</tmp_path>"
            "<user_files_path>%s/files/</user_files_path><users_config>%s/users.xml</users_config>"
            "<default_profile>default</default_profile><default_database>default</default_database>"
            "<mark_cache_size>5368709</mark_cache_size></yandex>\n",
            folder, ports[0], ports[1], ports[2], folder, folder, folder, folder);
    assert_int_equal(fclose(f), 0);
    (void)snprintf(path, sizeof(path), "%s/users.xml", folder);
    f = fopen(path, "we");
    assert_non_null(f);
    fprintf(f,
            "<yandex><profiles><default></default></profiles><users><default><password></password>"
            "<networks><ip>127.0.0.1</ip></networks><profile>default</profile>"
            "<quota>default</quota></default></users><quotas><default></default></quotas>"
            "</yandex>\n");
    assert_int_equal(fclose(f), 0);
}

static bool answers(void)
{
    struct sockaddr_in a = loopback(ports[0]);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool good = connect(fd, (struct sockaddr *)&a, sizeof(a)) == 0;

    (void)close(fd);
    return good;
}

static void run(const char *folder)
{
    char option[200];
    int nothing = open("/dev/null", O_RDWR);

    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)snprintf(option, sizeof(option), "--config-file=%s/config.xml", folder);
    (void)dup2(nothing, 0);
    (void)dup2(nothing, 1);
    (void)dup2(nothing, 2);
    (void)execl(program, program, option, (char *)NULL);
    _exit(127);
}

bool clickhouse_begin(const char *folder)
{
    const struct timespec a_while = {.tv_nsec = LOOK_MS * 1000000};

    if (access(program, X_OK) < 0)
        return false;
    if (!ports[0]) {
        find_ports();
        write_files(folder);
    }
    server = fork();
    assert_true(server >= 0);
    if (server == 0)
        run(folder);
    for (int i = 0; i < LOOKS && !answers(); i++)
        (void)nanosleep(&a_while, NULL);
    assert_true(answers());
    return true;
}

void clickhouse_kill(void)
{
    if (server <= 0)
        return;
    (void)kill(server, SIGKILL);
    (void)waitpid(server, NULL, 0);
    server = 0;
}

int clickhouse_port(void)
{
    return ports[0];
}
