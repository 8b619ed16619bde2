"""`chainrule finetune`: a finished model is taught by examples, or an interrupted teaching goes on."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.text import Text

from chainrule.base import ConfigError
from chainrule.cli.flags import Flags, flag_layer
from chainrule.cli.loading import load_torch
from chainrule.cli.named import named
from chainrule.cli.options import AsJson, Device, LogTo, Minutes, RunsFolder
from chainrule.cli.start import watched
from chainrule.run import RUNS, find_run, last_begun, new_run
from chainrule.show import printable

if TYPE_CHECKING:
    from chainrule.finetune import Span


def finetune(
    source: str | None = None,
    *examples: str,
    text: tuple[str, ...] = (),
    replay: float = 0.0,
    epochs: float = 3.0,
    held_out: float = 0.1,
    column: tuple[str, ...] = (),
    on_bad: str = "error",
    too_long: str = "cut",
    objective: str = "answers",
    strength: float | None = None,
    adapter: Literal["auto", "lora", "none"] = "auto",
    rank: int = 16,
    alpha: float | None = None,
    rslora: bool = False,
    dora: bool = False,
    batch_examples: int = 16,
    probe: bool = True,
    minutes: Minutes = None,
    device: Device = None,
    name: Annotated[str | None, Parameter(alias="--run")] = None,
    runs_folder: RunsFolder = RUNS,
    resume: Annotated[bool, Parameter(negative=(), show_default=False)] = False,
    log_to: LogTo = (),
    as_json: AsJson = False,
    flags: Flags = None,
) -> int:
    """Teach a trained model by examples: conversations, instructions, prompts with completions, labelled texts.

    The first examples are shown as they will be learnt, faults that are silent elsewhere are looked for, and a copy of
    the model learns eight examples by heart, before anything is trained. Examples:

    - `chainrule finetune runs/NAME examples.jsonl`
    - `chainrule finetune my_hf_folder/ chat.parquet --epochs 2`
    - `chainrule finetune runs/NAME faq.csv --column prompt=question --column completion=reply`
    - `chainrule finetune runs/NAME examples.jsonl --replay 0.1`
    - `chainrule finetune smollm2 examples.jsonl --adapter lora --rank 8`
    - `chainrule finetune runs/NAME pairs.jsonl --objective dpo`
    - `chainrule finetune --resume runs/NAME`

    Parameters
    ----------
    source
        The model: a run, a Hugging Face folder or a name on the hub. With --resume: the run of fine-tuning.
    examples
        Files of rows: .jsonl, .json, .csv, .tsv, .parquet, compressed or not.
    text
        Text like that which the model was trained on: what it forgets is measured on it. A run's own is known.
    replay
        The share of the learnt tokens that is such text, against forgetting.
    epochs
        How often each example is learnt. With --minutes: as often as fits.
    held_out
        The share of the examples that is never learnt and tells how well the others are.
    column
        OURS=THEIRS: which column stands for prompt, completion, messages, instruction, output, text, label, ...
    on_bad
        error or skip: what to do about rows of no known shape.
    too_long
        cut: of examples beyond the context the prompt is cut from the left; refuse: they are left out. Answers are
        never cut.
    objective
        What is learnt: answers; or, of rows that say which answer is better, preferences: dpo, ipo, orpo, simpo (of
        rows with chosen and rejected), kto (also of rows with completion and label).
    strength
        How strongly preferences hold the model to what it was: beta of dpo, simpo and kto, tau of ipo, lambda of orpo.
    adapter
        lora: small matrices around the model's layers learn, and its own weights stay: less memory, less forgetting;
        none: all weights learn; auto: lora for models of more than 50 million parameters.
    rank
        Of the adapter.
    alpha
        The adapter's strength; default: twice the rank.
    rslora
        Scale the adapter by 1/√rank instead of 1/rank, for high ranks.
    dora
        Learn the length of each row by itself (DoRA).
    batch_examples
        Examples of one update, about.
    probe
        Whether eight examples are learnt by heart first, to see that they can be.
    minutes
        The time that the whole run may take, in minutes or as 90s, 1h30. With --resume: what it gets from now on.
    name
        The run's name in the runs folder. Default: after the examples, with a number.
    resume
        Go on with an interrupted run of fine-tuning.
    """
    layer = flag_layer(flags, {"machine.device": device})
    if resume and examples:
        raise ConfigError("--resume goes on with the run's own examples; name the run alone")
    if not resume and (source is None or not examples):
        raise ConfigError("finetune needs a model and examples: chainrule finetune runs/NAME examples.jsonl")
    if on_bad not in ("error", "skip"):
        raise ConfigError(f"--on-bad {on_bad} is unknown for examples; use error or skip")
    if resume:
        run = find_run(source, runs_folder) if source else last_begun(runs_folder)
    else:
        assert source is not None, "only a resume needs no model"
        model, run = named(source, runs_folder), new_run(name, runs_folder, examples)
    load_torch(logged=True)
    from chainrule import finetune as room
    from chainrule.model import LoraSettings

    if resume:
        return watched(
            run,
            lambda watch, begun, report: room.resume_finetune(
                run.path, layers=[layer], minutes=minutes, watch=watch, begun=begun, report=report
            ),
            verb="finetune",
            as_json=as_json,
            log_to=log_to,
        )
    settings = room.TuningSettings(
        epochs=epochs,
        batch_examples=batch_examples,
        held_out=held_out,
        columns=room.column_map(column),
        skip_bad=on_bad == "skip",
        too_long=too_long,
        base_text=text,
        replay=replay,
        objective=objective,
        strength=strength,
        adapter=adapter,
        lora=LoraSettings(rank, alpha, rslora, dora),
        probe=probe,
    )
    return watched(
        run,
        lambda watch, begun, report: room.finetune(
            model,
            examples,
            Path(run.path),
            settings=settings,
            layers=[layer],
            minutes=minutes,
            watch=watch,
            show=_show,
            begun=begun,
            report=report,
        ),
        verb="finetune",
        as_json=as_json,
        log_to=log_to,
    )


def _show(examples: Sequence[Sequence["Span"]]) -> None:
    """The first examples: learnt in green and underlined (colour alone says it to nobody who cannot see it)."""
    console = Console(stderr=True, highlight=False, markup=False)
    console.print("the first examples; what is learnt is green, or stands between » and «:")
    for example in examples:
        line = Text()
        for span in example:
            shown = printable(span.text)
            if not console.is_terminal and span.learnt:
                shown = f"»{shown}«"
            line.append(shown, style="bold green underline" if span.learnt else "dim")
        console.print(line, soft_wrap=True)
