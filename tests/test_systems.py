"""Nothing in the package exists on one system only: text has its encoding written down, system calls their guard.

Read from the code, because most of what breaks on Windows or macOS cannot be run here.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent.parent
FILES = sorted((HERE / "chainrule").rglob("*.py"))

# What Windows does not have, by module. os.open's O_* flags but these few are missing there too.
ONE_SYSTEM = {
    "os": {
        *(
            "sysconf",
            "sysconf_names",
            "sched_getaffinity",
            "sched_setaffinity",
            "fork",
            "forkpty",
            "getloadavg",
            "killpg",
        ),
        *("setsid", "setpgid", "getpgid", "getuid", "geteuid", "getgid", "mkfifo", "uname", "statvfs", "nice", "chown"),
        *("fchmod", "fchown", "posix_fadvise", "posix_fallocate", "pread", "pwrite", "preadv", "sync", "wait", "wait3"),
        *("register_at_fork", "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC", "O_DIRECT", "O_NONBLOCK", "O_SYNC", "WNOHANG"),
    },
    "signal": {
        *("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGQUIT", "SIGKILL", "SIGALRM", "SIGPIPE", "SIGCHLD", "SIGCONT", "SIGSTOP"),
        *("SIGTSTP", "SIGWINCH", "alarm", "setitimer", "pause", "pthread_sigmask", "pthread_kill", "sigwait"),
    },
    "time": {"pthread_getcpuclockid", "tzset", "CLOCK_MONOTONIC_RAW"},
    "socket": {"AF_UNIX"},
}
ONE_SYSTEM_MODULES = {"fcntl", "resource", "termios", "tty", "pty", "pwd", "grp", "curses", "readline", "syslog"}
ONE_SYSTEM_MODULES |= {"msvcrt", "winreg", "_winapi", "winsound"}
SYSTEM = {("sys", "platform"), ("os", "name")}
BYTES_OPENERS = {"os", "webbrowser", "pa", "tarfile", "zipfile"}
ONE_SYSTEM_WORDS = {"preexec_fn", "pass_fds", "start_new_session", "process_group", "user", "umask"}


def parents(tree: ast.Module) -> dict[ast.AST, ast.AST]:
    return {child: node for node in ast.walk(tree) for child in ast.iter_child_nodes(node)}


def asks(node: ast.AST) -> bool:
    """Whether an expression asks for a name (`hasattr`) or for the system (`sys.platform`, `os.name`)."""
    return any(
        (isinstance(part, ast.Call) and getattr(part.func, "id", "") == "hasattr")
        or (
            isinstance(part, ast.Attribute)
            and part.attr in ("platform", "name")
            and getattr(part.value, "id", "") in ("sys", "os")
        )
        for part in ast.walk(node)
    )


def guarded(node: ast.AST, above: dict[ast.AST, ast.AST]) -> bool:
    """Whether a question stands around the node, or an early return before it, or its absence is caught."""
    while node in above:
        inner, node = node, above[node]
        if isinstance(node, ast.If | ast.IfExp | ast.BoolOp | ast.comprehension) and asks(node):
            return True
        if isinstance(node, ast.ListComp | ast.SetComp | ast.GeneratorExp) and any(map(asks, node.generators)):
            return True
        if isinstance(node, ast.Try) and inner in node.body:
            caught = {part.id for handler in node.handlers for part in ast.walk(handler) if isinstance(part, ast.Name)}
            if caught & {"AttributeError", "ImportError", "ModuleNotFoundError"}:
                return True
        if isinstance(node, ast.FunctionDef):
            early = [one for one in node.body if isinstance(one, ast.If) and asks(one.test)]
            if any(one.lineno < inner.lineno and isinstance(one.body[-1], ast.Return | ast.Raise) for one in early):
                return True
    return False


def of_one_system(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Names and modules that one kind of system lacks and that no guard stands before."""
    above = parents(tree)
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            names = [f"{node.value.id}.{node.attr}"] if node.attr in ONE_SYSTEM.get(node.value.id, ()) else []
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] in ONE_SYSTEM_MODULES]
        elif isinstance(node, ast.ImportFrom) and node.module:
            wanted = ONE_SYSTEM.get(node.module, set())
            names = [alias.name for alias in node.names if alias.name in wanted]
            names += [node.module] if node.module.split(".")[0] in ONE_SYSTEM_MODULES else []
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in ("Popen", "run"):
            names = [word.arg for word in node.keywords if word.arg in ONE_SYSTEM_WORDS]
        if names and not guarded(node, above):
            yield node.lineno, ", ".join(map(str, names))


def without_encoding(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Files and pipes that are opened as text without saying in which encoding: it is not UTF-8 everywhere."""
    openers = {"open", "fdopen", "NamedTemporaryFile", "TemporaryFile"}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        words = {word.arg: word.value for word in node.keywords}
        if "encoding" in words or None in words:
            continue
        if (
            (called == "read_text" and not node.args)
            or (called == "write_text" and len(node.args) < 2)
            or (called in openers and not _binary(node, words, called))
            or (called in ("Popen", "run", "check_output") and {"text", "universal_newlines"} & words.keys())
        ):
            yield node.lineno, called


def _binary(node: ast.Call, words: dict[str | None, ast.expr], called: str) -> bool:
    """Whether an opening is of bytes, or no opening of a file at all."""
    owner = node.func.value if isinstance(node.func, ast.Attribute) else None
    if (
        called == "open"
        and isinstance(owner, ast.Name)
        and owner.id in ("os", "webbrowser", "pa", "tarfile", "zipfile")
    ):
        return True
    if called in ("NamedTemporaryFile", "TemporaryFile"):
        mode = words.get("mode") or (node.args[0] if node.args else ast.Constant("w+b"))
    else:
        first = 0 if called == "open" and owner is not None else 1  # path.open(mode), open(path, mode)
        mode = words.get("mode") or (node.args[first] if len(node.args) > first else ast.Constant("r"))
    return not isinstance(mode, ast.Constant) or "b" in str(mode.value)


def of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HERE)))
def test_no_call_exists_on_one_system_only_without_a_guard(path):
    assert not list(of_one_system(of(path))), f"{path}: ask for it (hasattr, sys.platform) and give its counterpart"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(HERE)))
def test_text_is_opened_in_an_encoding_that_is_written_down(path):
    assert not list(without_encoding(of(path))), f"{path}: say encoding='utf-8'"


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.sysconf('SC_PAGE_SIZE')",
        "import os\ndef f():\n    return os.getloadavg()",
        "import fcntl",
        "from signal import SIGHUP",
        "import signal\nNUMBERS = (signal.SIGINT, signal.SIGHUP)",
        "import subprocess\nsubprocess.Popen(['a'], start_new_session=True)",
        "import os\nif True:\n    os.fork()",
    ],
)
def test_what_one_system_lacks_is_found(code):
    assert list(of_one_system(ast.parse(code)))


@pytest.mark.parametrize(
    "code",
    [
        "import os\npages = os.sysconf('A') if hasattr(os, 'sysconf') else 0",
        "import os, sys\nif sys.platform == 'linux':\n    os.sched_getaffinity(0)",
        "import os\ndef f():\n    if not hasattr(os, 'fork'):\n        return 0\n    return os.fork()",
        "try:\n    import fcntl\nexcept ImportError:\n    fcntl = None",
        "import signal\nALL = [getattr(signal, name) for name in ('SIGHUP',) if hasattr(signal, name)]",
        "import os\nos.open('a', os.O_RDONLY)",
    ],
)
def test_what_is_guarded_or_everywhere_is_let_through(code):
    assert not list(of_one_system(ast.parse(code)))


@pytest.mark.parametrize(
    ("code", "found"),
    [
        ("p.read_text()", True),
        ("p.read_text('utf-8')", False),
        ("p.write_text('a')", True),
        ("p.write_text('a', encoding='utf-8')", False),
        ("open('a')", True),
        ("open('a', 'rb')", False),
        ("p.open()", True),
        ("p.open('w')", True),
        ("p.open('ab')", False),
        ("os.fdopen(3, 'w')", True),
        ("os.fdopen(3, 'wb')", False),
        ("os.open('a', 0)", False),
        ("subprocess.run(['a'], text=True)", True),
        ("subprocess.run(['a'], encoding='utf-8')", False),
        ("tempfile.NamedTemporaryFile()", False),
        ("tempfile.NamedTemporaryFile('w')", True),
    ],
)
def test_what_is_text_without_an_encoding_is_found(code, found):
    assert bool(list(without_encoding(ast.parse(code)))) == found
