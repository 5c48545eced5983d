"""Draw on the page where there is no network but loopback: `python tests/paint_alone.py FOLDER`.

Ends with status 77 where the kernel refuses a network namespace.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
import sys
from pathlib import Path

REFUSED = 77
CLONE_NEWUSER, CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
SIOCSIFFLAGS, IFF_UP = 0x8914, 1  # linux/sockios.h, linux/if.h


def leave_the_network() -> None:
    """Move this process, and those that it starts, to a network namespace whose only interface is loopback."""
    flags = CLONE_NEWNET | (CLONE_NEWUSER if os.geteuid() else 0)
    if ctypes.CDLL(None, use_errno=True).unshare(flags):
        print(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        raise SystemExit(REFUSED)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", IFF_UP))
    assert [name for _, name in socket.if_nameindex()] == ["lo"]
    with socket.socket() as outwards:
        assert outwards.connect_ex(("192.0.2.1", 80)) == errno.ENETUNREACH


def draw(folder: Path) -> None:
    """Open the page, use a ready-made style, draw a stroke, see its image, and save it."""
    from paint_browser import launched, opened, same_colours
    from paint_server import running
    from playwright.sync_api import sync_playwright

    with (
        sync_playwright() as playwright,
        launched(playwright) as browser,
        running(folder, "--style") as served,
        opened(browser, served) as site,
    ):
        before = site.settled()
        site.choose("rock")
        site.drag((20, 20), (90, 60))
        assert site.settled() > before
        assert same_colours(site.image(), site.ids())
        site.page.click("#styles .picture >> nth=0")
        site.until("document.querySelector('#styles .picture').ariaPressed === 'true'")
        site.settled()
        with site.page.expect_download():
            site.page.click("#export")


if __name__ == "__main__":
    leave_the_network()
    draw(Path(sys.argv[1]))
