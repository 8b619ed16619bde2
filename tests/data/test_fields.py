"""From a row to its text: paths, lists, templates."""

import pytest

from chainrule.config import TextConfig
from chainrule.data.fields import text_builder

NESTED = {"meta": 1, "data": {"content": {"text": "deep"}}, "choices": [{"text": "first"}, {"text": "second"}]}
TALK = {"messages": [{"role": "user", "text": "hi"}, {"role": "bot", "text": "yo"}, {"role": "bot"}]}


def made(row, field="text", template=None):
    return text_builder(TextConfig(field=field, template=template))(row)


@pytest.mark.parametrize(
    ("row", "field", "text"),
    [
        (NESTED, "data.content.text", "deep"),
        (NESTED, "data[content][text]", "deep"),
        (NESTED, "choices[1].text", "second"),
        (NESTED, "choices[].text", "first\nsecond"),
        (TALK, "messages[].text", "hi\nyo"),
        ({"a.b": "a name with a dot"}, "a.b", "a name with a dot"),
        ({"text": ["one", "two"]}, "text", "one\ntwo"),
        ({"text": ["go ", {"type": "bold", "text": "there"}, "!"]}, "text", "go there!"),
        (
            {"chats": {"list": [{"messages": [{"text": ["a ", {"type": "link", "text": "b"}]}]}]}},
            "chats.list[].messages[].text",
            "a b",
        ),
    ],
)
def test_a_path_leads_to_the_text(row, field, text):
    assert made(row, field) == (text, "")


def test_templates_take_paths():
    assert made(NESTED, template="{meta}: {data.content.text}, {choices[0].text}")[0] == "1: deep, first"


@pytest.mark.parametrize("field", ["data.nothing", "choices[9].text", "data[]", "meta.x", "data..", "[]", "a[b"])
def test_a_path_that_leads_nowhere_tells_where_texts_are(field):
    text, fault = made(NESTED, field)
    assert text is None and "(texts inside: data.content.text, choices[].text)" in fault


def test_messages_are_one_conversation():
    row = {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": [{"type": "text", "text": "yo"}]},
        ]
    }
    assert made(row) == ("User: hi\n\nAssistant: yo\n", "")
