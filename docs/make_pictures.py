"""Writes docs/panel.svg and docs/report.png from a finished run: python docs/make_pictures.py RUN [--step N]

The panel is drawn as it stood at a step, two thirds of the way unless N is given; it is made again from the run's
files, so it needs no terminal. The report is written anew and photographed by chromium (Debian: apt-get install
chromium), which asks no network.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from chainrule.base import ChainruleError, write_bytes
from chainrule.panel.svg import last_step, panel_svg
from chainrule.report import write_report
from chainrule.run import RunFolder, open_run

HERE = Path(__file__).resolve().parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WIDTH, HEIGHT = 1280, 1500
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run", "--disable-sync")
# Milliseconds of the page's own clock: its script draws the curves when it is loaded.
DRAWN = 3000


def panel_picture(run: RunFolder, folder: Path, step: int | None = None) -> Path:
    """Writes `folder`/panel.svg; returns its path."""
    path = folder / "panel.svg"
    write_bytes(path, panel_svg(run, until_step=last_step(run) * 2 // 3 if step is None else step).encode())
    return path


def report_picture(run: RunFolder, folder: Path) -> Path:
    """Writes `folder`/report.png, the top of the page; returns its path."""
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        raise ChainruleError(
            "a picture of the report needs chromium on the path: apt-get install chromium, or its like"
        )
    path = folder / "report.png"
    page = write_report(run).resolve().as_uri()
    options = (f"--window-size={WIDTH},{HEIGHT}", f"--virtual-time-budget={DRAWN}", f"--screenshot={path.resolve()}")
    subprocess.run([browser, *QUIET, *options, page], check=True, capture_output=True, timeout=120)
    return path


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--step", type=int)
    parser.add_argument("--out", type=Path, default=HERE)
    options = parser.parse_args()
    try:
        run = open_run(options.run)
        print(panel_picture(run, options.out, options.step))
        print(report_picture(run, options.out))
    except ChainruleError as fault:
        print(fault, file=sys.stderr)
        return fault.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
