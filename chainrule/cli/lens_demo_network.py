"""`chainrule lens demo network`: one training step in its five stages, then training to the end."""

from chainrule.cli.lens_options import Page, PageFormat, format_asked, page_wanted
from chainrule.cli.lens_output import deliver
from chainrule.cli.options import AsJson


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
    drawing = page_wanted(out, as_format, as_json=as_json)
    from chainrule import lens

    subject = lens.network(seed)
    if drawing:
        deliver(lens.picture(subject.record(), title=subject.name), format_asked(as_format, out), out)
    else:
        print(lens.render(lens.network_demo(subject), "json" if as_json else "text"))
