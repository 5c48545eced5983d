"""Read text files of users: UTF-8 with or without byte order mark, or UTF-16 with one; others are refused."""

from __future__ import annotations

import codecs
from pathlib import Path

from shanshui.errors import ShanshuiError
from shanshui.storage.kinds import HEAD, recognised
from shanshui.storage.names import GUESSES

MARKS = (  # longest first: that of UTF-32 begins as that of UTF-16 does
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
SHOWN = 20


def _guess(line: bytes) -> tuple[str, str]:
    """Guess the encoding of a line and return it with the decoded text; both empty if no encoding fits."""
    for encoding in GUESSES:
        try:
            text = line.decode(encoding).strip()
        except UnicodeDecodeError:
            continue
        if text.isprintable():
            return encoding, text[:SHOWN]
    return "", ""


def decode_text(raw: bytes, source: str, what: str = "text in UTF-8") -> str:
    """Decode the text of a file: UTF-8 with or without byte order mark, or UTF-16 and UTF-32 with one.

    Args:
        raw: content of the file.
        source: how the error message calls the file.
        what: what was expected, for the error message.

    Raises:
        ShanshuiError: it is another encoding, with the line and a likely encoding, or not text at all.
    """
    encoding = next((name for mark, name in MARKS if raw.startswith(mark)), "utf-8")
    kind = recognised(raw[:HEAD])
    if kind or (encoding.startswith("utf-8") and b"\0" in raw):
        kind = kind or "it holds bytes of zero, perhaps UTF-16 without its mark, or a binary file"
        raise ShanshuiError(f"{source} is no text: {kind}", f"{what}, in UTF-8", "name the file that is meant")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as error:
        if encoding != "utf-8" and encoding != "utf-8-sig":
            raise ShanshuiError(f"{source} is broken {encoding.upper()}: {error.reason}", f"{what}, in UTF-8") from None
        number = raw[: error.start].count(b"\n") + 1
        likely, text = _guess(raw.split(b"\n")[number - 1])
        reads = f"; it may be {likely.upper()}, in which it reads `{text}`" if likely else ""
        convert = f"iconv -f {likely} -t utf-8 FILE > NEW" if likely else "save it as UTF-8 in a text editor"
        raise ShanshuiError(
            f"{source} is not UTF-8: byte 0x{raw[error.start]:02x} in line {number}{reads}",
            f"{what}, in UTF-8",
            convert,
        ) from None


def read_text(path: str | Path, title: str, what: str, do: str = "") -> str:
    """Read a text file by `decode_text`; error messages call it `title` and `path`.

    Raises:
        ShanshuiError: the file cannot be read or is not UTF-8.
    """
    try:
        raw = Path(path).read_bytes()
    except OSError as error:
        raise ShanshuiError(f"{title} {path} cannot be read: {error.strerror}", what, do) from None
    return decode_text(raw, f"{title} {path}", what)
