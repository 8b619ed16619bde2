"""Rotary positions in Hugging Face's words, both ways: their base, and what slows them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from chainrule.base import CheckpointError
from chainrule.config import SCALED_BY, ModelConfig

# Where readers of various ages look for what scales the positions; all of them are asked, so that none is passed over.
SECTIONS = ("rope_parameters", "rope_scaling")
KINDS = {"default": "none", "linear": "linear", "llama3": "llama3"}
NAMES = {
    "factor": "rope_factor",
    "low_freq_factor": "rope_low_freq_factor",
    "high_freq_factor": "rope_high_freq_factor",
    "original_max_position_embeddings": "rope_original_context",
}
WHOLE_HEADS = 1.0  # partial_rotary_factor


def rope_to_settings(config: ModelConfig) -> dict[str, Any]:
    """The entries of a config.json; transformers 5 reads the first, version 4 and llama.cpp's converter the others."""
    kind = next(theirs for theirs, ours in KINDS.items() if ours == config.rope_scaling)
    scaling = {
        theirs: getattr(config, ours) for theirs, ours in NAMES.items() if ours in SCALED_BY[config.rope_scaling]
    }
    settings = {
        "rope_parameters": {"rope_type": kind, "rope_theta": config.rope_base, **scaling},
        "rope_theta": config.rope_base,
    }
    return settings | ({"rope_scaling": {"rope_type": kind, "type": kind, **scaling}} if scaling else {})


def rope_from_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """ModelConfig's fields; raises CheckpointError for positions that are not computed here, however they are spelt."""
    found: list[tuple[str, str, Any]] = []
    kinds: dict[str, str] = {}
    for name, section in _sections(settings):
        kinds[name] = _kind(name, section)
        found += [(f"{name}.", key, value) for key, value in _read(name, section, kinds[name])]
    if settings.get("rope_theta") is not None:
        found.append(("", "rope_theta", settings["rope_theta"]))
    if len(set(kinds.values())) > 1:
        raise _contradiction(f"{name}.rope_type = {kind!r}" for name, kind in kinds.items())
    fields = {}
    for key, ours in {"rope_theta": "rope_base", **NAMES}.items():
        said = {f"{place}{name}": _number(f"{place}{name}", value) for place, name, value in found if name == key}
        if len(set(said.values())) > 1:
            raise _contradiction(f"{name} = {value}" for name, value in said.items())
        if said:
            fields[ours] = next(iter(said.values()))
    scaling = KINDS[next(iter(kinds.values()), "default")]
    if "rope_original_context" in fields:
        fields["rope_original_context"] = int(fields["rope_original_context"])
    return {"rope_base": 10_000.0, **fields, "rope_scaling": scaling}


def _sections(settings: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for name in SECTIONS:
        section = settings.get(name) or {}
        if isinstance(section, Mapping) and set(section) == {"full_attention"}:
            section = section["full_attention"]  # transformers 5 may write them for each type of layer
        if not isinstance(section, Mapping):
            raise CheckpointError(f"config.json has {name} = {section!r}; it must be an object")
        if section:
            yield name, section


def _kind(name: str, section: Mapping[str, Any]) -> str:
    said = [section[key] for key in ("rope_type", "type") if section.get(key) is not None] or ["default"]
    for kind in said:
        if kind not in list(KINDS) or kind != said[0]:
            raise CheckpointError(
                f"config.json has {name} of type {kind!r}: its rotary positions are not computed here; those that are: "
                + ", ".join(KINDS)
            )
    return str(said[0])


def _read(name: str, section: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Any]]:
    """The numbers of a section; what is missing or has no meaning for its kind is refused."""
    needed = [key for key, ours in NAMES.items() if ours in SCALED_BY[KINDS[kind]]]
    for key, value in section.items():
        if key == "rope_theta" or key in needed:
            yield key, value
        elif key not in ("rope_type", "type") and value not in (None, {"partial_rotary_factor": WHOLE_HEADS}.get(key)):
            raise CheckpointError(
                f"config.json has {name}.{key} = {value!r}: rotary positions of type {kind!r} with it are not computed "
                f"here, only {', '.join(KINDS)} over whole heads"
            )
    if missing := [key for key in needed if section.get(key) is None]:
        raise CheckpointError(f"config.json has {name} of type {kind!r} and no {', '.join(missing)}, which it needs")


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise CheckpointError(f"config.json has {name} = {value!r}; it must be a number")
    if name.endswith("original_max_position_embeddings") and value != int(value):
        raise CheckpointError(f"config.json has {name} = {value!r}; it must be a whole number")
    return float(value)


def _contradiction(said: Iterator[str]) -> CheckpointError:
    return CheckpointError(f"config.json says two things: {', '.join(said)}")
