"""The main job asks no network: training, writing and the report, where every socket is refused."""

import shutil
import subprocess
import sys

# Python tells its hooks of every socket that is connected, bound or looked up, whoever calls.
FORBIDDEN = """
import sys
ASKED = ["urllib.Request"]
ASKED += ["socket." + what for what in ("connect", "bind", "getaddrinfo", "gethostbyname", "sendto")]
def refuse(event, details):
    if event in ASKED:
        sys.__stderr__.write(f"ASKED {event} {details!r}\\n")
        raise OSError("no network here")
sys.addaudithook(refuse)
from chainrule.cli import main
if sys.argv[1] == "probe":
    import socket
    socket.create_connection(("127.0.0.1", 9))
sys.exit(main(sys.argv[1:]))
"""


def alone() -> list[str]:
    """What calls a program with no network at all, where this system lets it."""
    tool = ["unshare", "--map-root-user", "--net"]
    allowed = shutil.which("unshare") and not subprocess.run([*tool, "true"], capture_output=True).returncode
    return tool if allowed else []


def test_the_hook_sees_what_asks():
    done = subprocess.run([sys.executable, "-c", FORBIDDEN, "probe"], capture_output=True, text=True)
    assert done.returncode == 1 and "ASKED socket.getaddrinfo" in done.stderr


def test_training_writing_and_the_report_ask_no_network(tmp_path, texts, tiny):
    run, before = str(tmp_path / "run"), alone()
    for words in (["pretrain", str(texts), "--name", run, *tiny], ["generate", run, "the "], ["report", run]):
        call = [*before, sys.executable, "-c", FORBIDDEN, *words]
        done = subprocess.run(call, capture_output=True, text=True, timeout=300, cwd=tmp_path)
        assert done.returncode == 0 and "ASKED" not in done.stderr, done.stderr
    assert (tmp_path / "run" / "report.html").is_file()
