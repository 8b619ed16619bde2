"""How smooth the live page is with much to draw: 50 runs of 2,000 rows laid over each other, and one run of 100,000.

    python benchmarks/watch.py

Real run folders, the command itself, and headless Chromium: how long until the page can be seen (from the command on,
and from the page's opening on), what an update costs while rows come, and how long a frame takes while the pointer is
moved over the curves. Without a GPU everything is painted by the processor, so frames are slower than on a screen.
"""

import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE / "tests"))

from browser import Browser  # type: ignore[import-not-found]  # noqa: E402
from dashboard.made import add_rows, make_run, train_rows  # type: ignore[import-not-found]  # noqa: E402

from chainrule.run import RunFolder  # noqa: E402

# While the pointer goes once over the first chart: how long each frame took, in milliseconds.
SWEEP = """new Promise((done) => {
    const over = document.querySelector('.u-over'), box = over.getBoundingClientRect(), times = [];
    let [n, last] = [0, performance.now()];
    const step = () => {
        const now = performance.now();
        times.push(now - last);
        last = now;
        const where = {clientX: box.x + box.width * n / 120, clientY: box.y + 20, bubbles: true};
        over.dispatchEvent(new MouseEvent(n ? 'mousemove' : 'mouseenter', where));
        if (++n < 120) requestAnimationFrame(step); else done(times.slice(5));
    };
    requestAnimationFrame(step);
})"""
# The longest pieces of work in so many milliseconds in which the page was left alone but for its updates.
QUIET = """new Promise((done) => {
    const found = [];
    const take = (list) => found.push(...list.getEntries().map((one) => one.duration));
    new PerformanceObserver(take).observe({type: 'longtask'});
    setTimeout(() => done(found), 5000);
})"""


def main() -> None:
    """Both cases, a few lines each."""
    print(
        f"machine: {platform.processor() or platform.machine()}, Python {platform.python_version()}, headless Chromium"
    )
    with tempfile.TemporaryDirectory() as folder:
        many = Path(folder) / "many"
        for number in range(50):
            make_run(many / f"run-{number:02d}", steps=2000, seed=number % 7, done=1999, finished=False)
        case("50 runs of 2,000 rows", many, "document.querySelectorAll('.of-key').length >= 51", every=True)
        long = Path(folder) / "long"
        run = make_run(long / "long", steps=100_000, done=0, running=True)
        add_rows(run, train_rows(range(1, 99_900), 100_000))
        shown = "document.querySelector('.way')?.innerText.includes('step 99,899')"
        case("1 run of 100,000 rows", long, shown, every=False)


def case(name: str, folder: Path, shown: str, *, every: bool) -> None:
    """Opens the page on a folder, and measures."""
    command = [sys.executable, "-m", "chainrule", "watch", str(folder), "--port", "0"]
    begun = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, encoding="utf-8") as server:
        assert server.stderr is not None
        url = next(line.split()[0] for line in server.stderr if line.startswith("http"))
        ready = time.perf_counter() - begun
        browser = Browser()
        try:
            opened = time.perf_counter()
            names = [path.name for path in sorted(folder.iterdir())] if every else []
            browser.open(url + ("#" + "&".join(f"run={name}" for name in names) if names else ""), 1400)
            until(lambda: browser.js("document.querySelectorAll('.plot canvas').length === 5"))
            first = time.perf_counter() - opened
            until(lambda: browser.js(shown))
            whole = time.perf_counter() - opened
            sent = json.loads(
                browser.js("JSON.stringify(performance.getEntriesByType('resource').map(r => r.transferSize))")
            )
            frames = browser.js(SWEEP)
            writer = RunFolder(sorted(folder.iterdir())[0])
            last = next(reversed(writer.metrics.read_text("utf-8").splitlines()))
            step = json.loads(last)["step"]
            add_rows(writer, train_rows(range(step + 1, step + 50), 100_000))
            busy = browser.js(QUIET)
        finally:
            browser.close()
            server.terminate()
    print(f"\n{name}")
    print(
        f"  server ready {ready:.2f} s after the command; curves drawn {first:.2f} s after the page was opened, "
        f"all of them {whole:.2f} s; {sum(sent) / 1e6:.2f} MB sent"
    )
    frames.sort()
    print(
        f"  frames while the pointer moves: median {statistics.median(frames):.1f} ms, "
        f"95 % below {frames[int(0.95 * len(frames))]:.1f} ms"
    )
    longest = f"{max(busy):.0f} ms" if busy else "none above 50 ms"
    print(f"  updates every second: {len(busy)} pieces of work above 50 ms in 5 s, the longest {longest}")
    errors: Any = browser.complaints
    print(f"  complaints of the console: {errors or 'none'}")


def until(true: Callable[[], Any]) -> None:
    """Waits for it, a minute at the most."""
    end = time.monotonic() + 60
    while not true():
        if time.monotonic() > end:
            raise TimeoutError("it did not come to pass")
        time.sleep(0.05)


if __name__ == "__main__":
    main()
