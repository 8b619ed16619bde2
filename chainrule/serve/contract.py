"""The contract of OpenAI's interface as clients rely on it, demand by demand, against any server.

The demands are those that servers are known to miss in silence: echo with log-probabilities (llama.cpp issue 27174), a
schema that is accepted and not enforced (llama.cpp issue 19051), a greedy answer that changes with batch or cache (vLLM
issue 54490), a finish_reason that is none (sglang issue 3912).
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from chainrule.serve.calling import Answer, Caller, NotOfferedError, UnmetError

Outcome = Literal["met", "unmet", "not offered"]
Demand = Callable[[Caller], None]
COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
GREEDY = {"temperature": 0, "max_tokens": 6}
TEXTS = ("The cat sat on the", "1 2 3 4", "In the beginning", "def f(x):")
HELLO = [{"role": "user", "content": "Say hello."}]
SCHEMA = {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"], "additionalProperties": False}


@dataclass(frozen=True)
class Found:
    """What came of one demand."""

    area: str
    demand: str
    outcome: Outcome
    detail: str = ""


def conformance(caller: Caller) -> list[Found]:
    """Every demand tried on the server, in order; the first model that it names is asked where none is given."""
    if caller.model is None:
        caller = Caller(caller.url, caller.token, _first_model(caller), caller.timeout)
    return [
        _tried(area, name, demand, caller) for area, demands in CONTRACT.items() for name, demand in demands.items()
    ]


def _first_model(caller: Caller) -> str | None:
    try:
        return str(caller.get("/v1/models").ok()["data"][0]["id"])
    except (UnmetError, KeyError, IndexError, TypeError):
        return None


def _tried(area: str, name: str, demand: Demand, caller: Caller) -> Found:
    try:
        demand(caller)
    except NotOfferedError as fault:
        return Found(area, name, "not offered", str(fault))
    except UnmetError as fault:
        return Found(area, name, "unmet", str(fault))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as fault:
        return Found(area, name, "unmet", f"the answer has another shape: {type(fault).__name__} {fault}")
    return Found(area, name, "met")


def _demand(holds: object, otherwise: str) -> None:
    if not holds:
        raise UnmetError(otherwise)


def _choices(answer: Answer, count: int = 1) -> list[dict[str, Any]]:
    """The choices in their order, each with a finish_reason."""
    found = sorted(answer.ok()["choices"], key=lambda one: one["index"])
    _demand(len(found) == count, f"{len(found)} choices, not {count}")
    for one in found:
        _demand(one["finish_reason"] in ("stop", "length"), f"finish_reason is {one['finish_reason']!r}")
    return found


def _written(caller: Caller, prompt: Any, **more: Any) -> list[dict[str, Any]]:
    count = len(prompt) if isinstance(prompt, list) and not isinstance(prompt[0], int) else 1
    return _choices(caller.post(COMPLETIONS, {"prompt": prompt, **GREEDY, **more}), count * more.get("n", 1))


def _said(caller: Caller, **more: Any) -> Answer:
    """An answer to hello; raises NotOfferedError for a server that says that its model does not chat."""
    answer = caller.post(CHAT, {"messages": HELLO, **GREEDY, **more})
    if answer.status == 400 and "chat template" in answer.body.decode(errors="replace"):
        raise NotOfferedError("a base model")
    return answer


def _ids(caller: Caller, text: str) -> list[int]:
    content = {"prompt": text, "content": text, "add_special_tokens": False}
    found = caller.post("/tokenize", content).ok()["tokens"]
    _demand(bool(found) and all(isinstance(one, int) for one in found), "tokens are no list of ids")
    return list(found)


def _models(caller: Caller) -> None:
    found = caller.get("/v1/models").ok()
    _demand(found["object"] == "list" and bool(found["data"]) and all(one["id"] for one in found["data"]), "no list")


def _health(caller: Caller) -> None:
    _demand(caller.get("/health").status == 200, "status is not 200")


def _unknown_model(caller: Caller) -> None:
    error = caller.post(COMPLETIONS, {"prompt": "a", "max_tokens": 1, "model": "no-such-model"}).refused(404)
    _demand(error.get("code") == "model_not_found", f"code is {error.get('code')!r}")


def _unknown_path(caller: Caller) -> None:
    caller.get("/v1/no-such-route").refused(404)


def _text(caller: Caller) -> None:
    answer = caller.post(COMPLETIONS, {"prompt": TEXTS[0], **GREEDY})
    found, used = _choices(answer)[0], answer.ok()["usage"]
    _demand(isinstance(found["text"], str) and answer.ok()["object"] == "text_completion", "no text_completion")
    _demand(used["prompt_tokens"] + used["completion_tokens"] == used["total_tokens"], "usage does not add up")
    _demand(found["finish_reason"] != "length" or used["completion_tokens"] == 6, "length is not max_tokens")


def _texts(caller: Caller) -> None:
    together, alone = _written(caller, list(TEXTS)), [_written(caller, text)[0] for text in TEXTS]
    _demand([one["text"] for one in together] == [one["text"] for one in alone], "other texts than one by one")


def _token_ids(caller: Caller) -> None:
    ids = [_ids(caller, text) for text in TEXTS[:2]]
    one, two = _written(caller, ids[0])[0]["text"], _written(caller, ids)
    _demand(one == two[0]["text"], "one list of ids and a list of lists differ")


def _n(caller: Caller) -> None:
    asked = {"prompt": "a", "max_tokens": 8, "temperature": 1, "n": 3, "seed": 1}
    texts = [one["text"] for one in _choices(caller.post(COMPLETIONS, asked), 3)]
    _demand(len(set(texts)) > 1, "three choices, all alike")


def _seed(caller: Caller) -> None:
    asked = {"prompt": TEXTS[0], "max_tokens": 8, "temperature": 1, "seed": 7}
    one, two = (_choices(caller.post(COMPLETIONS, asked))[0]["text"] for _ in range(2))
    _demand(one == two, "one seed, two texts")


def _stop(caller: Caller) -> None:
    whole = _written(caller, TEXTS[0], max_tokens=16)[0]["text"]
    words = [whole[place : place + 2] for place in range(1, len(whole) - 2)]
    word = next((word for word in words if "\ufffd" not in word), None)
    if word is None:
        raise NotOfferedError("the model wrote no whole characters to stop at")
    found = _written(caller, TEXTS[0], max_tokens=16, stop=[word])[0]
    _demand(found["text"] == whole.partition(word)[0], "the text does not end before the stop string")
    _demand(found["finish_reason"] == "stop", f"finish_reason is {found['finish_reason']!r}")


def _bias(caller: Caller) -> None:
    token = _ids(caller, "a")[0]
    found = _written(caller, TEXTS[0], logit_bias={str(token): 100}, max_tokens=3)[0]["text"]
    _demand("a" in found and not found.strip("a"), f"a token with +100 is not what is written: {found!r}")


def _legacy(caller: Caller) -> None:
    found = _written(caller, TEXTS[0], logprobs=2)[0]["logprobs"]
    lengths = {len(found[name]) for name in ("tokens", "token_logprobs", "top_logprobs", "text_offset")}
    _demand(len(lengths) == 1, "the four lists differ in length")
    for own, top in zip(found["token_logprobs"], found["top_logprobs"], strict=True):
        _demand(own == max(top.values()), "a greedy token's log-probability is not the largest one's float")


def _echo(caller: Caller) -> None:
    """lm-eval: loglikelihoods come from `token_logprobs[n:-1]`, greedy where a float equals the largest of its dict."""
    ids = [_ids(caller, text) for text in TEXTS[:2]]
    asked = {"prompt": ids, "max_tokens": 1, "logprobs": 1, "echo": True, "temperature": 0, "seed": 1234}
    for one, choice in zip(ids, _choices(caller.post(COMPLETIONS, asked), 2), strict=True):
        if not choice["logprobs"]:
            raise UnmetError("no logprobs: every score would be 0")
        own, top = choice["logprobs"]["token_logprobs"], choice["logprobs"]["top_logprobs"]
        _demand(len(own) == len(top) == len(one) + 1, f"{len(own)} entries for {len(one)} tokens and one more")
        _demand(own[0] is None and top[0] is None, "the first entry is not null")
        _demand(all(isinstance(value, float) and value <= 0 for value in own[1:]), "log-probabilities that are none")
        _demand(all(max(dict_.values()) >= value for dict_, value in zip(top[1:], own[1:], strict=True)), "no largest")
        _demand(own[-1] == max(top[-1].values()), "the greedy token is not told by an equal float")


def _alone_and_together(caller: Caller) -> None:
    asked = {"logprobs": 1, "max_tokens": 8}
    together = _written(caller, list(TEXTS), **asked)
    alone = [_written(caller, text, **asked)[0] for text in reversed(TEXTS)][::-1]
    same = [one["logprobs"]["token_logprobs"] for one in together] == [
        one["logprobs"]["token_logprobs"] for one in alone
    ]
    _demand(same, "log-probabilities differ in their bits")


def _cached(caller: Caller) -> None:
    text = " ".join(TEXTS) + " seen twice"
    first, second = (_written(caller, text, logprobs=1)[0]["logprobs"]["token_logprobs"] for _ in range(2))
    _demand(first == second, "log-probabilities differ in their bits the second time")


def _stream(caller: Caller) -> None:
    whole = _written(caller, TEXTS[0])[0]
    events = caller.post(COMPLETIONS, {"prompt": TEXTS[0], **GREEDY, "stream": True}).events()
    choices = [choice for event in events for choice in event["choices"]]
    _demand("".join(one["text"] for one in choices) == whole["text"], "the pieces are not the text")
    _demand([one["finish_reason"] for one in choices if one["finish_reason"]] == [whole["finish_reason"]], "no finish")


def _stream_usage(caller: Caller) -> None:
    asked = {"prompt": TEXTS[0], **GREEDY, "stream": True, "stream_options": {"include_usage": True}}
    last = caller.post(COMPLETIONS, asked).events()[-1]
    _demand(last["choices"] == [] and last["usage"]["total_tokens"] > 0, "the last piece has no usage")


def _stream_error(caller: Caller) -> None:
    caller.post(COMPLETIONS, {"prompt": "a", "max_tokens": "many", "stream": True}).refused(400, 422)


def _chat(caller: Caller) -> None:
    answer = _said(caller)
    message = _choices(answer)[0]["message"]
    _demand(message["role"] == "assistant" and isinstance(message["content"], str), "no message of the assistant")
    _demand(answer.ok()["object"] == "chat.completion", "object is not chat.completion")


def _chat_parts(caller: Caller) -> None:
    # One part: what stands between several is said nowhere, and servers differ.
    parts = [{"role": "user", "content": [{"type": "text", "text": HELLO[0]["content"]}]}]
    one, two = (_choices(_said(caller, **more))[0]["message"] for more in ({}, {"messages": parts}))
    _demand(one == two, "a text as a part is another text")


def _chat_logprobs(caller: Caller) -> None:
    found = _choices(_said(caller, logprobs=True, top_logprobs=2))[0]["logprobs"]["content"]
    _demand(bool(found) and all(len(one["top_logprobs"]) == 2 for one in found), "not two likeliest for each token")
    _demand(
        all(one["logprob"] == one["top_logprobs"][0]["logprob"] for one in found), "a greedy token is not the first"
    )


def _chat_stream(caller: Caller) -> None:
    events = _said(caller, stream=True)
    if events.status != 200:
        events.ok()
    deltas = [choice["delta"] for event in events.events() for choice in event["choices"]]
    _demand(deltas[0].get("role") == "assistant", "the first piece has no role")
    whole = _choices(_said(caller))[0]["message"]["content"]
    _demand("".join(delta.get("content") or "" for delta in deltas) == whole, "the pieces are not the text")


def _chat_max(caller: Caller) -> None:
    answer = _said(caller, max_tokens=None, max_completion_tokens=2)
    _demand(answer.ok()["usage"]["completion_tokens"] <= 2, "max_completion_tokens is passed over")


def _schema(caller: Caller) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA, "strict": True}}
    answer = _said(caller, response_format=form, max_tokens=40)
    if answer.status == 400:
        raise NotOfferedError("refused")
    choice = _choices(answer)[0]
    _demand(choice["finish_reason"] == "stop", "the answer does not end within 40 tokens")
    _demand(json.loads(choice["message"]["content"])["a"] in (1, 2), "the answer does not fit the schema")


def _wrong_schema(caller: Caller) -> None:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "no-such-type"}}}
    _said(caller, response_format=form).refused(400)


def _no_messages(caller: Caller) -> None:
    _said(caller)
    caller.post(CHAT, {"messages": [], "max_tokens": 1}).refused(400, 422)


def _roles(caller: Caller) -> None:
    _said(caller)
    caller.post(CHAT, {"messages": [{"role": "king", "content": "a"}], "max_tokens": 1}).refused(400, 422)


def _no_json(caller: Caller) -> None:
    caller.post(COMPLETIONS, b'{"prompt": "a", ').refused(400)


def _nan(caller: Caller) -> None:
    caller.post(COMPLETIONS, b'{"prompt": "a", "max_tokens": 1, "temperature": NaN}').refused(400)


def _types(caller: Caller) -> None:
    for field in ({"max_tokens": "5"}, {"temperature": "hot"}, {"n": True}, {"stop": [1]}):
        caller.post(COMPLETIONS, {"prompt": "a", "max_tokens": 1, **field}).refused(400, 422)


def _huge(caller: Caller) -> None:
    for field in ({"n": 10**9}, {"best_of": 10**6}, {"logprobs": 10**6}):
        caller.post(COMPLETIONS, {"prompt": "a", "max_tokens": 1, **field}).refused(400, 422)


def _too_long(caller: Caller) -> None:
    caller.post(COMPLETIONS, {"prompt": "word " * 400_000, "max_tokens": 1}).refused(400, 413)


def _meaning(caller: Caller) -> None:
    caller.post(COMPLETIONS, {"prompt": "a", "max_tokens": 1, "suffix": "the end"}).refused(400)


def _round_trip(caller: Caller) -> None:
    text = "Grüße, 世界! 1 + 1"
    found = caller.post("/detokenize", {"tokens": _ids(caller, text)}).ok()
    _demand(text in (found.get("prompt"), found.get("content")), "other text comes back")


def _tokenizer_info(caller: Caller) -> None:
    end = caller.get("/tokenizer_info").ok()["eos_token"]
    _demand(isinstance(end, str) and len(_ids(caller, end)) == 1, "eos_token is no one token")


def _host(caller: Caller) -> None:
    for path in ("/v1/models", "/health"):
        answer = caller.get(path, {"Host": "attacker.example"})
        _demand(answer.status in (400, 403, 421), f"{path}: status {answer.status}")


def _origin(caller: Caller) -> None:
    origin = {"Origin": "https://attacker.example", "Sec-Fetch-Site": "cross-site"}
    answer = caller.post(COMPLETIONS, {"prompt": "a", "max_tokens": 1}, origin)
    allowed = answer.headers.get("access-control-allow-origin")
    _demand(allowed is None, f"allows any page to read: {allowed}")
    _demand(answer.status == 403, f"status {answer.status}")


def _plain(caller: Caller) -> None:
    body = b'{"prompt": "a", "max_tokens": 1}'
    status = caller.post(COMPLETIONS, body, {"Content-Type": "text/plain"}).status
    _demand(status == 415, f"status {status}")


CONTRACT: dict[str, dict[str, Demand]] = {
    "server": {
        "/v1/models lists": _models,
        "/health": _health,
        "unknown model: 404": _unknown_model,
        "unknown route: 404 as JSON": _unknown_path,
    },
    "completions": {
        "text, usage, finish_reason": _text,
        "a list of texts": _texts,
        "ids, and a list of ids": _token_ids,
        "n choices differ": _n,
        "a seed repeats": _seed,
        "ends before a stop string": _stop,
        "logit_bias": _bias,
        "logprobs: four equal lists": _legacy,
        "echo + logprobs (lm-eval)": _echo,
    },
    "exactness": {
        "greedy bits alone = together": _alone_and_together,
        "greedy bits cached = fresh": _cached,
    },
    "streams": {
        "pieces are the text, [DONE]": _stream,
        "usage on request": _stream_usage,
        "an error before the first byte": _stream_error,
    },
    "chat": {
        "a message": _chat,
        "content in parts": _chat_parts,
        "logprobs and top_logprobs": _chat_logprobs,
        "stream": _chat_stream,
        "max_completion_tokens": _chat_max,
        "json_schema enforced": _schema,
        "a wrong schema: 400": _wrong_schema,
        "no messages: 400": _no_messages,
        "an unknown role: 400": _roles,
    },
    "bad input": {
        "no JSON: 400": _no_json,
        "NaN: 400": _nan,
        "wrong types: 400": _types,
        "huge n, best_of, logprobs: 400": _huge,
        "longer than the context: 400": _too_long,
        "suffix: 400 rather than ignored": _meaning,
    },
    "tokenizer": {"ids and back": _round_trip, "/tokenizer_info": _tokenizer_info},
    "security": {
        "another Host is refused": _host,
        "another Origin is refused": _origin,
        "text/plain: 415": _plain,
    },
}


def unmet(found: Sequence[Found]) -> list[Found]:
    """The demands that are not met."""
    return [one for one in found if one.outcome == "unmet"]
