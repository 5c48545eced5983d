"""Small sizes for all kinds of networks: whatever the chosen ones do not know is left out of a configuration."""

from __future__ import annotations

from typing import Any

from shanshui.config.model_section import PARTS, USES, Model, without_effect

USUAL = {"generator": "apf", "discriminator": "progressive"}  # where a section of options has no name


def fitting(sections: dict[str, Any]) -> dict[str, Any]:
    """The same sections without the options that their networks do not have, or would ignore."""
    given = sections.get("model", {})
    model = {**given, **{part: _own(part, given[part]) for part in PARTS if isinstance(given.get(part), dict)}}
    checked = Model.model_validate(model)
    return {
        name: {k: v for k, v in options.items() if name not in USES or k not in without_effect(checked, name)}
        if isinstance(options, dict)
        else options
        for name, options in {**sections, "model": model}.items()
    }


def _own(part: str, options: dict[str, Any]) -> dict[str, Any]:
    name = options.get("name", USUAL[part])
    left_out = {"count"} if name == "fpse" else set()  # its training resolutions, of generators that grow
    return {"name": name} | {k: v for k, v in options.items() if k in {*PARTS[part][name].model_fields} - left_out}
