"""Small sizes for all kinds of networks: whatever the chosen ones do not know is left out of a configuration."""

from __future__ import annotations

from typing import Any

from shanshui.config.model_section import USES, Model, without_effect


def fitting(sections: dict[str, Any]) -> dict[str, Any]:
    """The same sections without the options that their networks would ignore."""
    model = Model.model_validate(sections.get("model", {}))
    return {
        name: {k: v for k, v in options.items() if name not in USES or k not in without_effect(model, name)}
        if isinstance(options, dict)
        else options
        for name, options in sections.items()
    }
