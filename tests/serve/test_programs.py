"""Programs of others, as they are, against a real server: lm-eval, litellm and schemathesis, each in its own process.

Without a network: they are told where the server is, and where nothing is to be fetched.
"""

import json
import os
import random
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from chainrule.evaluate import Candidate
from chainrule.evaluate.tasks.choices import Choices
from chainrule.evaluate.tasks.pairs import Pairs

WORDS = ["the", "a", "cat", "dog", "sat", "runs", "house", "river", "old", "new", "under", "over", "and"]
# The templates are those of lm-eval's own blimp and piqa (lm_eval/tasks of 0.4.13), over a file that is here.
TASK = """\
task: own_{name}
dataset_path: json
dataset_kwargs:
  data_files:
    test: {file}
test_split: test
output_type: multiple_choice
doc_to_text: {text}
doc_to_target: {target}
doc_to_choice: "{{{{[{choices}]}}}}"
metric_list:
  - metric: acc
"""
TASKS = {
    "pairs": {"text": '""', "target": 0, "choices": "sentence_good, sentence_bad"},
    "choices": {"text": r'"Question: {{goal}}\nAnswer:"', "target": "label", "choices": "sol1, sol2"},
}


def needs(package: str) -> Any:
    """Of the extra `proof`: what is not installed is not tried."""
    return pytest.mark.skipif(find_spec(package) is None, reason=f"needs {package}: pip install 'chainrule[proof]'")


def run(*command: str, cwd: Path | None = None, **environment: str) -> str:
    """What a Python program prints; its own environment has no token of any service and no proxy."""
    kept = {
        name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT", "TMPDIR") if name in os.environ
    }
    done = subprocess.run(
        [sys.executable, *command],
        env={**kept, **environment},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-3000:]
    return done.stdout


def sentences(count: int) -> list[str]:
    dice = random.Random(5)
    return [" ".join(dice.choices(WORDS, k=dice.randint(2, 9))) for _ in range(count)]


@pytest.mark.slow  # seven seconds of imports
@needs("lm_eval")
@needs("datasets")
def test_lm_eval_finds_what_our_evaluator_finds(base: Any, tmp_path: Path) -> None:
    rows = {
        "pairs": [dict(zip(("sentence_good", "sentence_bad"), pair, strict=True)) for pair in pairwise(sentences(24))],
        "choices": [
            {"goal": goal, "sol1": one, "sol2": other, "label": place % 2}
            for place, (goal, one, other) in enumerate(zip(*[iter(sentences(36))] * 3, strict=True))
        ],
    }
    for name, content in rows.items():
        file = tmp_path / f"{name}.jsonl"
        file.write_text("".join(json.dumps(row) + "\n" for row in content))
        (tmp_path / f"{name}.yaml").write_text(TASK.format(name=name, file=file, **TASKS[name]))
    run(
        *("-m", "lm_eval", "run", "--model", "local-completions", "--tasks", "own_pairs,own_choices"),
        *("--model_args", f"base_url={base.url}/v1/completions,model=tiny,num_concurrent=4"),
        *("--include_path", str(tmp_path), "--output_path", str(tmp_path / "found"), "--batch_size", "8"),
        HF_HOME=str(tmp_path / "cache"),
        HF_HUB_OFFLINE="1",
        HF_DATASETS_OFFLINE="1",
    )
    [written] = (tmp_path / "found").rglob("results*.json")
    found = json.loads(written.read_text())["results"]
    candidate = Candidate(base.opened.model, base.opened.tokenizer)
    for name, kind in (("pairs", Pairs), ("choices", Choices)):
        mine = kind.of(str(tmp_path / f"{name}.jsonl")).examine(candidate)
        assert mine is not None and 0 < mine.right < mine.n == len(rows[name])
        assert found[f"own_{name}"]["acc,none"] == pytest.approx(mine.right / mine.n), found


def pairwise(texts: list[str]) -> list[tuple[str, str]]:
    return list(zip(texts[::2], texts[1::2], strict=True))


LITELLM = """
import json, sys, litellm
where = {"api_base": sys.argv[1], "api_key": "none", "model": "openai/tiny", "max_retries": 0}
hello = [{"role": "user", "content": "hi"}]
asked = {"messages": hello, "max_tokens": 6, "temperature": 0}
whole = litellm.completion(**where, **asked)
pieces = list(litellm.completion(**where, **asked, stream=True, stream_options={"include_usage": True}))
where["model"] = "text-completion-openai/tiny"
text = litellm.text_completion(**where, prompt="hello", max_tokens=4, temperature=0)
where["model"] = "openai/tiny"
try:
    litellm.completion(**where, messages=hello, tools=[{"type": "function", "function": {"name": "f"}}])
    refused = ""
except litellm.BadRequestError as fault:
    refused = str(fault)
print(json.dumps({
    "whole": whole.choices[0].message.content, "usage": whole.usage.completion_tokens,
    "streamed": "".join(one.choices[0].delta.content or "" for one in pieces if one.choices),
    "n_streamed": next(one.usage.completion_tokens for one in reversed(pieces) if getattr(one, "usage", None)),
    "text": text.usage.completion_tokens, "refused": refused,
}))
"""


@needs("litellm")
def test_litellm_completes_chats_and_streams(chat: Any) -> None:
    found = json.loads(run("-c", LITELLM, f"{chat.url}/v1", LITELLM_LOCAL_MODEL_COST_MAP="True").splitlines()[-1])
    said = chat.post(
        "/v1/chat/completions", {"messages": [{"role": "user", "content": "hi"}], "max_tokens": 6, "temperature": 0}
    )
    assert found["whole"] == found["streamed"] == said.json()["choices"][0]["message"]["content"] != ""
    assert (found["usage"], found["n_streamed"], found["text"]) == (6, 6, 4)
    assert "tools" in found["refused"]


# What a schema cannot say (a prompt longer than the context, max_tokens: 0 without echo) is refused all the same; and a
# POST without JSON is 415 on every route, because the guard stands before them all.
NOT_PROMISED = "positive_data_acceptance,unsupported_method"


@needs("schemathesis")
@pytest.mark.parametrize(
    ("phases", "examples"), [("fuzzing", 8), pytest.param("coverage,fuzzing", 100, marks=pytest.mark.slow)]
)
def test_schemathesis_finds_nothing_that_openapi_json_does_not_say(
    chat: Any, tmp_path: Path, phases: str, examples: int
) -> None:
    said = run(
        *(
            "-m",
            "schemathesis.cli",
            "run",
            f"{chat.url}/openapi.json",
            "--checks",
            "all",
            "--exclude-checks",
            NOT_PROMISED,
        ),
        *("--phases", phases, "--max-examples", str(examples), "--seed", "1", "--no-color"),
        cwd=tmp_path,
    )
    assert "Tested: 11" in said, said[-2000:]
    assert chat.client.get("/health").json()["status"] == "ok"
