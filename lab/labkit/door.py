# SPDX-License-Identifier: Apache-2.0
"""Carries connections from this machine's own loopback to a port inside a host of the lab.

  door.py FD PORT    FD is a listening socket that was made outside; it stays in the namespace where it
                     was made, and this program runs inside the host."""
import asyncio
import contextlib
import socket
import sys

CHUNK = 65536


async def pump(reader, writer):
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
        writer.write_eof()


async def carry(reader, writer, port):
    try:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        writer.close()
        return
    await asyncio.gather(pump(reader, inner_writer), pump(inner_reader, writer))
    for w in (writer, inner_writer):
        w.close()


async def serve(listener, port):
    server = await asyncio.start_server(lambda r, w: carry(r, w, port), sock=listener)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])))
