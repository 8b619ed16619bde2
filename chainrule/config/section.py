"""What all sections of the configuration have in common."""

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, model_validator

LARGEST = 2**63 - 1  # what a TOML integer, a JSON reader and a 64-bit machine agree on


MOST_PATH_LETTERS = 4096  # PATH_MAX of Linux


def a_place(given: str | None) -> str | None:
    """Refuses what no file or folder is called."""
    if given is None:
        return None
    if not given.strip():
        raise ValueError(f"{given!r} names nothing (a shell variable that is not set?); leave it out, or name a place")
    if "\0" in given:
        raise ValueError(f"{given[:MOST_PATH_LETTERS]!r} has a NUL, as no path has; name a file or folder")
    if len(given) > MOST_PATH_LETTERS:
        raise ValueError(f"a path of {len(given):,} letters is longer than any; the most is {MOST_PATH_LETTERS:,}")
    return given


class Section(BaseModel):
    """Frozen; unknown keys, NaN, infinity and numbers beyond 64 bits are refused; a field's docstring is its help."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True, validate_default=True
    )

    @model_validator(mode="before")
    @classmethod
    def _means_what_it_says(cls, given: Any) -> Any:
        """Refuses what pydantic would quietly turn into something else, or what no file can hold."""
        for key, value in given.items() if isinstance(given, Mapping) else ():
            if isinstance(value, bool) and key in cls.model_fields and _is_number(cls.model_fields[key].annotation):
                raise ValueError(f"{key}={str(value).lower()} is not a number")
            if isinstance(value, int) and abs(value) > LARGEST:
                shown = f"={value}" if abs(value) < 10**100 else ", a number of hundreds of digits,"
                raise ValueError(f"{key}{shown} is too large; the largest whole number is {LARGEST}")
            for text in value if isinstance(value, list | tuple) else (value,):
                if (
                    isinstance(text, str)
                    and not text.isascii()
                    and any("\ud800" <= letter <= "\udfff" for letter in text)
                ):
                    raise ValueError(f"{key}={text!a} is not Unicode text; give its folder, or rename it to UTF-8")
        return given

    @property
    def automatic(self) -> frozenset[str]:
        """Names of the settings that were not given and follow from others, such as hidden_dim from emb_dim."""
        fields = type(self).model_fields
        return frozenset(name for name in fields if fields[name].default_factory) - self.model_fields_set


def _is_number(annotation: Any) -> bool:
    return annotation in (int, float) or any(map(_is_number, get_args(annotation)))
