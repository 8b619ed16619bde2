"""Rows of examples: which of the usual shapes each one has, and what is taught by it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.base import ConfigError, DataError
from chainrule.data import Row, structured_rows
from chainrule.tokenizer import Message

Fields = Mapping[str, Any]
SHAREGPT_ROLES = {
    **{"human": "user", "user": "user", "prompter": "user"},
    **{"gpt": "assistant", "assistant": "assistant", "chatgpt": "assistant", "model": "assistant", "bing": "assistant"},
    "system": "system",
}
FIRST_FAULTS = 5


@dataclass(frozen=True)
class Talk:
    """A conversation whose assistant's turns are learnt."""

    messages: tuple[Message, ...]
    place: str = ""


@dataclass(frozen=True)
class Plain:
    """A text of which everything is learnt."""

    text: str
    place: str = ""


@dataclass(frozen=True)
class Preferred:
    """Two answers to one conversation, the first of which is the better."""

    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    place: str = ""


@dataclass(frozen=True)
class Rated:
    """An answer to a conversation that is good or is not (KTO)."""

    prompt: tuple[Message, ...]
    completion: str
    good: bool
    place: str = ""


Example = Talk | Plain | Preferred | Rated


class RowFaultError(Exception):
    """What is wrong with one row, without its place. Never leaves this room."""


@dataclass(frozen=True)
class Rows:
    """The examples of some files, in their order."""

    examples: tuple[Example, ...]
    shapes: Mapping[str, int]
    """How many rows have each shape, by its name in SHAPES."""
    faults: tuple[str, ...] = ()
    """Rows that were left out, each with its place."""

    @property
    def sentence(self) -> str:
        """What was recognised, for the person."""
        told = ", ".join(f"{count:,} {SHAPES[name].told}" for name, count in self.shapes.items())
        return f"examples: {told}" + (f"; {len(self.faults):,} left out" if self.faults else "")


@dataclass(frozen=True)
class Shape:
    """A shape of rows: the columns by which it is recognised, and what makes an example of one."""

    columns: tuple[str, ...]
    told: str
    build: Callable[[Fields, str], Example]

    def fits(self, fields: Fields) -> bool:
        """Whether the row has the columns, with something in them."""
        return all(fields.get(name) is not None for name in self.columns)


def read_rows(paths: Sequence[str], columns: Mapping[str, str] | None = None, *, skip: bool = False) -> Rows:
    """The examples of .jsonl, .json, .csv, .tsv or .parquet files, also compressed.

    `columns` says which column stands for which of ours: {"completion": "reply"}. A row that fits no shape raises
    DataError with its line, or with `skip` is left out and counted. Raises DataError when no example is left.
    """
    named = {theirs: ours for ours, theirs in (columns or {}).items()}
    if unknown := sorted(set(columns or {}) - KNOWN_COLUMNS):
        raise ConfigError(f"there is no column {unknown[0]!r} to map to; ours are {', '.join(sorted(KNOWN_COLUMNS))}")
    examples: list[Example] = []
    faults: list[str] = []
    shapes: Counter[str] = Counter()
    for row in structured_rows(paths):
        try:
            name, example = _example(row, named)
        except RowFaultError as fault:
            faults.append(f"{row.place}: {fault}")
            continue
        shapes[name] += 1
        examples.append(example)
    if faults and not skip:
        more = f" (and {len(faults) - FIRST_FAULTS:,} rows more)" if len(faults) > FIRST_FAULTS else ""
        raise DataError("; ".join(faults[:FIRST_FAULTS]) + more + ". --on-bad skip leaves such rows out")
    if not examples:
        raise DataError(f"no example in {', '.join(paths)}" + (f": {faults[0]}" if faults else ": there are no rows"))
    return Rows(tuple(examples), dict(shapes), tuple(faults))


def column_map(given: Sequence[str]) -> dict[str, str]:
    """From pairs OURS=THEIRS, as they are typed; raises ConfigError for what is no pair."""
    pairs = [one.partition("=") for one in given]
    for ours, equals, theirs in pairs:
        if not (ours and equals and theirs):
            raise ConfigError(f"--column {ours}{equals}{theirs} is no pair; write it like --column prompt=question")
    return {ours: theirs for ours, _, theirs in pairs}


def recognised(fields: Fields) -> str:
    """The name of the row's shape; raises RowFaultError when it has none."""
    for name, shape in SHAPES.items():
        if shape.fits(fields):
            if name == "rated" and not isinstance(fields["label"], bool | int):
                continue
            return name
    there = ", ".join(map(repr, list(fields)[:8])) or "none"
    known = "; ".join(" + ".join(shape.columns) for shape in SHAPES.values())
    raise RowFaultError(f"has the columns {there}, which are no shape of examples ({known}); --column maps them")


def _example(row: Row, named: Mapping[str, str]) -> tuple[str, Example]:
    if row.fields is None:
        raise RowFaultError(row.fault)
    fields = {named.get(name, name): value for name, value in row.fields.items()}
    name = recognised(fields)
    return name, SHAPES[name].build(fields, row.place)


def _messages(fields: Fields, place: str) -> Talk:
    return Talk(_checked(_as_messages(fields["messages"])), place)


def _sharegpt(fields: Fields, place: str) -> Talk:
    told = fields["conversations"]
    if not isinstance(told, list) or not all(isinstance(one, Mapping) for one in told):
        raise RowFaultError("conversations is no list of messages")
    messages = []
    for one in told:
        speaker = one.get("from", one.get("role"))
        if speaker not in SHAREGPT_ROLES:
            raise RowFaultError(f"somebody called {speaker!r} speaks; known are {', '.join(SHAREGPT_ROLES)}")
        messages.append({"role": SHAREGPT_ROLES[speaker], "content": _text(one.get("value", one.get("content")))})
    return Talk(_checked(tuple(messages)), place)


def _completion(fields: Fields, place: str) -> Talk:
    return Talk(_checked((*_prompt(fields["prompt"]), *_answer(fields["completion"]))), place)


def _alpaca(fields: Fields, place: str) -> Talk:
    asked = _text(fields["instruction"])
    more = fields.get("input")
    if more not in (None, ""):
        asked = f"{asked}\n\n{_text(more)}"
    system = fields.get("system")
    before = [{"role": "system", "content": _text(system)}] if system else []
    messages = (*before, {"role": "user", "content": asked}, {"role": "assistant", "content": _text(fields["output"])})
    return Talk(_checked(messages), place)


def _labelled(fields: Fields, place: str) -> Talk:
    label = fields["label"]
    said = label if isinstance(label, str) else str(label)
    asked = {"role": "user", "content": _text(fields["text"])}
    return Talk(_checked((asked, {"role": "assistant", "content": said})), place)


def _plain(fields: Fields, place: str) -> Plain:
    text = _text(fields["text"])
    if not text.strip():
        raise RowFaultError("its text is empty")
    return Plain(text, place)


def _preferred(fields: Fields, place: str) -> Preferred:
    prompt, chosen, rejected = fields.get("prompt"), fields["chosen"], fields["rejected"]
    if prompt is None:
        first, second = _as_messages(chosen), _as_messages(rejected)
        n_shared = next((n for n, pair in enumerate(zip(first, second, strict=False)) if pair[0] != pair[1]), 0)
        prompt, chosen, rejected = list(first[:n_shared]), list(first[n_shared:]), list(second[n_shared:])
    messages = _prompt(prompt)
    (good,), (bad,) = _answer(chosen), _answer(rejected)
    _checked((*messages, good))
    return Preferred(messages, good["content"], bad["content"], place)


def _rated(fields: Fields, place: str) -> Rated:
    messages = _prompt(fields["prompt"])
    (answer,) = _answer(fields["completion"])
    _checked((*messages, answer))
    return Rated(messages, answer["content"], bool(fields["label"]), place)


SHAPES = {
    "messages": Shape(("messages",), "conversations (messages)", _messages),
    "sharegpt": Shape(("conversations",), "conversations (ShareGPT)", _sharegpt),
    "preferred": Shape(("chosen", "rejected"), "preference pairs (chosen, rejected)", _preferred),
    "rated": Shape(("prompt", "completion", "label"), "rated answers (KTO)", _rated),
    "completion": Shape(("prompt", "completion"), "prompts with completions", _completion),
    "alpaca": Shape(("instruction", "output"), "instructions (Alpaca)", _alpaca),
    "labelled": Shape(("text", "label"), "labelled texts", _labelled),
    "plain": Shape(("text",), "plain texts", _plain),
}
"""In the order in which they are tried: what has more columns first."""
KNOWN_COLUMNS = frozenset(name for shape in SHAPES.values() for name in shape.columns) | {"input", "system"}


def _prompt(value: Any) -> tuple[Message, ...]:
    return _as_messages(value) if isinstance(value, list) else ({"role": "user", "content": _text(value)},)


def _answer(value: Any) -> tuple[Message, ...]:
    answer = _as_messages(value) if isinstance(value, list) else ({"role": "assistant", "content": _text(value)},)
    if len(answer) != 1:
        raise RowFaultError(f"the answer is {len(answer)} messages; it must be one")
    return answer


def _as_messages(value: Any) -> tuple[Message, ...]:
    if not isinstance(value, list) or not all(isinstance(one, Mapping) for one in value):
        raise RowFaultError(f"messages are a list of objects with role and content, not {type(value).__name__}")
    for one in value:
        if more := sorted(key for key in one if key not in ("role", "content", "name", "weight") and one[key]):
            raise RowFaultError(f"a message has {', '.join(more)}, which is not taught here")
    return tuple({"role": str(one.get("role")), "content": _text(one.get("content"))} for one in value)


def _text(value: Any) -> str:
    """A text, or the texts of OpenAI's content parts."""
    if isinstance(value, list) and all(isinstance(part, Mapping) and part.get("type") == "text" for part in value):
        return "".join(str(part.get("text", "")) for part in value)
    if not isinstance(value, str):
        raise RowFaultError(f"a text was expected where a value of type {type(value).__name__} stands")
    return value


def _checked(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The messages, when they are a conversation that teaches something."""
    roles = [message["role"] for message in messages]
    if unknown := sorted(set(roles) - {"system", "user", "assistant"}):
        raise RowFaultError(f"the role {unknown[0]!r} is unknown; roles are system, user and assistant")
    if "assistant" not in roles:
        raise RowFaultError("has no turn of the assistant, so nothing is to be learnt")
    turns = roles[roles[0] == "system" :]
    if turns != [("user", "assistant")[place % 2] for place in range(len(turns))]:
        raise RowFaultError(f"its roles are out of order ({', '.join(roles[:6])}): user and assistant take turns")
    if roles[-1] != "assistant":
        raise RowFaultError("ends with the user; the last turn must be the assistant's")
    for place, message in enumerate(messages):
        if not message["content"].strip() and message["role"] != "system":
            raise RowFaultError(f"message {place + 1}, the {message['role']}'s, is empty")
    return messages
