"""`chainrule lens demo network`: one training step in its five stages, then training to the end."""

from chainrule.cli.lens_page import Page, PageFormat, page_wanted, write_page
from chainrule.cli.options import AsJson
from chainrule.cli.output import print_json


def network(*, seed: int = 0, out: Page = None, as_format: PageFormat = None, as_json: AsJson = False) -> None:
    """Walk through one training step: forward, loss, backward, gradients by name, update; then train to the end.

    For example:

    - `chainrule lens demo network`
    - `chainrule lens demo network --out network.html`

    Parameters
    ----------
    seed
        Of the random weights and of the example.
    """
    from chainrule.lens import network_demo
    from chainrule.lens.classics import network as subject_of

    subject = subject_of(seed)
    if page_wanted(out, as_format, as_json=as_json):
        write_page(subject, out, as_format)
        return
    demo = network_demo(subject)
    if as_json:
        print_json(demo.facts())
    else:
        print(*demo.lines(), sep="\n")
