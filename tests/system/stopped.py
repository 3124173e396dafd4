"""What is asked takes as long as a test likes: the daemon's helpers are stopped, and it goes on."""
import concurrent.futures
import contextlib
import ctypes
import os
import signal

CONT, DETACH, GETEVENTMSG, SEIZE, INTERRUPT = 7, 17, 0x4201, 0x4206, 0x4207
TELL_FORKS, FORKED = 2, signal.SIGTRAP | 1 << 8
ANY_THREAD = 0x40000000  # Of waitpid(): __WALL.


def ptrace(request, pid, data=None, address=None):
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.ptrace(request, pid, ctypes.c_void_p(address), data) >= 0, os.strerror(ctypes.get_errno())


@contextlib.contextmanager
def nothing_is_read(c):
    """Stops the daemon's threads but the loop's: the history answers nothing meanwhile."""
    threads = [t for t in map(int, os.listdir(f"/proc/{c.process.pid}/task")) if t != c.process.pid]
    for t in threads:
        ptrace(SEIZE, t)
        ptrace(INTERRUPT, t)
        os.waitpid(t, ANY_THREAD)
    try:
        yield
    finally:
        for t in threads:
            ptrace(DETACH, t)


def born_stopped(c, ask):
    """What 'ask' makes the daemon do in a process of its own has not even begun: that is stopped as it is born."""
    daemon, child = c.process.pid, ctypes.c_ulong()
    with concurrent.futures.ThreadPoolExecutor(1) as beside:
        ptrace(SEIZE, daemon, TELL_FORKS)
        asked = beside.submit(ask)
        while (why := os.waitpid(daemon, ANY_THREAD)[1] >> 8) != FORKED:
            ptrace(CONT, daemon, why)  # A signal.
        ptrace(GETEVENTMSG, daemon, ctypes.byref(child))
        os.waitpid(child.value, ANY_THREAD)
        os.kill(child.value, signal.SIGSTOP)  # Comes when we let go, before it does anything.
        ptrace(DETACH, child.value)
        ptrace(DETACH, daemon)
        return asked.result()
