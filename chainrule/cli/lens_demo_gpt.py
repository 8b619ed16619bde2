"""`chainrule lens demo gpt`: a GPT under the lens, tiny and random, or trained by the user."""

from chainrule.cli.lens_page import Page, PageFormat, page_wanted, write_page
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json, say

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
    from chainrule.lens import ledger, ledger_lines, path_lines, verify
    from chainrule.lens.ledgers import ledger_facts
    from chainrule.lens.open import open_subject, recorded

    subject = open_subject(run or "gpt", seed=seed, say=say)
    if page_wanted(out, as_format, as_json=as_json):
        write_page(subject, out, as_format)
        return 0
    tape = recorded(subject, say=say)
    book = ledger(tape, coordinate=(weight, None), stats=False)
    if not as_json:
        print("1. The chain rule, module by module, from the loss back\n")
        print(*ledger_lines(book, title=subject.name), sep="\n")
        assert book.coordinate is not None
        print("\n2. One weight, from the loss: what is multiplied and added to make its gradient\n")
        print(*path_lines(tape, book.coordinate), sep="\n")
        print("\n3. The proof: our rules, autograd and differences of the loss, in float64\n", flush=True)
    say("verifying …")
    report = verify(subject)
    if as_json:
        print_json({"ledger": ledger_facts(book), "verify": report.as_dict()})
    else:
        print(f"  {report.summary}")
        source = run or "gpt"
        print(f"\nMore: `chainrule lens verify {source}`, `chainrule lens ledger {source} --module blocks.0.attention`")
    return 0 if report.ok else 1
