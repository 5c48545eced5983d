"""The configuration's schema and its table for the documents, both from the classes in `config`."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from shanshui.config import stages
from shanshui.config.model_section import PARTS, Model
from shanshui.config.schema import Config

BEGIN, END = "<!-- options: begin (python -m shanshui options) -->", "<!-- options: end -->"
STAGES = "<!-- stages: begin (python -m shanshui options) -->", "<!-- stages: end -->"


def schema() -> dict[str, Any]:
    """Return the JSON schema of `config.yaml`, for completion in editors."""
    generated = Config.model_json_schema()
    parity = generated["properties"]["parity"]
    generated["properties"]["parity"] = {"anyOf": [parity, {"enum": ["winner", "intended"]}]}
    model = generated["$defs"]["Model"]["properties"]
    for part, kinds in PARTS.items():
        model[part] = {"anyOf": [model[part], {"enum": list(kinds)}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **generated}


def option_table() -> str:
    """Return a Markdown table of every option with default and meaning, one section after the other."""
    lines = ["| option | default | meaning |", "|---|---|---|", *_rows(Config, "")]
    return "\n".join([BEGIN, "", *lines, "", END])


def place(document: str) -> str:
    """Insert the table of options between its two markers in `document`."""
    return _between(document, BEGIN, END, option_table())


def place_stages(document: str) -> str:
    """Insert the table of stages between its two markers in `document`."""
    begin, end = STAGES
    return _between(document, begin, end, f"{begin}\n\n{stages.stage_table()}\n\n{end}")


def _between(document: str, begin: str, end: str, text: str) -> str:
    before, _, rest = document.partition(begin)
    return before + text + rest.partition(end)[2]


def _rows(section: type[BaseModel], prefix: str) -> list[str]:
    rows = []
    for name, field in section.model_fields.items():
        inner = _section(field.annotation)
        if section is Model and name in PARTS:
            rows += _network_rows(field, PARTS[name], f"{prefix}{name}")
        elif inner is not None:
            if field.default is None:
                rows.append(f"| `{prefix}{name}` | `null` | {field.description} |")
            rows += _rows(inner, f"{prefix}{name}.")
        else:
            rows.append(f"| `{prefix}{name}` | {_default(field)} | {field.description}{_choices(field.annotation)} |")
    return rows


def _network_rows(field: FieldInfo, kinds: Mapping[str, type[BaseModel]], place: str) -> list[str]:
    """Return the row of the choice of a network, and rows of all networks' options; equal ones share a row."""
    names = ", ".join(f"`{name}`" for name in kinds)
    having: dict[str, list[str]] = {}
    for name, kind in kinds.items():
        for row in _rows(kind, f"{place}."):
            having.setdefault(row, []).append(name)
    rows = [f"| `{place}` | `{field.get_default(call_default_factory=True).name}` | {field.description} ({names}) |"]
    for row in sorted(having, key=lambda row: row.split("`")[1]):
        if f"| `{place}.name` |" not in row:
            who = "" if len(having[row]) == len(kinds) else f"{', '.join(having[row])}: "
            option, default, meaning = row.removeprefix("| ").split(" | ", 2)
            rows.append(f"| {option} | {default} | {who}{meaning}")
    return rows


def _section(annotation: object) -> type[BaseModel] | None:
    kinds = get_args(annotation) if get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)


def _choices(annotation: object) -> str:
    kinds = [annotation, *get_args(annotation)]
    choices = [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]
    return f" ({', '.join(f'`{choice}`' for choice in choices)})" if choices else ""


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "-"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, list) and len(value) > 6:
        return f"{len(value)} values"
    if value is None:
        return "`null`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
