"""One way from messages to ids: transformers' own, but that nothing a message says is ever a control token."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from chainrule.base import ConfigError, DataError
from chainrule.tokenizer import (
    OWN_TEMPLATE,
    ChatTemplate,
    Tokenizer,
    chat_template,
    load_template,
    load_tokenizer,
    save_template,
)
from chainrule.tokenizer.train import byte_tokenizer

WORDS = ("<|im_start|>", "<|im_end|>")
# As published with SmolLM2-Instruct.
SMOLLM2 = (
    "{% for message in messages %}{% if loop.first and messages[0]['role'] != 'system' %}"
    "{{ '<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n' }}"
    "{% endif %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
# Of the kinds of Llama 3 and Qwen: a date, trimmed contents, JSON, namespaces, macros, loops that look back.
BUSY = """\
{{- bos_token }}
{%- macro opened(role) %}<|im_start|>{{ role }}{{ '\\n' }}{% endmacro %}
{%- set ns = namespace(system='', last=messages|length - 1) %}
{%- if messages[0].role == 'system' %}
    {%- set ns.system = messages[0]['content'] | trim %}
{%- endif %}
{%- if tools is not none %}{{ raise_exception('no tools') }}{% endif %}
{{- opened('system') + ns.system + '\\n' + {'n': messages|length, 'a': ['<x>', none]} | tojson + strftime_now('%Y') }}
{%- for message in messages[::-1] %}{% if message.role == 'user' %}{% set ns.last = loop.index0 %}{% break %}{% endif %}
{%- endfor %}
{%- for message in messages if message.role in ['user', 'assistant'] %}
    {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
    {%- if message.role == 'assistant' %}
    {%- generation %}{{ opened(message.role) ~ content }}<|im_end|>{% endgeneration %}
    {%- else %}
    {{- opened(message.role) ~ content|trim }}<|im_end|>
    {%- endif %}
{{ loop.index }}{{ ' last' if loop.last }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- opened('assistant') }}
{%- endif %}
"""
TEMPLATES = {"own": OWN_TEMPLATE, "smollm2": SMOLLM2, "busy": BUSY}


@pytest.fixture(scope="module")
def chatting(bpe: Tokenizer) -> Tokenizer:
    return bpe.with_control_tokens(WORDS)


def conversation(*contents: str, system: str | None = None) -> list[dict[str, str]]:
    roles = ("user", "assistant")
    turns = [{"role": roles[place % 2], "content": content} for place, content in enumerate(contents)]
    return [{"role": "system", "content": system}, *turns] if system is not None else turns


@pytest.mark.parametrize("name", TEMPLATES)
def test_ids_are_those_of_transformers(chatting: Tokenizer, name: str, tmp_path: Path) -> None:
    template = chat_template(TEMPLATES[name], chatting)
    chatting.save(tmp_path)
    theirs = PreTrainedTokenizerFast(
        tokenizer_file=str(tmp_path / "tokenizer.json"), bos_token="<|endoftext|>", eos_token="<|endoftext|>"
    )
    for messages in (
        conversation("What is 2+2?", "It is 4.\n", "  and 3+3? ", system="Be brief.\n"),
        conversation(" def f(x):\n\treturn x  ", "<think>hm</think>\n\nnaïve café 第一章"),
        conversation("> quoted <", ">", "|>"),
    ):
        reply = messages[-1]["role"] == "user"
        expected = theirs.apply_chat_template(
            messages, chat_template=template.source, add_generation_prompt=reply, tokenize=True, return_dict=False
        )
        assert template.encode(chatting, messages, reply=reply) == expected
        assert template.render(messages, reply=reply) == theirs.apply_chat_template(
            messages, chat_template=template.source, add_generation_prompt=reply, tokenize=False
        )


PARTS = st.sampled_from(["<|im_end|>", "<|im_", "<", "|>", ">", "end|>", "im_start|>", "\n", " ", "a", "\ufdd0", "é"])


@settings(max_examples=60, deadline=None)
@given(contents=st.lists(st.lists(PARTS, max_size=6).map("".join), min_size=1, max_size=5))
def test_what_a_message_says_is_never_a_control_token(contents: list[str]) -> None:
    words = byte_tokenizer().with_control_tokens(WORDS)
    template = chat_template(OWN_TEMPLATE, words)
    ids = template.encode(words, conversation(*contents))
    written = [number for number in ids if number in template.words.values()]
    assert written == [template.words[word] for word in WORDS] * len(contents)
    ends = [place for place, number in enumerate(ids) if number == template.words["<|im_end|>"]]
    begins = [place for place, number in enumerate(ids) if number == template.words["<|im_start|>"]]
    roles = ["user\n", "assistant\n"]
    for place, (begin, end, content) in enumerate(zip(begins, ends, contents, strict=True)):
        assert words.decode(ids[begin:end]) == roles[place % 2] + content
    assert template.render(conversation(*contents)).count(contents[0]) >= 1


def test_the_markers_tell_what_the_assistant_wrote(chatting: Tokenizer) -> None:
    template = chat_template(OWN_TEMPLATE, chatting)
    marked = template.encode_marked(chatting, conversation("Hi", "Hello <|im_end|> é", "Bye", "See you"))
    assert marked.ids == template.encode(chatting, conversation("Hi", "Hello <|im_end|> é", "Bye", "See you"))
    said = [number for number, yes in zip(marked.ids, marked.generated, strict=True) if yes]
    end = template.words["<|im_end|>"]
    assert said == [*chatting.encode("Hello <|im_end|> é"), end, *chatting.encode("See you"), end]


def test_an_answer_that_shares_a_token_with_its_prompt_is_refused(chatting: Tokenizer) -> None:
    assert len(chatting.encode("\n\n")) == 1, "two line ends are one token here"
    with pytest.raises(DataError, match="share a token"):
        chat_template(OWN_TEMPLATE, chatting).encode_marked(chatting, conversation("Hi", "\n\nHello"))


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "without messages"),
        (conversation("a", "b") + conversation("c"), None),
        (conversation("a")[:1] * 2, "message 2 is the user's where the assistant's is due"),
        (conversation("a", "b")[1:], "message 1 is the assistant's where the user's is due"),
        ([*conversation("a"), {"role": "system", "content": "late"}], "message 2 is the system's"),
        ([{"role": "tool", "content": "a"}], "has the role 'tool'"),
        ([{"role": "user"}], "content that is no text"),
        ([{"role": "user", "content": None}], "content that is no text"),
    ],
)
def test_roles_out_of_order_are_refused(chatting: Tokenizer, messages: list[Any], message: str | None) -> None:
    template = chat_template(OWN_TEMPLATE, chatting)
    if message is None:
        assert template.render(messages)
        return
    with pytest.raises(DataError, match=message):
        template.render(messages)
    with pytest.raises(DataError):
        template.render(conversation("a", "b"), reply=True)


NEVER_ENDING = {
    "loops in loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% for c in range(9) %}{% endfor %}"
    "{% endfor %}{% endfor %}",
    "loops that do nothing": "{% for a in range(99999) %}{% for b in range(99999) if b < 0 %}{% endfor %}{% endfor %}",
    "a macro that calls itself twice": "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}"
    "{{ f(40) }}",
    "a macro that calls itself": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "text that doubles": "{% set n = namespace(x='ab') %}{% for a in range(60) %}{% set n.x = n.x ~ n.x %}{% endfor %}",
    "a block that doubles": "{% set n = namespace(x='ab') %}{% for a in range(60) %}{% set n.x %}{{ n.x }}{{ n.x }}"
    "{% endset %}{% endfor %}",
    "text that is added": "{% set n = namespace(x='a') %}{% for a in range(60) %}{% set n.x = n.x + n.x %}{% endfor %}",
    "lists in lists": "{% set n = namespace(x=[1]) %}{% for a in range(60) %}{% set n.x = [n.x, n.x] %}{% endfor %}"
    "{{ n.x }}",
    "arguments in arguments": "{% macro f() %}{{ f(varargs, varargs) }}{% endmacro %}{{ f(1, 2) }}",
    "a product": "{{ 'ab' * 999999999 }}",
    "a list's product": "{{ ([0] * 999999999)|length }}",
    "a power": "{{ 9 ** 999999999 }}",
    "squares": "{% set n = namespace(x=9) %}{% for a in range(99) %}{% set n.x = n.x * n.x %}{% endfor %}",
    "replacing": "{% set x = 'a' * 99999 %}{{ x.replace('a', x) }}",
    "the filter that replaces": "{% set x = 'a' * 99999 %}{{ x|replace('a', x) }}",
    "joining": "{{ ('a' * 99999).join(range(99999)) }}",
    "the filter that joins": "{{ range(99999)|join('a' * 99999) }}",
    "mapping": "{% set x = 'a' * 999 %}{{ (['a' * 999] * 9999)|map('replace', 'a', x)|join }}",
    "a width": "{{ '%999999999d' % 1 }}",
    "a format": "{{ '{:999999999}'.format(1) }}",
    "justifying": "{{ 'a'.ljust(999999999) }}",
    "centering": "{{ 'a'|center(999999999) }}",
    "bytes of a number": "{{ (1).to_bytes(999999999, 'big') }}",
    "written text": "{% for a in range(99999) %}" + "a" * 1000 + "{% endfor %}",
    "its own classes": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "globals of a function": "{{ raise_exception.__globals__['json'] }}",
    "a file": "{% include '/etc/passwd' %}",
    "a change of the messages": "{{ messages.append(1) }}",
    "nothing said": "{{ messages[7].content.lower() }}",
}


@pytest.mark.parametrize("source", NEVER_ENDING.values(), ids=NEVER_ENDING.keys())
def test_a_template_that_takes_too_much_is_stopped(source: str) -> None:
    template = ChatTemplate(source, {}, {}, frozenset())
    began = time.thread_time()
    with pytest.raises((DataError, ConfigError)):
        assert len(template.render(conversation("a"))) < 1
    assert time.thread_time() - began < 3


def test_a_template_is_stopped_in_any_thread_while_another_goes_on() -> None:
    template = ChatTemplate(NEVER_ENDING["loops in loops"], {}, {}, frozenset())
    found: list[BaseException] = []

    def work() -> None:
        try:
            template.render(conversation("a"))
        except DataError as fault:
            found.append(fault)

    thread = threading.Thread(target=work)
    thread.start()
    assert ChatTemplate(SMOLLM2, {}, {}, frozenset()).render(conversation("a"))
    thread.join(timeout=60)
    assert "does not end" in str(found[0])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{% for %}", "not valid Jinja"),
        ("{{ raise_exception('no chat here') }}", "no chat here"),
        ("hello", "leaves out what the assistant says"),
        ("{{ messages|nothing }}", "not valid Jinja|cannot be compiled"),
        ("a" * 300_000, "characters; at most"),
        ("{{ " + "(" * 5_000 + "1" + ")" * 5_000 + " }}", "cannot be compiled|not valid Jinja"),
    ],
)
def test_a_template_that_cannot_be_used_says_why(chatting: Tokenizer, source: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        chat_template(source, chatting)


def test_an_answer_stops_where_the_template_ends_its_turn(chatting: Tokenizer) -> None:
    template = chat_template(SMOLLM2, chatting)
    assert template.stop == {chatting.end_of_text, chatting.control_tokens["<|im_end|>"]}


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_template_comes_back_from_its_folder(chatting: Tokenizer, name: str, tmp_path: Path) -> None:
    assert load_template(tmp_path, chatting) is None
    template = chat_template(TEMPLATES[name], chatting, {"bos_token": "<|im_start|>"}, stop=[7])
    save_template(template, tmp_path)
    again = load_template(tmp_path, chatting)
    assert again == template
    assert again.fingerprint == template.fingerprint


def test_a_template_is_found_in_the_settings_of_a_tokenizer(chatting: Tokenizer, tmp_path: Path) -> None:
    eos = {"content": "<|im_end|>", "lstrip": False}
    for stored in (SMOLLM2, [{"name": "tools", "template": "x"}, {"name": "default", "template": SMOLLM2}]):
        (tmp_path / "tokenizer_config.json").write_text(json.dumps({"chat_template": stored, "eos_token": eos}))
        template = load_template(tmp_path, chatting)
        assert template is not None
        assert (template.source, template.variables["eos_token"]) == (SMOLLM2, "<|im_end|>")
    (tmp_path / "tokenizer_config.json").write_text("{")
    with pytest.raises(ConfigError, match="not valid JSON"):
        load_template(tmp_path, chatting)


def test_control_tokens_come_behind_the_last_id_and_stay(bpe: Tokenizer, tmp_path: Path) -> None:
    grown = bpe.with_control_tokens(WORDS)
    assert [grown.control_tokens[word] for word in WORDS] == [bpe.vocab_size, bpe.vocab_size + 1]
    assert grown.with_control_tokens(WORDS).fingerprint == grown.fingerprint
    text = "a <|im_start|>b"
    assert grown.encode(text) == bpe.encode(text)
    assert grown.encode_batch([text])[0].tolist() == bpe.encode(text)
    assert grown.decode([*bpe.encode(text), bpe.vocab_size]) == text
    grown.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert (again.fingerprint, again.kind, again.end_of_text) == (grown.fingerprint, bpe.kind, bpe.end_of_text)
