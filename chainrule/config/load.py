"""From layers (preset, file, flags) to one checked configuration that knows where each value came from."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError

from chainrule.base import ConfigError, nearest
from chainrule.config.schema import Config
from chainrule.config.section import Section

MOST_SHOWN = 200
# The nearest word is looked for with each: 90,000 took 3.5 s, and nobody reads more.
MOST_MISTAKES = 100


@dataclass(frozen=True)
class Layer:
    """Values of one origin, nested as in the file: `Layer("flag", {"model": {"n_layers": 8}})`."""

    source: str
    values: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Resolved:
    """A checked configuration, and for each key ("model.n_layers") the source that had the last word."""

    config: Config
    sources: Mapping[str, str]


def resolve(layers: Sequence[Layer]) -> Resolved:
    """Lays the layers over the defaults, the later over the earlier.

    Raises ConfigError with a line for each mistake, naming key and source: unknown names and wrong values alike.
    """
    merged: dict[str, dict[str, Any]] = {}
    sources: dict[str, str] = {}
    wrong: list[str] = []
    for layer in layers:
        for section, key, value in _settings(layer, wrong):
            merged.setdefault(section, {})[key] = value
            sources[f"{section}.{key}"] = layer.source
    try:
        resolved = Resolved(Config.model_validate(merged), sources)
    except ValidationError as fault:
        raise ConfigError("\n".join([*wrong, *mistakes(fault, sources)])) from None
    if wrong:
        raise ConfigError("\n".join(wrong))
    return resolved


def section_type(name: str) -> type[Section]:
    """The class of a section, such as ModelConfig for "model"."""
    annotation = Config.model_fields[name].annotation
    assert isinstance(annotation, type) and issubclass(annotation, Section)
    return annotation


def mistakes(fault: ValidationError, sources: Mapping[str, str]) -> Iterator[str]:
    """One line for each mistake that pydantic found in a Config: key, what was given, where, what is allowed."""
    for error in fault.errors(include_url=False):
        where = [str(part) for part in error["loc"][:2]]
        key = ".".join(where)
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "default_factory_not_called":
            continue  # what follows from a setting that is wrong is not a second mistake
        if error["type"] == "value_error":
            yield f"[{key}] {message}."
            continue
        hint = ""
        if error["type"] == "literal_error":
            choices = get_args(section_type(where[0]).model_fields[where[1]].annotation)
            hint = nearest(str(error["input"]), map(str, choices))
        elif error["type"] == "tuple_type":
            message, hint = "input should be a list", f" Write [{_shown(error['input'])}]."
        source = f" ({sources[key]})" if key in sources else ""
        yield f"{key} = {_shown(error['input'])}{source}: {message[:1].lower()}{message[1:]}.{hint}"


def _shown(value: Any) -> str:
    """What was given, as Python writes it, at a length that a person reads."""
    try:
        text = repr(value)
    except ValueError:  # Python prints no number of more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 1]}…"


def _settings(layer: Layer, wrong: list[str]) -> Iterator[tuple[str, str, Any]]:
    """Section, key and value of what has a place; a sentence on each name that has none goes to `wrong`."""
    for section, values in layer.values.items():
        if section not in Config.model_fields:
            _tell(wrong, _unknown(layer.source, section, "section", Config.model_fields))
        elif not isinstance(values, Mapping):
            _tell(wrong, f"{layer.source}: {section} is a section; write [{section}] and its keys below it")
        else:
            known = {f"{section}.{key}" for key in section_type(section).model_fields}
            for key, value in values.items():
                if f"{section}.{key}" in known:
                    yield section, key, value
                else:
                    _tell(wrong, _unknown(layer.source, f"{section}.{key}", "setting", sorted(known)))


def _tell(wrong: list[str], mistake: str) -> None:
    wrong.append(mistake)
    if len(wrong) == MOST_MISTAKES:
        raise ConfigError("\n".join([*wrong, f"These are the first {MOST_MISTAKES} mistakes; mend them, and see."]))


def _unknown(source: str, name: str, what: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    """What to say of a name that is not there: the nearest here, or the section where that word does stand."""
    key = name.rpartition(".")[2]
    homes = [f"{section}.{key}" for section in Config.model_fields if key in section_type(section).model_fields]
    hint = f" Did you mean {homes[0]!r}?" if homes else nearest(name, known)
    return f"{source}: unknown {what} {name!r}.{hint} Known: {', '.join(word.rpartition('.')[2] for word in known)}."
