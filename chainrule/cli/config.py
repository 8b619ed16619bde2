"""`chainrule config show`: all settings, where each value came from and what it does, as a file that can be used."""

from collections.abc import Iterator
from typing import Annotated

from cyclopts import App, Parameter

from chainrule.base import count_text
from chainrule.cli.flags import Flags, flag_layer
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json, put
from chainrule.config import Resolved, explained, resolve
from chainrule.plan import flops_per_token, given_layers, parameter_rows, parameters

app = App(name="config")


@app.command
def show(
    source: str | None = None,
    *,
    preset: str | None = None,
    explain: Annotated[bool, Parameter(negative="--no-explain")] = True,
    as_json: AsJson = False,
    flags: Flags = None,
) -> None:
    """Print every setting with its value, where the value came from and what it does, and the model's parameters.

    What is printed is a configuration file: `chainrule config show --preset cpu-small > my.toml`, change it, and
    `chainrule pretrain my_texts/ --config my.toml`.

    For example:

    - `chainrule config show --preset gpt2-124m`
    - `chainrule config show runs/NAME`
    - `chainrule config show --preset cpu-small --model.n-layers 12`

    Parameters
    ----------
    source
        A run folder, a configuration file, or a preset's name.
    preset
        Start from a named configuration: gpt2-124m, gpt2-355m, gpt2-774m, gpt2-1558m, cpu-tiny, cpu-small, cpu-medium,
        gpu-small.
    explain
        A sentence above each setting.
    """
    resolved = resolve([*given_layers(source, preset), flag_layer(flags)])
    count = parameters(resolved.config.model)
    if as_json:
        print_json(
            {
                "config": resolved.config.model_dump(mode="json"),
                "sources": dict(resolved.sources),
                "parameters": {**count.components(), "total": count.total},
                "flops_per_token": flops_per_token(resolved.config.model),
            }
        )
        return
    lines = [*_model_lines(resolved), "", *explained(resolved, explain=explain)]
    put("\n".join(lines))


def _model_lines(resolved: Resolved) -> Iterator[str]:
    model = resolved.config.model
    for name, value, share in parameter_rows(resolved):
        note = "  (reuses the embedding)" if name == "head" and model.tied_embeddings else ""
        yield f"# {name:<13}{value:>15,} parameters {share:>7.1%}{note}"
    yield f"# {count_text(flops_per_token(model))} operations to learn from one token; exports as {model.architecture}"
