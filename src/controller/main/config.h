/* SPDX-License-Identifier: Apache-2.0 */
/* config.h - the daemon's settings: command line over file over defaults
 *
 * The file has lines "key: value" with the names of the options; '#' begins a comment.  A wrong
 * setting is told with its place, what was found, what was expected, and how to mend it. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "controller/exporters/exporters.h"

enum { CONFIG_MAX_NAMES = 16, CONFIG_TEXT_SIZE = 256 };

struct config {
    char state_dir[CONFIG_TEXT_SIZE];
    char run_dir[90]; /* A unix socket below it has room for 108 bytes. */
    char agents_address[64];
    uint16_t agents_port;
    char api_address[64];
    uint16_t api_port;
    char user[64];
    char names[CONFIG_MAX_NAMES][CONFIG_TEXT_SIZE]; /* For the certificate. */
    size_t n_names;
    char history[CONFIG_TEXT_SIZE];          /* As history_open(); empty: a folder of the state. */
    char history_password[CONFIG_TEXT_SIZE]; /* A file; empty: none. */
    uint64_t history_max_age_s;              /* 0: for ever. */
    uint64_t history_max_bytes;              /* 0: no limit. */
    uint64_t history_max_rate;               /* Records a minute of one agent; 0: no limit. */
    uint64_t enrolments;                     /* A minute. */
    char web_dir[CONFIG_TEXT_SIZE];
    bool four_eyes; /* Nobody applies what he himself has proposed. */
    /* Whom to tell what happens; empty: nobody. */
    unsigned syslog_transport; /* enum collector_transport */
    char syslog_address[64];
    uint16_t syslog_port;
    bool syslog_cef;
    char syslog_ca[CONFIG_TEXT_SIZE], syslog_name[CONFIG_TEXT_SIZE];
    char webhook[CONFIG_TEXT_SIZE], webhook_secret[CONFIG_TEXT_SIZE], webhook_ca[CONFIG_TEXT_SIZE];
    struct exporters_config exporters; /* Of network gear. */
    bool debug;
    bool print_openapi;
};

enum config_result { CONFIG_RUN, CONFIG_HELP, CONFIG_BAD };

/* 'message' gets the help, or what is wrong. */
enum config_result config_read(int argc, char *argv[], struct config *ret_c, struct buf *message);
