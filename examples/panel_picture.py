"""Draws the live panel of a run as SVG, as it stood at a share of its steps.

python examples/panel_picture.py runs/python-1 docs/panel.svg
"""

import sys
from pathlib import Path

from chainrule.panel.svg import last_step, panel_svg
from chainrule.run import open_run


def main(run_path: str, picture: str, share: str = "0.8") -> None:
    """Writes `picture`; `share` is the part of the run that is done in it."""
    run = open_run(Path(run_path))
    Path(picture).write_text(panel_svg(run, until_step=round(last_step(run) * float(share))), encoding="utf-8")
    print(f"{picture}: the panel of {run.name}")


if __name__ == "__main__":
    main(*sys.argv[1:])
