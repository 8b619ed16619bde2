"""`chainrule lens demo gpt`: a GPT under the lens, tiny and random, or trained by the user."""

from chainrule.cli.lens_options import Page, PageFormat, format_asked, page_wanted
from chainrule.cli.lens_output import deliver
from chainrule.cli.options import AsJson
from chainrule.cli.output import say

WEIGHT = "blocks.0.attention.qkv"


def gpt(
    *,
    run: str | None = None,
    weight: str = WEIGHT,
    seed: int = 0,
    out: Page = None,
    as_format: PageFormat = None,
    as_json: AsJson = False,
) -> int:
    """Look at a GPT: every module in the ledger, one weight followed from the loss, and the proof of all gradients.

    For example:

    - `chainrule lens demo gpt`
    - `chainrule lens demo gpt --run runs/NAME`
    - `chainrule lens demo gpt --out gpt.html`

    Parameters
    ----------
    run
        A run folder, a checkpoint or a Hugging Face folder. Default: two layers with random weights.
    weight
        The weight that is followed, in its element with the largest gradient.
    seed
        Which windows of the run's text, or which random weights.
    """
    from chainrule.lens import gpt_demo, opening, picture

    drawing = page_wanted(out, as_format, as_json=as_json)
    subject = opening.open_subject(run or "gpt", seed=seed, say=say)
    tape = opening.recorded(subject, say=say)
    if drawing:
        deliver(picture(tape, title=subject.name), format_asked(as_format, out), out)
        return 0
    say("verifying …")
    demo = gpt_demo(subject, tape, weight)
    deliver(demo, "json" if as_json else "text", None)
    if not as_json:
        source = run or "gpt"
        print(f"\nMore: `chainrule lens verify {source}`, `chainrule lens ledger {source} --module blocks.0.attention`")
    return 0 if demo.report.ok else 1
