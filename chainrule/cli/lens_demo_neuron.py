"""`chainrule lens demo neuron`: one neuron's gradients by hand, by the rules, by autograd, by numbers and by SymPy."""

import subprocess
import sys
from pathlib import Path

from chainrule.cli.lens_page import Page, PageFormat, page_wanted, write_page
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json

# Run by its path: importing its room would load torch before SymPy has begun.
SYMBOLS = Path(__file__).parents[1] / "lens" / "classics" / "symbols.py"


def neuron(*, out: Page = None, as_format: PageFormat = None, as_json: AsJson = False) -> None:
    """Find the two gradients of one neuron five ways: by hand, by our rules, by autograd, by numbers and by SymPy.

    For example:

    - `chainrule lens demo neuron`
    - `chainrule lens demo neuron --out neuron.html`
    """
    if page_wanted(out, as_format, as_json=as_json):
        from chainrule.lens import neuron as subject_of

        write_page(subject_of(), out, as_format)
        return
    words = [sys.executable, "-P", str(SYMBOLS)]  # -P: SymPy's imports are not looked for beside the file
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8") as sympy:  # noqa: S603
        _five_ways(sympy, as_json=as_json)


def _five_ways(sympy: "subprocess.Popen[str]", *, as_json: bool) -> None:
    """Prints the demo. SymPy's process imports it meanwhile, and answers last."""
    from chainrule.lens import answer, neuron_demo

    demo = neuron_demo(sympy)
    if not as_json:
        print(*demo.lines(), sep="\n", flush=True)
    symbols = answer(sympy)
    if as_json:
        print_json(demo.facts(symbols))
        return
    print(*demo.symbol_lines(symbols), sep="\n")
