"""A folder that AutoModelForCausalLM and AutoTokenizer load without custom code."""

import json
from pathlib import Path
from typing import Any

from chainrule.base import SUMS, write_json
from chainrule.checkpoint import SEALED, OpenedModel, to_hugging_face, write_tensors
from chainrule.export.tokenizer import write_tokenizer
from chainrule.tokenizer import save_template

USE_WITH_TRANSFORMERS = """```python
from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("PATH_OF_THIS_FOLDER")
tokenizer = AutoTokenizer.from_pretrained("PATH_OF_THIS_FOLDER")
ids = tokenizer("Once upon a time", return_tensors="pt")
print(tokenizer.decode(model.generate(**ids, max_new_tokens=50)[0]))
```"""


def write_hugging_face(opened: OpenedModel, folder: Path) -> None:
    """model.safetensors (float32), config.json, generation_config.json, tokenizer.json, tokenizer_config.json.

    With a chat template also chat_template.jinja; generation then ends where its assistant's turn does.
    """
    settings, tensors = to_hugging_face(opened.config, opened.model.state_dict())
    end = opened.tokenizer.end_of_text
    ends: dict[str, int | list[int]] = {"bos_token_id": end, "eos_token_id": end}
    write_json(folder / "config.json", {**settings, **ends})
    with (folder / "model.safetensors").open("xb") as stream:
        # transformers refuses a file without the first word; by the second a list that was removed is missed.
        write_tensors(stream, tensors, {"format": "pt", SEALED: SUMS})
    write_tokenizer(opened.tokenizer, folder / "tokenizer.json")
    if opened.template:
        save_template(opened.template, folder)
        ends["eos_token_id"] = sorted(opened.template.stop)
    # Padding with end-of-text spares every user the warning that it is not set.
    write_json(folder / "generation_config.json", {**ends, "pad_token_id": end})
    write_json(folder / "tokenizer_config.json", _tokenizer_settings(opened, folder))


def _tokenizer_settings(opened: OpenedModel, folder: Path) -> dict[str, Any]:
    saved = json.loads((folder / "tokenizer.json").read_bytes())
    words = {number: word for word, number in saved["model"]["vocab"].items()}
    words |= {entry["id"]: entry["content"] for entry in saved["added_tokens"]}
    end = words[opened.tokenizer.end_of_text]
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": opened.config.context_length,
        **{"bos_token": end, "eos_token": end, "pad_token": end},
        **(opened.template.variables if opened.template else {}),
        "clean_up_tokenization_spaces": False,
    }
