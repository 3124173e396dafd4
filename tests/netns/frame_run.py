# SPDX-License-Identifier: Apache-2.0
"""Frames straight into the programs at a port (BPF_PROG_TEST_RUN): the verdict of each one, hundreds
of thousands of them, and how long one takes."""
import ctypes
import errno
import os
import struct

from labkit.system import CLONE_NEWNET, NETNS, enter_namespace

OBJ_GET, PROG_TEST_RUN, PROG_GET_FD_BY_ID, OBJ_GET_INFO_BY_FD = 7, 10, 13, 15  # enum bpf_cmd
SYS_BPF, SK_BUFF_SIZE, IFINDEX_AT = 321, 192, 40  # struct __sk_buff
PASS, DROP = 0xffffffff, 2  # TC_ACT_UNSPEC, TC_ACT_SHOT
SHORTEST = 34  # Ethernet and IPv4: the kernel takes no shorter ones here.

_libc = ctypes.CDLL(None, use_errno=True)


def bpf(command, layout, *values):
    """The attributes as the kernel left them, and what it returned."""
    attr = ctypes.create_string_buffer(struct.pack(layout, *values), 128)
    done = _libc.syscall(SYS_BPF, command, attr, 128)
    if done < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return done, attr.raw


class Runner:
    """The program of one port and direction ("out" of the guest, or "in"); needs tcx."""

    def __init__(self, edge, port, direction):
        self.home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        enter_namespace(NETNS / edge.lab.net, CLONE_NEWNET)
        try:
            self.program = self._find(edge.pins, port, direction)
        except BaseException:
            self.close()
            raise

    def _find(self, pins, port, direction):
        with open("/proc/self/net/dev", encoding="ascii") as known:
            assert f"{port}:" in known.read()
        self.ifindex = ctypes.CDLL(None).if_nametoindex(port.encode())
        for path in pins.glob(f"link_*_{direction}"):
            name = ctypes.create_string_buffer(str(path).encode())
            link, _ = bpf(OBJ_GET, "<QII", ctypes.addressof(name), 0, 0)
            info = ctypes.create_string_buffer(64)  # type, id, program, pad, then tcx: ifindex
            bpf(OBJ_GET_INFO_BY_FD, "<IIQ", link, 64, ctypes.addressof(info))
            program, ifindex = struct.unpack_from("<I4xI", info.raw, 8)
            os.close(link)
            if ifindex == self.ifindex:
                self.id = program
                return bpf(PROG_GET_FD_BY_ID, "<I", program)[0]
        raise AssertionError(f"no program of {port} among {list(pins.glob('link_*'))}")

    def close(self):
        enter_namespace(f"/proc/self/fd/{self.home}", CLONE_NEWNET)
        os.close(self.home)
        if hasattr(self, "program"):
            os.close(self.program)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def run(self, frame, repeat=1):
        """(verdict, nanoseconds); None for the verdict: the kernel takes no such frame here."""
        data = ctypes.create_string_buffer(bytes(frame), len(frame))
        context = ctypes.create_string_buffer(SK_BUFF_SIZE)
        struct.pack_into("<I", context, IFINDEX_AT, self.ifindex)
        try:
            _, attr = self._test(data, context, len(frame), repeat)
        except OSError as e:
            if e.errno != errno.EINVAL:  # Shorter than the header that its type announces.
                raise
            return None, 0
        return struct.unpack_from("<4xI", attr)[0], struct.unpack_from("<I", attr, 36)[0]

    def _test(self, data, context, size, repeat):
        return bpf(PROG_TEST_RUN, "<IIIIQQIIIIQQ", self.program, 0, size, 0, ctypes.addressof(data), 0,
                   repeat, 0, SK_BUFF_SIZE, 0, ctypes.addressof(context), 0)
