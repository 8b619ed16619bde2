"""`chainrule export`: a model in the format of other tools, proved equal."""

from dataclasses import asdict
from pathlib import Path

from chainrule.cli.generate import say_passed_over
from chainrule.cli.loading import load_torch
from chainrule.cli.named import named
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json, put, put_line


def export(
    target: str,
    source: str,
    folder: Path,
    /,
    *,
    dtype: str | None = None,
    adapter: Path | None = None,
    as_json: AsJson = False,
) -> None:
    """Write a model in the format of other tools, proved equal.

    `hf`: a folder that Hugging Face's AutoModelForCausalLM and AutoTokenizer load without custom code. `gguf`: a file
    for llama.cpp and ollama, with a Modelfile. What was written is read back and computes the same, or the export is
    refused; the largest difference is printed.

    For example:

    - `chainrule export hf runs/NAME out/`
    - `chainrule export hf runs/NAME out/ --adapter my_adapter/`

    Parameters
    ----------
    target
        The format: hf, gguf.
    source
        A run folder or a checkpoint.
    folder
        Where to write; a new or empty folder.
    dtype
        What the numbers of a gguf are written in: f16, f32, or q8_0 (a quarter of the size, rounded to 8 bits).
    adapter
        An adapter in PEFT's format (adapter_config.json), added into the weights first; that they then compute the same
        is proved too.
    """
    base = named(source)
    load_torch()
    from chainrule.export import export as exported
    from chainrule.finetune import open_merged

    opened = open_merged(base, adapter) if adapter else base
    proof = exported(opened, folder, target, dtype=dtype)
    say_passed_over(proof.passed_over, proof.origin, proof.unchecked)
    if as_json:
        print_json(asdict(proof) | {"folder": str(folder)})
        return
    put_line(f"{folder} is a {proof.architecture} that {proof.read_by} loads")
    put(
        f"largest difference of {proof.n_logits:,} logits: {proof.largest_difference:.2e}, of {proof.largest_logit:.2f}"
    )
    if proof.rounding_difference:
        put(f"rounding the weights changed a logit by up to {proof.rounding_difference:.2e}")
    put(f"greedy text: {proof.n_greedy_tokens} tokens are equal")
