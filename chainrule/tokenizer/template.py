"""The chat template: messages to text and to ids, the one way for training, chat, the server and what is exported.

A template is a Jinja program that came with a model. What it writes itself may be control tokens; what a message says
never is: control words inside a content are broken by a character that no text has before the template sees them, and
mended behind it.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from typing import Any

from chainrule.base import ConfigError, DataError
from chainrule.tokenizer.sandbox import BEGIN, END, check_size, rendered
from chainrule.tokenizer.tokenizer import Tokenizer

Message = Mapping[str, str]
"""{"role": "system" | "user" | "assistant", "content": a text}."""

ROLES = ("system", "user", "assistant")
# Unicode promises that these stand in no text; one that does is left alone, and another taken.
NONCHARACTERS = tuple(map(chr, range(0xFDD0, 0xFDF0)))
MOST_MESSAGES = 10_000

OWN_TEMPLATE = """\
{%- for message in messages -%}
    {{- '<|im_start|>' ~ message['role'] ~ '\\n' -}}
    {%- if message['role'] == 'assistant' -%}
        {%- generation -%}{{- message['content'] ~ '<|im_end|>' -}}{%- endgeneration -%}
    {%- else -%}
        {{- message['content'] ~ '<|im_end|>' -}}
    {%- endif -%}
    {{- '\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
"""
"""For models that were pretrained here: ChatML, with what the assistant says between {% generation %} markers."""


@dataclass(frozen=True)
class Piece:
    """A control token, or a stretch of ordinary text between two of them."""

    text: str
    control: int | None
    """The token's id; None for ordinary text."""
    begin: int
    """Where it begins in the rendered text, in characters."""


@dataclass(frozen=True)
class Marked:
    """The ids of a conversation, and of each whether it lies between the template's {% generation %} markers."""

    ids: list[int]
    generated: list[bool]
    begins: list[int]
    """The byte of the rendered text at which each id begins."""


@dataclass(frozen=True)
class ChatTemplate:
    """A template with the vocabulary's control tokens; see `chat_template`, which makes one."""

    source: str
    """Jinja, as transformers reads it."""
    words: Mapping[str, int]
    """The control tokens that it may write, by their text."""
    variables: Mapping[str, str]
    """What it may ask for: bos_token, eos_token, ..."""
    stop: frozenset[int]
    """The ids after which an assistant's turn is over."""

    @cached_property
    def fingerprint(self) -> str:
        """Hexadecimal SHA-256 of the source and of the variables."""
        told = "\0".join([self.source, *(f"{name}={self.variables[name]}" for name in sorted(self.variables))])
        return hashlib.sha256(told.encode("utf-8", errors="surrogatepass")).hexdigest()

    @cached_property
    def has_markers(self) -> bool:
        """Whether it says itself, by {% generation %}, what an assistant wrote."""
        return bool(re.search(r"\{%-?\s*generation\s*-?%\}", self.source))

    def render(self, messages: Sequence[Message], *, reply: bool = False) -> str:
        """The text of a conversation; with `reply` the opening of an assistant's turn stands behind it.

        Raises DataError for roles out of order and for a template that refuses, fails, or makes or takes too much;
        ConfigError for one that is not valid Jinja.
        """
        return "".join(piece.text for piece in self._pieces(messages, reply=reply)[0])

    def encode(self, tokenizer: Tokenizer, messages: Sequence[Message], *, reply: bool = False) -> list[int]:
        """The ids of the same text: control tokens where the template wrote them, and ordinary text elsewhere."""
        return [number for piece in self._pieces(messages, reply=reply)[0] for number in _ids_of(piece, tokenizer)]

    def encode_marked(self, tokenizer: Tokenizer, messages: Sequence[Message]) -> Marked:
        """The ids as `encode` has them, with what the template marks as generated.

        Raises DataError where one id reaches across a marker: then no prompt leads to this answer.
        """
        pieces, spans = self._pieces(messages, reply=False)
        text = "".join(piece.text for piece in pieces)
        edges = [(_n_bytes(text[:begin]), _n_bytes(text[:end])) for begin, end in spans]
        ids: list[int] = []
        begins: list[int] = []
        ends: list[int] = []
        for piece in pieces:
            made = _ids_of(piece, tokenizer)
            lengths = tokenizer.byte_lengths[made].tolist() if piece.control is None else [_n_bytes(piece.text)]
            if sum(lengths) != _n_bytes(piece.text):
                raise DataError("the vocabulary normalises a text to another one; give the messages in the form NFC")
            place = ends[-1] if ends else 0
            ids += made
            ends += accumulate(lengths, initial=place)
            del ends[-len(lengths) - 1]
            begins += [end - length for end, length in zip(ends[-len(lengths) :], lengths, strict=True)]
        return Marked(ids, _inside(begins, ends, edges), begins)

    def _pieces(self, messages: Sequence[Message], *, reply: bool) -> tuple[list[Piece], list[tuple[int, int]]]:
        """Control tokens and text in order, and the spans of characters that are marked as generated."""
        _check_order(messages, reply=reply)
        contents = [message["content"] for message in messages]
        begin, end, breaker = _unused(contents)
        told = [
            {"role": message["role"], "content": self._broken(content, breaker)}
            for message, content in zip(messages, contents, strict=True)
        ]
        asked: dict[str, Any] = {"messages": told, "add_generation_prompt": reply, "tools": None, "documents": None}
        text = rendered(self.source, {**self.variables, **asked, BEGIN: begin, END: end})
        text, spans = _without_markers(text, begin, end, breaker)
        pieces: list[Piece] = []
        place = 0
        for part in self._control_words.split(text) if self.words else [text]:
            whole = part.replace(breaker, "")
            if whole:
                pieces.append(Piece(whole, self.words.get(part), place))
            place += len(whole)
        return pieces, spans

    @cached_property
    def _control_words(self) -> re.Pattern[str]:
        longest_first = sorted(self.words, key=len, reverse=True)
        return re.compile(f"({'|'.join(map(re.escape, longest_first))})")

    @cached_property
    def _edges(self) -> tuple[frozenset[str], frozenset[str]]:
        """How a control word may begin and how it may end, whole words left out."""
        begins = frozenset(word[:place] for word in self.words for place in range(1, len(word)))
        ends = frozenset(word[place:] for word in self.words for place in range(1, len(word)))
        return begins, ends

    def _broken(self, content: str, breaker: str) -> str:
        """The content with every control word in it broken, and those that it and its neighbours could make together.

        The breaker never stands where a template would look for white space.
        """
        if self.words:
            content = self._control_words.sub(lambda word: word[0][:1] + breaker + word[0][1:], content)
        begins, ends = self._edges
        longest = max(map(len, self.words), default=0)
        bare = content.strip()
        head = next((n for n in range(min(longest, len(bare)), 0, -1) if bare[:n] in ends), 0)
        tail = next((n for n in range(min(longest, len(bare)), 0, -1) if bare[-n:] in begins), 0)
        at = content.find(bare)
        if tail:
            place = at + len(bare) - tail + 1
            content = content[:place] + breaker + content[place:]
        if head:
            place = at + head - 1
            content = content[:place] + breaker + content[place:]
        return content


def chat_template(
    source: str, tokenizer: Tokenizer, variables: Mapping[str, str] | None = None, stop: Sequence[int] = ()
) -> ChatTemplate:
    """The template of `source` for a vocabulary; `variables` are added to bos_token and eos_token, its end of text.

    An assistant's turn is over after the first control token behind what it said, after the vocabulary's end of text
    or eos_token, and after `stop`. Raises ConfigError when the template cannot even write a question and an answer.
    """
    words = tokenizer.control_tokens
    end = next(word for word, number in words.items() if number == tokenizer.end_of_text)
    known = {"bos_token": end, "eos_token": end, **(variables or {})}
    ends = [tokenizer.end_of_text, *stop, *(words[word] for word in [known["eos_token"]] if word in words)]
    made = ChatTemplate(source, words, known, frozenset(ends))
    return replace(made, stop=made.stop | _stop_after_answer(made))


def _stop_after_answer(template: ChatTemplate) -> frozenset[int]:
    """The first control token behind an answer."""
    question, answer = "Is it raining?", "Not today, it is dry."
    conversation = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    try:
        pieces, _ = template._pieces(conversation, reply=False)
    except DataError as fault:
        raise ConfigError(f"the chat template cannot write one question and one answer: {fault}") from None
    said = [place for place, piece in enumerate(pieces) if answer in piece.text]
    if not said:
        raise ConfigError("the chat template leaves out what the assistant says; it is not one for chat")
    behind = (piece.control for piece in pieces[said[-1] :])
    after = next((control for control in behind if control is not None), None)
    return frozenset(() if after is None else (after,))


def _ids_of(piece: Piece, tokenizer: Tokenizer) -> list[int]:
    return tokenizer.encode(piece.text) if piece.control is None else [piece.control]


def _check_order(messages: Sequence[Message], *, reply: bool) -> None:
    """Raises DataError unless the messages are a conversation: a system's at most, then user and assistant in turn."""
    if not messages:
        raise DataError("a conversation without messages; give at least one of the user")
    if len(messages) > MOST_MESSAGES:
        raise DataError(f"a conversation of {len(messages):,} messages; at most {MOST_MESSAGES:,} are read")
    for place, message in enumerate(messages):
        role, content = message.get("role"), message.get("content")
        if role not in ROLES:
            raise DataError(f"message {place + 1} has the role {role!r}; roles are {', '.join(ROLES)}")
        if not isinstance(content, str):
            raise DataError(f"message {place + 1} ({role}) has a content that is no text: {type(content).__name__}")
    check_size(sum(len(message["content"]) for message in messages))
    roles = [message["role"] for message in messages]
    turns = roles[roles[0] == "system" :]
    for place, role in enumerate(turns):
        due = ROLES[1 + place % 2]
        if role != due:
            raise DataError(
                f"message {place + 1 + len(roles) - len(turns)} is the {role}'s where the {due}'s is due; after a "
                "system's message, if there is one, user and assistant take turns, the user first"
            )
    if reply and (not turns or turns[-1] != "user"):
        raise DataError("a reply is asked for, and the last message is not the user's")


def _unused(contents: Sequence[str]) -> list[str]:
    """Three characters that stand in none of these texts."""
    free = [mark for mark in NONCHARACTERS if not any(mark in content for content in contents)]
    if len(free) < 3:
        raise DataError("the messages hold every one of Unicode's noncharacters; take those of U+FDD0 to U+FDEF out")
    return free[:3]


def _without_markers(text: str, begin: str, end: str, breaker: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without the marks of {% generation %}, and their spans, counted without breakers."""
    spans: list[tuple[int, int]] = []
    kept: list[str] = []
    place, opened = 0, None
    for part in re.split(f"([{begin}{end}])", text):
        if part == begin:
            opened = place
        elif part == end and opened is not None:
            spans.append((opened, place))
            opened = None
        else:
            kept.append(part)
            place += len(part) - part.count(breaker)
    return "".join(kept), spans


def _n_bytes(text: str) -> int:
    return len(text.encode("utf-8", errors="surrogatepass"))


def _inside(begins: Sequence[int], ends: Sequence[int], spans: Sequence[tuple[int, int]]) -> list[bool]:
    """For each id whether it lies in a span; raises DataError when it lies on its edge."""
    inside = [False] * len(begins)
    for first, last in spans:
        for place, (begin, end) in enumerate(zip(begins, ends, strict=True)):
            if begin < last and end > first:
                if begin < first or end > last:
                    raise DataError("an answer and what stands before it share a token, so no prompt leads to it")
                inside[place] = True
    return inside
