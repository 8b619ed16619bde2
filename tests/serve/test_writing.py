"""What is written: choices, stops, penalties, streams; and clients that leave, crowds, prefixes, clean ends."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from serve.servers import CONTEXT, running, until

HELLO = [{"role": "user", "content": "hi"}]
LONG = {"prompt": "a", "max_tokens": CONTEXT - 1, "ignore_eos": True, "stream": True}


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    lines = [line[6:] for line in answer.text.splitlines() if line.startswith("data: ")]
    assert answer.headers["content-type"].startswith("text/event-stream") and lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


def test_many_prompts_and_choices_come_in_order(chat: Any) -> None:
    prompts = ["a", "bb", "ccc"]
    found = chat.completion(prompts, n=2)
    assert [one["index"] for one in found["choices"]] == list(range(6))
    for place, prompt in enumerate(prompts):
        alone = chat.completion(prompt)["choices"][0]["text"]
        assert [found["choices"][2 * place + k]["text"] for k in (0, 1)] == [alone, alone]
    assert found["usage"]["prompt_tokens"] == 6 and found["usage"]["completion_tokens"] == 48


def test_a_seed_makes_choices_that_differ_and_come_again(chat: Any) -> None:
    asked = {"temperature": 1, "seed": 5, "n": 3}
    texts = [[one["text"] for one in chat.completion("a", **asked)["choices"]] for _ in range(2)]
    assert texts[0] == texts[1] and len(set(texts[0])) == 3
    free = {chat.completion("a", temperature=1)["choices"][0]["text"] for _ in range(3)}
    assert len(free) > 1


def test_a_text_ends_before_its_stop_string_also_in_a_stream(chat: Any) -> None:
    whole = chat.completion("hello", max_tokens=20)["choices"][0]["text"]
    word = whole[7:10]
    for stop in (word, ["never", word]):
        found = chat.completion("hello", max_tokens=20, stop=stop)["choices"][0]
        assert found["text"] == whole.partition(word)[0] and found["finish_reason"] == "stop"
    asked = {**LONG, "prompt": "hello", "max_tokens": 20, "temperature": 0, "stop": word}
    streamed = events(chat.post("/v1/completions", asked))
    assert "".join(one["choices"][0]["text"] for one in streamed) == whole.partition(word)[0]


def test_biases_and_penalties_do_what_they_say(chat: Any) -> None:
    token = chat.opened.tokenizer.encode("Z")[0]
    assert chat.completion("a", logit_bias={str(token): 100})["choices"][0]["text"] == "Z" * 8
    some = chat.completion("a", logit_bias={str(token): 60}, frequency_penalty=2, max_tokens=60)["choices"][0]["text"]
    assert 20 <= some.count("Z") < 60
    once = chat.completion("a", presence_penalty=2, logit_bias={str(token): 1.0})["choices"][0]["text"]
    assert once.count("Z") <= 1


def test_an_end_of_turn_ends_the_text_and_is_told_as_stop(chat: Any) -> None:
    end = chat.opened.tokenizer.control_tokens["<|im_end|>"]
    asked = {"messages": HELLO, "logit_bias": {str(end): 100}, "logprobs": True}
    choice = chat.post("/v1/chat/completions", asked).json()["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("stop", "")
    assert [one["token"] for one in choice["logprobs"]["content"]] == ["<|im_end|>"]


def test_a_control_word_in_a_message_is_text(chat: Any) -> None:
    plain, sly = ({"messages": [{"role": "user", "content": text}], "max_tokens": 1} for text in ("hi", "<|im_end|>"))
    used = [chat.post("/v1/chat/completions", one).json()["usage"]["prompt_tokens"] for one in (plain, sly)]
    assert used[1] - used[0] == len("<|im_end|>") - len("hi")


def test_streams_of_both_kinds_hold_what_the_whole_answer_holds(chat: Any) -> None:
    more = {"max_tokens": 12, "temperature": 0, "n": 2, "stream_options": {"include_usage": True}}
    both = {"/v1/completions": {"prompt": "hi", "echo": True}, "/v1/chat/completions": {"messages": HELLO}}
    for path, asked in both.items():
        whole = chat.post(path, {**asked, **more, "stream_options": None}).json()
        found = events(chat.post(path, {**asked, **more, "stream": True}))
        assert found[-1]["choices"] == []
        assert found[-1]["usage"] | {"prompt_tokens_details": 0} == whole["usage"] | {"prompt_tokens_details": 0}
        assert all(one["usage"] is None for one in found[:-1]) and len({one["id"] for one in found}) == 1
        for choice in whole["choices"]:
            parts = [one["choices"][0] for one in found[:-1] if one["choices"][0]["index"] == choice["index"]]
            texts = [part["text"] if "text" in part else part["delta"].get("content", "") for part in parts]
            assert "".join(texts) == (choice["text"] if "text" in choice else choice["message"]["content"])
            assert [part["finish_reason"] for part in parts] == [None] * (len(parts) - 1) + ["length"]


def test_streamed_log_probabilities_are_those_of_the_whole(chat: Any) -> None:
    asked = {"prompt": "hello you", "max_tokens": 5, "temperature": 0, "logprobs": 2, "echo": True}
    whole = chat.post("/v1/completions", asked).json()["choices"][0]["logprobs"]
    found = [one["choices"][0]["logprobs"] for one in events(chat.post("/v1/completions", {**asked, "stream": True}))]
    assert {name: [entry for one in found for entry in one[name]] for name in whole} == whole


def test_an_answer_in_a_schema_fits_it(chat: Any) -> None:
    pytest.importorskip("llguidance")
    schema = {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 4},
            "age": {"type": "integer", "minimum": 0, "maximum": 99},
        },
        "required": ["name", "age"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema}}
    for seed in range(3):
        asked = {"messages": HELLO, "max_tokens": 100, "seed": seed, "response_format": form}
        choice = chat.post("/v1/chat/completions", asked).json()["choices"][0]
        found = json.loads(choice["message"]["content"])
        assert choice["finish_reason"] == "stop" and set(found) == {"name", "age"}
        assert len(found["name"]) <= 4 and 0 <= found["age"] <= 99


def test_a_second_turn_reads_only_what_is_new(chat: Any) -> None:
    asked = {"messages": [{"role": "user", "content": "a question of some length"}], "max_tokens": 10, "temperature": 0}
    first = chat.post("/v1/chat/completions", asked).json()
    said = first["choices"][0]["message"]
    turns = [*asked["messages"], {"role": "assistant", "content": said["content"]}, *HELLO]
    used = chat.post("/v1/chat/completions", {**asked, "messages": turns}).json()["usage"]
    expected = first["usage"]["prompt_tokens"] + first["usage"]["completion_tokens"] - 1
    assert used["prompt_tokens_details"]["cached_tokens"] >= expected


def test_ids_are_texts_and_texts_are_ids(chat: Any) -> None:
    text = "Grüße, 世界"
    ids = chat.post("/tokenize", {"prompt": text}).json()["tokens"]
    assert ids == chat.opened.tokenizer.encode(text)
    assert chat.post("/detokenize", {"tokens": ids}).json()["prompt"] == text
    assert chat.completion(ids)["choices"][0]["text"] == chat.completion(text)["choices"][0]["text"]
    end = chat.client.get("/tokenizer_info").json()["eos_token"]
    assert chat.post("/tokenize", {"prompt": end}).json()["tokens"] == [chat.opened.tokenizer.end_of_text]
    assert len(chat.post("/tokenize", {"prompt": f"{end} "}).json()["tokens"]) > 5


def test_a_client_that_leaves_frees_its_row(base_folder: Path) -> None:
    with running(base_folder, rows=1) as server:
        engine, step = server.api.engine, server.api.engine._decoder.step

        def slow() -> dict[int, int]:
            time.sleep(0.02)
            return step()

        engine._decoder.step = slow
        with server.client.stream("POST", "/v1/completions", json=LONG) as answer:
            lines = answer.iter_lines()  # kept: a client that drops it has left
            assert next(lines).startswith("data: ")
            assert engine.load.active == 1
        until(lambda: engine.load.active == 0)
        with pytest.raises(httpx.ReadTimeout):  # one that waits for a whole answer leaves as well
            server.post("/v1/completions", {**LONG, "stream": False}, timeout=0.3)
        until(lambda: engine.load.active == 0)
        assert "chainrule_abandoned_texts_total 2" in server.client.get("/metrics").text
        server.completion("b", max_tokens=1)


def test_a_full_queue_is_429_with_a_time_to_come_again(base_folder: Path) -> None:
    with running(base_folder, rows=1, max_queue=2) as server:
        held, step = threading.Event(), server.api.engine._decoder.step

        def waiting() -> dict[int, int]:
            held.wait(20)
            return step()

        server.api.engine._decoder.step = waiting
        with ThreadPoolExecutor(3) as clients:
            asked = {"prompt": "a", "max_tokens": 2, "temperature": 0}
            running_now = [clients.submit(server.post, "/v1/completions", asked)]
            until(lambda: server.api.engine.load.active == 1)
            running_now += [clients.submit(server.post, "/v1/completions", asked) for _ in range(2)]
            until(lambda: server.api.engine.load.waiting == 2)
            refused = server.post("/v1/completions", asked)
            assert refused.status_code == 429 and int(refused.headers["retry-after"]) >= 1
            assert refused.json()["error"]["code"] == "queue_full"
            assert server.client.get("/health").json() == {"status": "ok", "active": 1, "waiting": 2}
            held.set()
            assert {one.result().status_code for one in running_now} == {200}


def test_a_model_that_fails_is_a_500_and_the_next_request_is_answered(base_folder: Path) -> None:
    with running(base_folder) as server:

        def broken() -> dict[int, int]:
            raise RuntimeError("out of luck")

        server.api.engine._decoder.step = broken
        answer = server.post("/v1/completions", {"prompt": "a", "stream": True})
        assert answer.status_code == 500 and "out of luck" in answer.json()["error"]["message"]
        server.completion("a")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_mistake_of_ours_leaves_nobody_waiting(base_folder: Path) -> None:
    with running(base_folder) as server:

        def broken() -> dict[int, int]:
            raise KeyError("a mistake")

        server.api.engine._decoder.step = broken
        assert server.post("/v1/completions", {"prompt": "a"}).status_code == 503
        assert server.client.get("/health").status_code == 503


def test_who_is_being_answered_when_the_server_ends_is_told(base_folder: Path) -> None:
    with running(base_folder) as server, ThreadPoolExecutor(1) as clients:
        step = server.api.engine._decoder.step

        def slow() -> dict[int, int]:
            time.sleep(0.02)
            return step()

        server.api.engine._decoder.step = slow
        asked = clients.submit(server.post, "/v1/completions", {**LONG, "stream": False})
        until(lambda: server.api.engine.load.active == 1)
        server.api.engine.stop()
        answer = asked.result()
        assert answer.status_code == 503 and answer.headers["retry-after"]
        assert server.client.get("/health").status_code == 503
        assert server.post("/v1/completions", {"prompt": "a"}).status_code == 503


def test_the_fast_mode_answers_alike(base_folder: Path, base: Any) -> None:
    with running(base_folder, exact=False) as server:
        assert server.completion("hello")["choices"][0]["text"] == base.completion("hello")["choices"][0]["text"]


def test_state_is_told_to_people_and_to_prometheus(chat: Any) -> None:
    chat.completion("hi")
    text = chat.client.get("/metrics").text
    names = [line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")]
    assert len(set(names)) == len(names) and 'requests_total{route="/v1/completions",status="200"}' in text
    listed = chat.client.get("/v1/models").json()["data"]
    assert [one["id"] for one in listed] == ["tiny"] and listed[0] == chat.client.get("/v1/models/tiny").json()
    paths = chat.client.get("/openapi.json").json()["paths"]
    assert {"/v1/completions", "/v1/chat/completions", "/tokenize", "/health"} <= set(paths)
