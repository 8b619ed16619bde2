"""The client that most programs use, as it is."""

from collections.abc import Iterator
from typing import Any

import pytest

openai = pytest.importorskip("openai")
HELLO = [{"role": "user", "content": "hi"}]


@pytest.fixture
def client(chat: Any) -> Iterator[Any]:
    with openai.OpenAI(base_url=f"{chat.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def test_models_completions_and_chat(client: Any) -> None:
    assert [one.id for one in client.models.list()] == ["tiny"]
    text = client.completions.create(model="tiny", prompt="hello", max_tokens=4, temperature=0, logprobs=1)
    assert text.usage.completion_tokens == 4 and len(text.choices[0].logprobs.token_logprobs) == 4
    said = client.chat.completions.create(
        model="tiny", messages=HELLO, max_completion_tokens=4, temperature=0, logprobs=True, top_logprobs=2, n=2
    )
    assert [one.message.role for one in said.choices] == ["assistant"] * 2
    assert len(said.choices[0].logprobs.content[0].top_logprobs) == 2


def test_a_stream_is_what_comes_whole(client: Any) -> None:
    asked = {"model": "tiny", "messages": HELLO, "max_tokens": 9, "temperature": 0}
    whole = client.chat.completions.create(**asked).choices[0].message.content
    pieces = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
    assert "".join(one.choices[0].delta.content or "" for one in pieces if one.choices) == whole
    assert pieces[-1].usage.completion_tokens == 9


def test_errors_are_its_own_kinds(client: Any) -> None:
    with pytest.raises(openai.NotFoundError, match="tiny"):
        client.chat.completions.create(model="gpt-9", messages=HELLO)
    with pytest.raises(openai.BadRequestError, match="tools"):
        tool = {"type": "function", "function": {"name": "f"}}
        client.chat.completions.create(model="tiny", messages=HELLO, tools=[tool])
    with pytest.raises(openai.BadRequestError) as caught:
        client.completions.create(model="tiny", prompt="a" * 1000)
    assert caught.value.code == "context_length_exceeded" and caught.value.param == "prompt"
