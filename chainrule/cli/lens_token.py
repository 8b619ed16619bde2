"""`chainrule lens token`: what the probability of one token of a text hangs on."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from chainrule.cli.lens_options import PictureFormat, check_json_alone, format_asked
from chainrule.cli.lens_output import deliver
from chainrule.cli.loading import load_torch
from chainrule.cli.named import check_subject
from chainrule.cli.options import AsJson


def token(
    what: str,
    text: str,
    /,
    *,
    out: Path | None = None,
    as_format: Annotated[PictureFormat | None, Parameter(name="--format")] = None,
    as_json: AsJson = False,
) -> None:
    """Walk back from the loss of a text's last token: its gradient at each depth of a GPT and each place of the text.

    With --out, all operations as a picture.

    For example:

    - `chainrule lens token runs/NAME "Once upon a time"`
    - `chainrule lens token smollm2 "The capital of France is Paris"`
    - `chainrule lens token runs/NAME "Once upon a time" --out time.html`

    Parameters
    ----------
    what
        A run folder, a checkpoint, a Hugging Face folder, or a name on the Hugging Face hub.
    text
        The token that is looked at is its last one.
    out
        A file to write; its ending says the format: .html, .svg, .json, .md, .tex or .txt.
    as_format
        term, html, svg, json, md or tex. Default: by the ending of --out, else term.
    """
    check_json_alone(out, as_format, as_json=as_json)
    drawing = out is not None or format_asked(as_format, out) != "text"
    check_subject(what)
    load_torch()
    from chainrule.lens import opening, picture

    if drawing:
        subject = opening.token_subject(what, text)
        deliver(picture(subject.record(), title=subject.name), format_asked(as_format, out), out)
    else:
        deliver(opening.token_look(what, text), "json" if as_json else "text", None)
