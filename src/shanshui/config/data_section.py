"""The data options as the stages see them in their settings files."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from shanshui.config.sections import Data
from shanshui.errors import UsageError

NEEDED = ("classes", "label_offset", "ignore_label", "width", "height", "load_width")


def data_section(settings: Mapping[str, Any]) -> Data:
    """Return the section `data` of a stage's settings.

    Raises:
        UsageError: one of `NEEDED` is missing or a value is wrong.
    """
    if missing := [name for name in NEEDED if name not in settings]:
        raise UsageError(f"the settings lack {', '.join(missing)}", "a settings file as written for this stage")
    try:
        return Data(**{name: settings[name] for name in Data.model_fields if name in settings})
    except ValidationError as error:
        raise UsageError(f"the settings are wrong: {error}") from None
