#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Asks a Modbus server, once or again and again; one JSON line for each request.

  client.py HOST REQUEST...             each request once; exit code 1 when one was not answered well
  client.py --every S HOST REQUEST...   for ever; connects again when a connection is lost

What a request looks like: wire.py.  Results: ok, exception, timeout, reset, refused, denied, closed,
unreachable."""
import argparse
import errno
import json
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import wire  # noqa: E402

WORDS = {errno.ECONNRESET: "reset", errno.ECONNREFUSED: "refused", errno.EPERM: "denied",
         errno.EPIPE: "reset", errno.EHOSTUNREACH: "unreachable", errno.ENETUNREACH: "unreachable"}


def word(error):
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, OSError):
        return WORDS.get(error.errno, "failed")
    return "closed"


class Asker:
    def __init__(self, options):
        self.options, self.client = options, None

    def ask(self, text, pdu):
        try:
            if self.client is None:
                self.client = wire.Client(self.options.host, self.options.port, self.options.limit)
            said = self.client.ask(pdu)
        except (OSError, wire.Closed) as e:
            said = {"function": pdu[0], "result": word(e)}
            if self.client:
                self.client.close()
            self.client = None
        print(json.dumps({"at": round(time.time(), 2), "request": text, **said}), flush=True)
        return said["result"] == "ok"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=float, metavar="S", help="again after this many seconds")
    parser.add_argument("--limit", type=float, default=1.0, metavar="S", help="for an answer (default 1)")
    parser.add_argument("--port", type=int, default=wire.PORT)
    parser.add_argument("host", metavar="HOST")
    parser.add_argument("requests", nargs="+", metavar="REQUEST")
    options = parser.parse_args()
    try:
        requests = [(text, wire.request(text)) for text in options.requests]
    except ValueError as e:
        parser.error(str(e))
    asker = Asker(options)
    while True:
        fine = all([asker.ask(text, pdu) for text, pdu in requests])
        if not options.every:
            if asker.client:
                asker.client.close()
            return 0 if fine else 1
        time.sleep(options.every)


if __name__ == "__main__":
    sys.exit(main())
