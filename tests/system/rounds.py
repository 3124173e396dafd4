"""What a daemon's loop does, round by round, without a clock: it is stopped at each of its system calls.

A round ends where it asks the kernel for what comes next (epoll).  Whoever waits for the loop waits for rounds, and for what is
done in each; a busy machine makes all of them slower and none of them longer."""
import ctypes
import os
import signal

from stopped import ANY_THREAD, DETACH, INTERRUPT, SEIZE, ptrace

SYSCALL, GET_SYSCALL_INFO, TELL_SYSCALLS = 24, 0x420E, 1
ENTERS, LEAVES = 1, 2
CALLS = {"x86_64": ({232, 281}, {1, 20, 44, 46}), "aarch64": ({22}, {64, 66, 206, 211})}  # epoll_wait; write and its like.
EPOLL, WRITE = CALLS.get(os.uname().machine, (set(), set()))


class _Info(ctypes.Structure):
    _fields_ = [("op", ctypes.c_uint8), ("pad", ctypes.c_uint8 * 3), ("arch", ctypes.c_uint32), ("ip", ctypes.c_uint64),
                ("sp", ctypes.c_uint64), ("number", ctypes.c_uint64), ("args", ctypes.c_uint64 * 6), ("more", ctypes.c_uint64)]


def rounds(pid, written, over):
    """Yields the number of the round at each begin of one and after each write() of the loop's thread, while it is stopped;
    counts what is written, in 'written': {(round, descriptor): bytes}.  Until over()."""
    info, n, call = _Info(), 0, None
    ptrace(SEIZE, pid, TELL_SYSCALLS)
    ptrace(INTERRUPT, pid)
    os.waitpid(pid, ANY_THREAD)
    try:
        while not over():
            ptrace(SYSCALL, pid)
            why = os.waitpid(pid, ANY_THREAD)[1] >> 8
            while why != signal.SIGTRAP | 0x80:  # A signal.
                ptrace(SYSCALL, pid, why & 0xFF)
                why = os.waitpid(pid, ANY_THREAD)[1] >> 8
            ptrace(GET_SYSCALL_INFO, pid, ctypes.byref(info), ctypes.sizeof(info))
            if info.op == ENTERS:
                call = info.number, info.args[0]
                if info.number in EPOLL:
                    n += 1
                    yield n
            elif info.op == LEAVES and call and call[0] in WRITE:
                done = ctypes.c_int64(info.number).value
                if done > 0:
                    written[n, call[1]] = written.get((n, call[1]), 0) + done
                    yield n
    finally:
        ptrace(DETACH, pid)
