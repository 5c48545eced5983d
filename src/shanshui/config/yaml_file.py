"""Read YAML strictly: values that YAML parses differently from how they look are refused, or recorded for messages.

YAML 1.1, which Snakemake reads too, silently takes the second of two equal keys, `012` for ten, `1:30` for ninety,
`2022-11-28` for a date, `no` for false. The first four are refused with their lines; the last is right for a switch, so
the word is recorded for the message if the option is none.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from shanshui.errors import UsageError
from shanshui.storage.texts import read_text

Place = tuple[str, ...]
Words = dict[Place, str]
MEANT = "write it in quotes if it is a name"
REFUSED = {  # tag and what is written -> what YAML takes it for
    "tag:yaml.org,2002:int": ((re.compile(r"[-+]?0[0-9_]+$"), "an octal number"), (re.compile(r".*:"), "minutes")),
    "tag:yaml.org,2002:float": ((re.compile(r".*:"), "minutes"),),
    "tag:yaml.org,2002:timestamp": ((re.compile(r""), "a date"),),
    "tag:yaml.org,2002:binary": ((re.compile(r""), "bytes in base64"),),
}
KNOWN = {f"tag:yaml.org,2002:{name}" for name in ("map", "seq", "str", "merge", *("bool", "null", "int", "float"))}
PLAIN = {"tag:yaml.org,2002:bool", "tag:yaml.org,2002:null", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"}


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


class _Reading:
    """Checks one document, and records its plain words by place."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.words: Words = {}
        self.seen: set[int] = set()

    def look(self, node: yaml.Node, place: Place = (), above: tuple[int, ...] = ()) -> None:
        """Check a node and all below it; raise UsageError for the first value that YAML reads as something else."""
        if id(node) in above:
            raise UsageError(f"{self.source}, line {_line(node)}: an alias that contains itself", "plain values")
        if id(node) in self.seen:
            return
        self.seen.add(id(node))
        above = (*above, id(node))
        if node.tag not in KNOWN and node.tag not in REFUSED:
            what = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise UsageError(
                f"{self.source}, line {_line(node)}: {'.'.join(place)}: a value of the kind {what}",
                "plain values, lists and `name: value`",
                "write a list as [a, b]: a set has no order",
            )
        if isinstance(node, yaml.MappingNode):
            self._mapping(node, place, above)
        elif isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                self.look(item, (*place, str(number)), above)
        else:
            self._scalar(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place, above: tuple[int, ...]) -> None:
        lines: dict[str, int] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise UsageError(f"{self.source}, line {_line(key)}: a name that is no text", "name: value")
            if key.value in lines:
                where = ".".join((*place, key.value))
                raise UsageError(
                    f"{self.source}: {where} stands in line {lines[key.value]} and again in line {_line(key)}",
                    "every name once: of two, YAML takes the last and forgets the first",
                    "write what belongs together under one of them",
                )
            lines[key.value] = _line(key)
            self.look(value, (*place, key.value), above)

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> None:
        if node.style is not None:  # in quotes, or a block of text
            return
        for pattern, taken in REFUSED.get(node.tag, ()):
            if pattern.match(node.value):
                raise UsageError(
                    f"{self.source}, line {_line(node)}: {'.'.join(place)}: {node.value}, which YAML takes for {taken}",
                    "a plain number or text",
                    f"{MEANT}, without zeros in front if it is a number",
                )
        if node.tag in PLAIN:
            self.words[place] = node.value


def _object(pairs: Sequence[tuple[str, object]], source: str) -> dict[str, Any]:
    """Create a JSON object; raise UsageError if a name occurs twice."""
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UsageError(f"{source}: {twice} stands twice in one place", "every name once")
    return dict(pairs)


def parse(text: str, source: str) -> tuple[dict[str, Any], Words]:
    """Parse the mapping in a YAML text, and its plain words, such as `no`, by place.

    Args:
        text: YAML or JSON.
        source: how error messages call the file.

    Raises:
        UsageError: it is not YAML or not a mapping, a name occurs twice, or YAML reads a value as something else.
    """
    reading = _Reading(source)
    with contextlib.suppress(ValueError):  # Snakemake takes JSON too, which with tabs is no YAML
        found = json.loads(text, object_pairs_hook=lambda pairs: _object(pairs, source))
        if isinstance(found, dict):
            return found, {}
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        if node is None:
            return {}, {}
        if not isinstance(node, yaml.MappingNode):
            raise UsageError(f"{source} holds no options", "lines of `name: value`, as in config.yaml")
        reading.look(node)
        found = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = "too deep" if isinstance(error, RecursionError) else error
        do = "indent by spaces, not by tabs" if "'\\t'" in str(said) else ""
        raise UsageError(f"{source} is not valid YAML: {said}", do=do) from None
    return found, reading.words


def read_yaml(path: str | Path) -> tuple[dict[str, Any], Words]:
    """Read a YAML file of options, see `parse`.

    Raises:
        UsageError: the file does not exist, or as for `parse`.
        ShanshuiError: it cannot be read or is not UTF-8.
    """
    if not Path(path).exists():
        raise UsageError(f"{path} does not exist", "a YAML file like config.yaml")
    return parse(read_text(path, "the configuration", "a YAML file like config.yaml"), str(path))


def words_of(paths: Sequence[str | Path]) -> Words:
    """Return the plain words of several files by place; later files override earlier ones."""
    return {place: word for path in paths for place, word in read_yaml(path)[1].items()}
