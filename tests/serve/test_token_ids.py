"""Ids of prompts and answers beside their texts, by vLLM's names."""

import json
from typing import Any

ASKED = {"max_tokens": 5, "temperature": 0, "return_token_ids": True, "ignore_eos": True}
CHAT = {"messages": [{"role": "user", "content": "the cat"}], **ASKED}


def events(server: Any, path: str, asked: dict[str, Any]) -> list[dict[str, Any]]:
    text = server.post(path, {**asked, "stream": True}).text
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: {")]


def test_a_completion_tells_the_ids_of_its_prompt_and_of_its_text(chat: Any) -> None:
    prompts = ["the cat", "a dog"]
    choices = chat.completion(prompts, **ASKED)["choices"]
    for prompt, choice in zip(prompts, choices, strict=True):
        assert choice["prompt_token_ids"] == chat.opened.tokenizer.encode(prompt)
        assert len(choice["token_ids"]) == 5 and chat.opened.tokenizer.decode(choice["token_ids"]) == choice["text"]


def test_a_stream_tells_them_as_they_come_and_the_prompts_once(chat: Any) -> None:
    whole = chat.completion("the cat", **ASKED)["choices"][0]
    for more in ({}, {"logprobs": 2}):
        told = [one["choices"][0] for one in events(chat, "/v1/completions", {"prompt": "the cat", **ASKED, **more})]
        assert [token for one in told for token in one["token_ids"]] == whole["token_ids"]
        assert [one.get("prompt_token_ids") for one in told] == [whole["prompt_token_ids"], *[None] * (len(told) - 1)]


def test_a_conversation_tells_the_ids_that_the_template_made(chat: Any) -> None:
    whole = chat.post("/v1/chat/completions", CHAT).json()
    template = chat.opened.template
    assert whole["prompt_token_ids"] == template.encode(chat.opened.tokenizer, CHAT["messages"], reply=True)
    told = events(chat, "/v1/chat/completions", CHAT)
    assert [one.get("prompt_token_ids") for one in told][:2] == [whole["prompt_token_ids"], None]
    assert [token for one in told for token in one["choices"][0].get("token_ids", ())] == whole["choices"][0][
        "token_ids"
    ]


def test_nobody_who_does_not_ask_is_told(chat: Any) -> None:
    assert "token_ids" not in json.dumps(chat.completion("the cat"))
    assert "token_ids" not in chat.post("/v1/chat/completions", {**CHAT, "return_token_ids": False}).text


def test_an_echo_cannot_be_told_apart_and_is_refused(chat: Any) -> None:
    refused = chat.post("/v1/completions", {"prompt": "a", "echo": True, "return_token_ids": True})
    assert refused.status_code == 400 and "return_token_ids" in refused.json()["error"]["message"]
