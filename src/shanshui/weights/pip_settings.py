"""Package sources of pip: its configuration files and environment variables, queried from pip."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

DEFAULT_INDEX = "https://pypi.org/simple"
SECTIONS = ("global", "download", ":env:")  # a later one wins
TRUE = ("1", "true", "yes", "on")


@dataclass(frozen=True)
class PipSettings:
    """Settings of pip for fetching an archive.

    Attributes:
        indexes: addresses of simple indexes, the main one first.
        find_links: folders and pages of links.
        certificate: file of certificate authorities; None for the usual ones.
        client_certificate: file of the client's certificate; None without one.
        proxy: address; None for that of the environment.
        trusted: hosts whose certificates are not checked.
        timeout: seconds.
    """

    indexes: tuple[str, ...] = (DEFAULT_INDEX,)
    find_links: tuple[str, ...] = ()
    certificate: str | None = None
    client_certificate: str | None = None
    proxy: str | None = None
    trusted: tuple[str, ...] = ()
    timeout: float = 60.0


def without_password(address: str) -> str:
    """Hide name and password in an address."""
    parts = urlsplit(address)
    if "@" not in parts.netloc:
        return address
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))


def parse(lines: str, environment: Mapping[str, str]) -> PipSettings:
    """Parse the output of `pip config list`; options that it lacks are taken from PIP_* variables in `environment`."""
    found: dict[str, dict[str, str]] = {section: {} for section in SECTIONS}
    for line in lines.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if section in found:
            try:
                found[section][option] = str(ast.literal_eval(value))
            except (SyntaxError, ValueError):
                found[section][option] = value
    for name, value in environment.items():
        if name.startswith("PIP_") and value:
            found[":env:"].setdefault(name.removeprefix("PIP_").lower().replace("_", "-"), value)
    merged = {option: value for section in SECTIONS for option, value in found[section].items()}
    indexes = (merged.get("index-url", DEFAULT_INDEX), *merged.get("extra-index-url", "").split())
    try:
        timeout = float(merged.get("timeout") or merged.get("default-timeout") or PipSettings.timeout)
    except ValueError:
        timeout = PipSettings.timeout
    return PipSettings(
        () if merged.get("no-index", "").lower() in TRUE else tuple(index for index in indexes if index),
        tuple(merged.get("find-links", "").split()),
        merged.get("cert") or None,
        merged.get("client-cert") or None,
        merged.get("proxy") or None,
        tuple(merged.get("trusted-host", "").split()),
        timeout,
    )


def pip_settings() -> PipSettings:
    """Query the settings of pip; without pip, read them from the environment."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    return parse(done.stdout if done.returncode == 0 else "", os.environ)
