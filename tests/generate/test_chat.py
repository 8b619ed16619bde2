"""Laws of a conversation: the cache changes costs and no answer, and nothing that was said is lost."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from talking import counted, instructed

from chainrule.base import ConfigError, ModelError
from chainrule.generate import ChatSettings
from chainrule.generate.chat import Chat
from chainrule.generate.following import in_own_tokens
from chainrule.tokenizer import train_bpe

GREEDY = ChatSettings(temperature=0, max_new_tokens=12)
WORDS = ["the cat", "sat on the mat", "and ate"]


def answers(chat: Chat, words: list[str]) -> list[str]:
    return ["".join(chat.say(text)) for text in words]


@torch.no_grad()
def by_hand(chat: Chat, ids: list[int], most: int) -> str:
    """Greedy without a cache, one full pass for each token."""
    opened, stop = chat.model, chat.model.template.stop | {chat.model.tokenizer.end_of_text}
    written: list[int] = []
    while len(written) < most:
        best = int(opened.model(torch.tensor([ids + written]))[0, -1, : opened.tokenizer.vocab_size].argmax())
        written.append(best)
        if best in stop:
            break
    return opened.tokenizer.decode(written)


def test_an_answer_is_what_full_passes_over_the_rendered_conversation_give():
    opened = instructed()
    chat = Chat(opened, GREEDY, system="be brief")
    for text in WORDS:
        shown = [*chat.messages, {"role": "user", "content": text}]
        ids = opened.template.encode(opened.tokenizer, shown, reply=True)
        assert "".join(chat.say(text)) == by_hand(chat, ids, 12)
    assert [message["role"] for message in chat.messages] == ["system", *["user", "assistant"] * 3]


def test_a_second_turn_costs_only_its_own_tokens():
    opened = instructed()
    chat = Chat(opened, GREEDY)
    with counted(opened.model) as first:
        answers(chat, WORDS[:1])
    before = opened.template.encode(opened.tokenizer, chat.messages)
    with counted(opened.model) as second:
        answers(chat, WORDS[1:2])
    turn = chat.last
    assert turn and turn.n_asked > len(before) and sum(first) > 12
    # All of the conversation but the last token that was written, which nothing had to be read for, is in the cache.
    own = turn.n_asked - len(before)
    assert second[0] == turn.n_read <= own + 4  # the end of the answer: its last token, "<|im_end|>", "\n"
    assert second[1:] == [1] * (turn.n_written - 1)


def test_what_the_model_wrote_in_its_own_tokens_is_not_read_again():
    tokenizer = train_bpe(["the cat sat on the mat. the dog ate the cat's hat. "] * 3, 300)
    text = "the cat sat on the mat"
    canonical, letters = tokenizer.encode(text), [tokenizer.encode(letter)[0] for letter in text]
    assert len(letters) > len(canonical)
    further = tokenizer.encode(". the hat")
    end = [tokenizer.end_of_text]
    spelled = tokenizer.token_bytes
    assert in_own_tokens([*letters, *end], [*canonical, *end, *further], spelled) == [*letters, *end, *further]
    assert in_own_tokens(letters, [*canonical, *end, *further], spelled) == [*letters, *end, *further]
    assert in_own_tokens([], canonical, spelled) == canonical
    assert in_own_tokens(canonical, canonical[:2], spelled) == canonical[:2]
    assert in_own_tokens([*end, *letters], canonical, spelled) == canonical
    other = tokenizer.encode("the cat ate")
    mixed = in_own_tokens(letters, other, spelled)
    assert tokenizer.decode(mixed) == "the cat ate" and mixed[:7] == letters[:7]


@pytest.mark.parametrize("seed", range(5))
def test_in_own_tokens_the_text_is_the_same_to_the_byte(seed):
    tokenizer = train_bpe(["the cat sat on the mat. the dog ate the cat's hat. "] * 3, 300)
    chance = torch.Generator().manual_seed(seed)
    usable = range(60, tokenizer.vocab_size)
    known, wanted = ([usable[n] for n in torch.randint(len(usable), (60,), generator=chance)] for _ in range(2))
    wanted = known[:20] + wanted
    for one, other in itertools.permutations((known, wanted, tokenizer.encode(tokenizer.decode(known))), 2):
        mixed = in_own_tokens(one, other, tokenizer.token_bytes)
        assert tokenizer.decode_bytes(mixed) == tokenizer.decode_bytes(other)
        assert mixed.count(tokenizer.end_of_text) == list(other).count(tokenizer.end_of_text)


@contextmanager
def interrupted_at(model: Any, call: int) -> Iterator[None]:
    """A Ctrl-C while the model computes, in that pass."""
    calls = itertools.count(1)

    def strike(*_: Any) -> None:
        if next(calls) == call:
            raise KeyboardInterrupt

    handle = model.final_norm.register_forward_hook(strike)
    try:
        yield
    finally:
        handle.remove()


def test_an_answer_that_is_stopped_stays_as_far_as_it_came_and_the_conversation_goes_on():
    opened = instructed()
    whole = Chat(opened, GREEDY)
    text = answers(whole, WORDS[:1])[0]
    chat = Chat(opened, GREEDY)
    with interrupted_at(opened.model, 6), pytest.raises(KeyboardInterrupt):
        answers(chat, WORDS[:1])
    left = Chat(opened, GREEDY)
    pieces = left.say(WORDS[0])
    for _ in range(5):
        next(pieces)
    pieces.close()
    for stopped in (chat, left):
        assert stopped.last and stopped.last.ended == "interrupted"
        said = stopped.messages[-1]["content"]
        assert said and text.startswith(said) and len(said) < len(text)
        shown = [*stopped.messages, {"role": "user", "content": WORDS[1]}]
        ids = opened.template.encode(opened.tokenizer, shown, reply=True)
        assert answers(stopped, WORDS[1:2]) == [by_hand(stopped, ids, 12)]


def test_a_message_that_was_stopped_before_a_word_came_was_not_said_and_can_be_asked_again():
    opened = instructed()
    chat = Chat(opened, GREEDY)
    first = answers(chat, WORDS[:1])
    before = chat.messages
    with interrupted_at(opened.model, 1), pytest.raises(KeyboardInterrupt):
        answers(chat, WORDS[1:2])
    assert chat.messages == before
    assert "".join(chat.again()) == answers(Chat(opened, GREEDY), WORDS[:2])[1]
    assert [message["content"] for message in chat.messages][:3] == [WORDS[0], first[0], WORDS[1]]
    chat.say("never begun")
    assert len(chat.messages) == 4


def test_another_answer_takes_the_place_of_the_last_one_and_reads_nothing_again():
    opened = instructed()
    chat = Chat(opened, ChatSettings(temperature=2.0, max_new_tokens=12, seed=3))
    first = answers(chat, WORDS[:2])
    with counted(opened.model) as seen:
        again = "".join(chat.again())
    assert again != first[1] and [m["content"] for m in chat.messages] == [WORDS[0], first[0], WORDS[1], again]
    assert seen[0] == 1


def test_the_seed_decides_and_can_be_set_again():
    opened = instructed()
    settings = ChatSettings(temperature=2.0, max_new_tokens=12, seed=3)
    chat = Chat(opened, settings)
    first = answers(chat, WORDS)
    assert answers(Chat(opened, settings), WORDS) == first
    chat.new()
    assert chat.messages == () and answers(chat, WORDS) != first
    chat.new()
    chat.seeded(3)
    assert answers(chat, WORDS) == first


def test_of_a_conversation_longer_than_the_context_the_oldest_turns_go_whole_and_the_system_prompt_stays():
    opened = instructed(context_length=128)
    chat = Chat(opened, ChatSettings(temperature=0, max_new_tokens=8), system="be brief")
    forgotten = 0
    for number in range(12):
        with counted(opened.model) as seen:
            answers(chat, [f"message {number}"])
        turn = chat.last
        assert turn and turn.n_asked + turn.n_written <= 128
        if chat.n_forgotten == forgotten:
            assert number == 0 or seen[0] < 64
        else:
            assert turn.n_asked <= 64 and (chat.n_forgotten - forgotten) % 2 == 0
        forgotten = chat.n_forgotten
        shown = [chat.messages[0], *chat.messages[1:][forgotten:-1]]
        assert turn.n_asked >= len(opened.template.encode(opened.tokenizer, shown, reply=True))
    assert forgotten > 0 and len(chat.messages) == 25


def test_a_message_that_the_context_cannot_hold_is_refused_and_nothing_changes():
    chat = Chat(instructed(context_length=128), GREEDY)
    answers(chat, WORDS[:1])
    before = chat.messages
    with pytest.raises(ModelError, match="context of 128 has room for 116 beside an answer; shorten it"):
        chat.say("x" * 200)
    assert chat.messages == before and chat.n_forgotten == 0
    assert answers(chat, WORDS[1:2])


def test_an_answer_ends_where_the_context_ends():
    opened = instructed(context_length=64)
    chat = Chat(opened, ChatSettings(temperature=0, max_new_tokens=1000))
    answers(chat, WORDS[:1])
    turn = chat.last
    assert turn and turn.ended == "length" and turn.n_asked + turn.n_written == 64


@pytest.mark.parametrize(
    "setting", [{"temperature": -1}, {"temperature": float("nan")}, {"max_new_tokens": 0}, {"repetition_penalty": 0}]
)
def test_settings_out_of_range_are_refused(setting):
    with pytest.raises(ConfigError):
        ChatSettings(**setting)


def test_nothing_can_be_answered_again_before_something_was_said():
    with pytest.raises(ConfigError, match="say something first"):
        Chat(instructed(), GREEDY).again()
