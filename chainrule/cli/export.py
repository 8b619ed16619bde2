"""`chainrule export hf`: a model in the format of other tools, proved equal."""

from dataclasses import asdict
from pathlib import Path

from cyclopts import App

from chainrule.cli.generate import say_passed_over
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json
from chainrule.run import model_source

app = App(name="export", help="Write a model in the format of other tools.")


@app.command
def hf(source: str, folder: Path, /, *, as_json: AsJson = False) -> None:
    """Write a folder that Hugging Face's AutoModelForCausalLM and AutoTokenizer load without custom code.

    The folder is loaded back and computes the same, or the export is refused; the largest difference is printed.

    Example: `chainrule export hf runs/NAME out/`

    Parameters
    ----------
    source
        A run folder or a checkpoint.
    folder
        Where to write; a new or empty folder.
    """
    from chainrule.export import export

    proof = export(model_source(source), folder)
    say_passed_over(proof.passed_over, proof.origin)
    if as_json:
        print_json(asdict(proof) | {"folder": str(folder)})
        return
    print(f"{folder} is a {proof.architecture} that transformers loads")
    print(
        f"largest difference of {proof.n_logits:,} logits: {proof.largest_difference:.2e}, of {proof.largest_logit:.2f}"
    )
    print(f"greedy text: {proof.n_greedy_tokens} tokens are equal")
