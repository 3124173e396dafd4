# SPDX-License-Identifier: Apache-2.0
"""Raw frames out of and into hosts: what root inside a guest can do with a packet socket."""
import os
import socket
import struct
import time

from labkit.system import CLONE_NEWNET, NETNS, PATIENCE, LabError, enter_namespace

ETH_P_ALL = 3
PACKET_OUTGOING = 4
SOL_PACKET, PACKET_AUXDATA = 263, 8  # <linux/if_packet.h>
VLAN_VALID, TPID_VALID = 0x10, 0x40  # tpacket_auxdata.tp_status


def within(host, make):
    """What make() returns, called in the host's network namespace: sockets stay there."""
    home = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        enter_namespace(NETNS / host.namespace, CLONE_NEWNET)
        return make()
    finally:
        enter_namespace(f"/proc/self/fd/{home}", CLONE_NEWNET)
        os.close(home)


def socket_in(host, family, kind=socket.SOCK_STREAM):
    made = within(host, lambda: socket.socket(family, kind))
    made.settimeout(5 * PATIENCE)
    return made


class Wire:
    """A packet socket at a host's interface."""

    def __init__(self, host, interface="eth0"):
        self.socket = within(host, lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                                         socket.htons(ETH_P_ALL)))
        self.socket.bind((interface, ETH_P_ALL))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 24)
        self.socket.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
        self.socket.setblocking(False)

    def send(self, *frames):
        for frame in frames:
            self.socket.send(bytes(frame))

    def received(self):
        """Frames that have arrived since the last look."""
        frames = []
        while True:
            try:
                data, extra, _, where = self.socket.recvmsg(65536, 256)
            except BlockingIOError:
                return frames
            if where[2] != PACKET_OUTGOING:
                frames.append(with_tag(data, extra))

    def received_until(self, fence, limit_s=5):
        """Frames up to and without the fence, which was sent last."""
        fence, frames, end = bytes(fence), [], time.monotonic() + limit_s * PATIENCE
        while True:
            late = time.monotonic() > end
            for frame in self.received():
                if frame[:len(fence)] == fence:
                    return frames
                frames.append(frame)
            if late:
                raise LabError(f"the fence did not arrive; {len(frames)} other frames did")
            time.sleep(0.001)

    def close(self):
        self.socket.close()


def with_tag(data, extra):
    """The frame as it was on the wire: the kernel takes the outer VLAN tag out and tells it aside."""
    for level, kind, value in extra:
        if (level, kind) == (SOL_PACKET, PACKET_AUXDATA):
            status, _, _, _, _, tci, tpid = struct.unpack("IIIHHHH", value[:20])
            if status & VLAN_VALID:
                tpid = tpid if status & TPID_VALID else 0x8100
                return data[:12] + struct.pack(">HH", tpid, tci) + data[12:]
    return data


def has(frames, frame):
    """True when the frame is among those that arrived, padded or not."""
    frame = bytes(frame)
    return any(f[:len(frame)] == frame for f in frames)
