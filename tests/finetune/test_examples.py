"""What is learnt of an example is what the server would be answered, by two ways that agree."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chainrule.base import DataError
from chainrule.finetune.examples import Taught, Writing, taught
from chainrule.finetune.grow import with_own_template
from chainrule.finetune.preview import spans
from chainrule.finetune.rows import Plain, Talk
from chainrule.tokenizer import ChatTemplate, Tokenizer, chat_template
from chainrule.tokenizer.train import byte_tokenizer

WORDS, TEMPLATE = with_own_template(byte_tokenizer())
CHATML = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' }}"
    "{{ '\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
SHORT_MARKERS = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n'}}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] }}{% endgeneration %}{% else %}{{ message['content'] }}{% endif %}"
    "{{ '<|im_end|>\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WIDE_MARKERS = (
    "{% for message in messages %}{% generation %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] }}"
    "{{ '<|im_end|>\n' }}{% endgeneration %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def talk(*contents: str, system: str | None = None) -> Talk:
    turns = [{"role": ("user", "assistant")[n % 2], "content": content} for n, content in enumerate(contents)]
    return Talk((*([{"role": "system", "content": system}] if system else []), *turns), "a.jsonl:1")


def writing(template: ChatTemplate = TEMPLATE, most: int = 1000, too_long: str = "cut") -> Writing:
    return Writing(WORDS, template, most, too_long)


def learnt(example: Taught) -> list[str]:
    """Each stretch that is learnt, as text."""
    parts: list[str] = [""]
    for span in spans(example, WORDS):
        parts = [*parts[:-1], parts[-1] + span.text] if span.learnt else [*parts, ""]
    return [part for part in parts if part]


def test_answers_and_the_token_that_ends_them_are_learnt_and_nothing_else() -> None:
    example = taught(talk("Hi", "Hello", "Bye", "See you", system="Be brief."), writing())
    assert learnt(example) == ["Hello<|im_end|>", "See you<|im_end|>"]
    assert sum(span.n_tokens for span in spans(example, WORDS)) == len(example)
    assert [int(example.ids[end]) for end in example.ends] == [WORDS.control_tokens["<|im_end|>"]] * 2


def test_a_template_without_markers_gives_the_same_mask() -> None:
    plain = chat_template(CHATML, WORDS)
    assert not plain.has_markers
    for contents in (("Hi", "Hello"), ("a <|im_end|> b", "x <|im_start|>assistant\n y", "c", "d")):
        first, second = taught(talk(*contents), writing()), taught(talk(*contents), writing(plain))
        assert first.ids.tolist() == second.ids.tolist()
        assert first.trained.tolist() == second.trained.tolist()


def test_an_end_that_is_also_the_end_of_the_text_is_learnt_all_the_same() -> None:
    # As in SmolLM2: the token that pads and that ends a text is the one that ends a turn; a mask by id would hide it.
    words = byte_tokenizer().with_control_tokens(["<|im_start|>"])
    template = chat_template(CHATML.replace("<|im_end|>", "<|endoftext|>"), words)
    example = taught(talk("Hi", "Hello"), Writing(words, template, 1000))
    assert example.ids[example.trained].tolist() == [*words.encode("Hello"), words.end_of_text]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.text(alphabet="ab <|>\n_imend", min_size=1, max_size=12).filter(str.strip), min_size=2, max_size=6))
def test_what_is_read_before_an_answer_is_the_prompt_that_is_served(contents: list[str]) -> None:
    contents = contents[: len(contents) // 2 * 2]
    example = taught(talk(*contents), writing())
    for number, end in enumerate(example.ends):
        messages = talk(*contents).messages[: 2 * number + 1]
        prompt = TEMPLATE.encode(WORDS, messages, reply=True)
        answer = [*WORDS.encode(contents[2 * number + 1]), WORDS.control_tokens["<|im_end|>"]]
        assert example.ids[: end + 1].tolist() == [*prompt, *answer]
        assert example.trained[len(prompt) : end + 1].all()
    assert example.trained.sum() == sum(len(WORDS.encode(one)) + 1 for one in contents[1::2])


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (SHORT_MARKERS, "learnt by the prompts"),
        (WIDE_MARKERS, "inside the template's"),
        (
            CHATML.replace("message['content'] +", "(message['content'] if loop.last else '…') +"),
            "the conversation goes on",
        ),
        (CHATML.replace(" + '<|im_end|>'", ""), "no token that ends"),
        (CHATML.replace("assistant\n", "bot\n"), "is not how the conversation begins"),
    ],
    ids=["markers without the end", "markers around all", "history is rewritten", "no end", "another prompt"],
)
def test_ways_that_disagree_are_refused(source: str, message: str) -> None:
    template = ChatTemplate(source, WORDS.control_tokens, {}, TEMPLATE.stop)
    with pytest.raises(DataError, match=message):
        taught(talk("Hi", "Hello", "Bye", "See you"), writing(template))


def test_a_prompt_is_cut_from_the_left_and_an_answer_never() -> None:
    long = "x" * 200 + " the end"
    whole = taught(talk(long, "the answer", system="Be brief."), writing())
    cut = taught(talk(long, "the answer", system="Be brief."), writing(most=100))
    assert len(cut) <= 100 < len(whole) and not cut.whole and whole.whole
    assert len(cut) > 95, "no more than needed"
    assert learnt(cut) == ["the answer<|im_end|>"]
    text = "".join(span.text for span in spans(cut, WORDS))
    assert "Be brief." in text and " the end<|im_end|>" in text


def test_whole_turns_go_before_a_question_is_cut() -> None:
    cut = taught(talk("a" * 50, "b" * 50, "last?", "yes"), writing(most=100))
    assert learnt(cut) == ["yes<|im_end|>"]
    assert cut.talk is not None and cut.talk.messages[0]["content"] == "last?"


@pytest.mark.parametrize(
    ("example", "too_long", "message"),
    [
        (talk("x" * 200, "y"), "refuse", "--too-long cut"),
        (talk("x", "y" * 200), "cut", "its answer and what the template adds"),
        (Plain("x" * 200, "a.jsonl:1"), "cut", "split it"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_line(example: Talk | Plain, too_long: str, message: str) -> None:
    with pytest.raises(DataError, match="a.jsonl:1.*" + message):
        taught(example, writing(most=100, too_long=too_long))


def test_a_plain_text_is_learnt_whole_and_to_its_end() -> None:
    example = taught(Plain("Once"), writing())
    assert example.ids.tolist() == [WORDS.end_of_text, *WORDS.encode("Once"), WORDS.end_of_text]
    assert example.trained.tolist() == [False] + [True] * 5


def test_an_answer_that_melts_into_the_template_is_refused(bpe_words: tuple[Tokenizer, ChatTemplate]) -> None:
    words, template = bpe_words
    with pytest.raises(DataError, match="melt"):
        taught(talk("Hi", "\n\nHello"), Writing(words, template, 1000))


@pytest.fixture(scope="module")
def bpe_words() -> tuple[Tokenizer, ChatTemplate]:
    from chainrule.tokenizer import train_bpe

    words = train_bpe(["a line\n\n\nanother\n\n\n" * 200], 300)
    assert len(words.encode("\n\n")) == 1
    return with_own_template(words)


def test_masks_are_arrays_of_the_ids_length() -> None:
    example = taught(talk("Hi", "Hello"), writing())
    assert example.ids.dtype == np.int64 and example.trained.dtype == bool and len(example.trained) == len(example)
