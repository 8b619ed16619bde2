"""`chainrule lens demo neuron`: one neuron's gradients by hand, by the rules, by autograd, by numbers and by SymPy."""

import subprocess
import sys
from pathlib import Path
from subprocess import PIPE

from chainrule.cli.lens_options import Page, PageFormat, format_asked, page_wanted
from chainrule.cli.lens_output import deliver
from chainrule.cli.options import AsJson

# As the lens would start it, by its path: importing its room would load torch before SymPy has begun to load itself.
COMMAND = (sys.executable, "-P", str(Path(__file__).parents[1] / "lens" / "classics" / "symbols.py"))


def neuron(*, out: Page = None, as_format: PageFormat = None, as_json: AsJson = False) -> None:
    """Find the two gradients of one neuron five ways: by hand, by our rules, by autograd, by numbers and by SymPy.

    For example:

    - `chainrule lens demo neuron`
    - `chainrule lens demo neuron --out neuron.html`
    """
    drawing = page_wanted(out, as_format, as_json=as_json)
    sympy = None if drawing else subprocess.Popen(COMMAND, stdin=PIPE, stdout=PIPE, encoding="utf-8")  # noqa: S603
    from chainrule import lens

    if drawing:
        subject = lens.neuron()
        deliver(lens.picture(subject.record(), title=subject.name), format_asked(as_format, out), out)
    else:
        print(lens.render(lens.neuron_demo(sympy), "json" if as_json else "text"))
