"""Run a part of a program where there is no network but loopback, with the threads and processes that it starts."""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

CLONE_NEWNET = 0x40000000  # linux/sched.h
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # linux/sockios.h, linux/if.h


@contextmanager
def leave_the_network() -> Iterator[str]:
    """Move the calling thread to a network namespace whose only interface is loopback, and back at the end.

    Yields:
        Nothing, or why the kernel refuses it.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/thread-self/ns/net") as before:
        if libc.unshare(CLONE_NEWNET):
            yield f"no network namespace: {os.strerror(ctypes.get_errno())}"
            return
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
                fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
            yield ""
        finally:
            assert not libc.setns(before.fileno(), CLONE_NEWNET), os.strerror(ctypes.get_errno())


def network_of(process: str) -> str:
    """The network namespace of a process, by its number or `thread-self`."""
    return os.readlink(f"/proc/{process}/ns/net")
