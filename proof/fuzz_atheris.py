"""One reader under atheris: python -m proof.fuzz_atheris NAME FOLDER SECONDS SEED; finds are left as FOLDER/crash-*."""

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["chainrule"]):
    from proof.fuzz import Row, described, memory_folder, read
    from proof.fuzz_targets import TARGETS


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    name, folder, seconds, seed = sys.argv[1:5]
    corpus = Path(folder) / "corpus"
    corpus.mkdir()
    place = tempfile.mkdtemp(dir=memory_folder())
    target = TARGETS[name](Path(place))
    for number, content in enumerate(target.seeds):
        (corpus / str(number)).write_bytes(content)
    row = Row(name, "atheris")

    def one(content: bytes) -> None:
        try:
            read(target, content, row)
        except Exception as fault:
            print("find:", described(fault, content), flush=True)
            raise

    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-artifact_prefix={folder}/", "-max_len=65536"]
    atheris.Setup([sys.argv[0], *options, "-timeout=60", "-rss_limit_mb=4096", str(corpus)], one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
