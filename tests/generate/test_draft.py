"""Laws of a base model's texts: each is what `generate` gives, and going on costs nothing that was read already."""

import pytest
from talking import base, counted, instructed

from chainrule.base import ConfigError, ModelError
from chainrule.generate import ChatSettings, Temperature, generate
from chainrule.generate.chat import Chat
from chainrule.generate.draft import Draft
from chainrule.generate.talk import talk

GREEDY = ChatSettings(temperature=0, max_new_tokens=12)


def test_a_text_is_what_generate_writes():
    opened = base()
    draft = Draft(opened, GREEDY)
    for prompt in ["the cat ", "the d", "on"]:
        rules = {"max_new_tokens": 12, "rules": (Temperature(0), *_min_p()), "heal": True}
        expected = generate(opened.model, opened.tokenizer, [prompt], **rules)[0].text
        assert "".join(draft.say(prompt)) == expected


def _min_p():
    from chainrule.generate.rules import MinP

    return (MinP(0.05),)


def test_after_nothing_the_text_goes_on_as_if_it_had_never_stopped():
    opened = base()
    whole = "".join(Draft(opened, ChatSettings(temperature=0, max_new_tokens=24)).say("the cat"))
    draft = Draft(opened, GREEDY)
    first = "".join(draft.say("the cat"))
    with counted(opened.model) as seen:
        second = "".join(draft.say(""))
    assert first + second == whole and seen[0] == 1
    assert draft.rows() == [{"prompt": "the cat", "completion": whole}]


def test_a_text_goes_on_past_the_context():
    opened = base(context_length=32)
    draft = Draft(opened, ChatSettings(temperature=0, max_new_tokens=20))
    pieces = ["".join(draft.say("the cat" if not number else "")) for number in range(5)]
    assert all(pieces) and draft.rows()[0]["completion"] == "".join(pieces)


def test_another_text_takes_the_place_of_the_last_one_also_of_one_that_went_on():
    draft = Draft(base(), ChatSettings(temperature=2.0, max_new_tokens=12))
    first = "".join(draft.say("the cat"))
    second = "".join(draft.say(""))
    again = "".join(draft.again())
    assert again != second and draft.rows() == [{"prompt": "the cat", "completion": first + again}]
    draft.new()
    assert draft.rows() == []


def test_which_of_the_two_a_talk_is_depends_on_the_template_and_a_base_model_says_so():
    assert isinstance(talk(instructed(), GREEDY, system="x"), Chat)
    draft = talk(base(), GREEDY)
    assert isinstance(draft, Draft) and "a base model, without a chat template" in draft.greeting
    with pytest.raises(ConfigError, match="has no system prompt"):
        talk(base(), GREEDY, system="be brief")
    with pytest.raises(ModelError, match="no chat template"):
        Chat(base(), GREEDY)


@pytest.mark.parametrize("ask", [lambda draft: draft.say(""), lambda draft: draft.again()])
def test_before_the_first_text_nothing_goes_on(ask):
    with pytest.raises(ConfigError, match="give it the beginning of"):
        ask(Draft(base(), GREEDY))
