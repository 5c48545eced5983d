"""The base of all sections of the configuration, which those of architectures and plug-ins share.

Imports pydantic only.
"""

from __future__ import annotations

from typing import Annotated, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

Positive = Annotated[int, Field(ge=1)]
NonNegative = Annotated[int, Field(ge=0)]
Weight = Annotated[float, Field(ge=0)]


def _choices(annotation: object) -> list[object]:
    """Return all literal values an option accepts."""
    return [choice for part in get_args(annotation) for choice in (get_args(part) or [part])]


def _is_number(annotation: object) -> bool:
    """Return whether an option takes numbers and is not a switch."""
    kinds = {annotation, *get_args(annotation)}
    return bool(kinds & {int, float}) and bool not in kinds


def _word(value: bool, switch: bool, number: bool) -> object:
    """Return the meaning of a YAML boolean: `on` or `off` for a switch, a (refused) word for a number, else itself."""
    if switch:
        return "on" if value else "off"
    return str(value).lower() if number else value


class Section(BaseModel):
    """Base of all sections: unknown names are refused, values cannot change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def words_of_yaml(cls, value: object) -> object:
        """Restore the words `on` and `off`, which YAML 1.1 reads as true and false, in names and values.

        For an option that takes numbers, a boolean is replaced by the word, which is refused.
        """
        if not isinstance(value, dict):
            return value
        named = {"on" if key is True else key: item for key, item in value.items()}
        named |= {key: item for key, item in value.items() if key == "on"}  # in quotes, it is the one laid over
        words = {name for name, field in cls.model_fields.items() if {"on", "off"} & set(_choices(field.annotation))}
        numbers = {name for name, field in cls.model_fields.items() if _is_number(field.annotation)}
        return {k: v if not isinstance(v, bool) else _word(v, k in words, k in numbers) for k, v in named.items()}
