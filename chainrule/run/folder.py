"""The one place that knows the file names of a run folder.

::

    runs/NAME/
      config.toml           every setting, resolved, with where it came from
      tokenizer.json        read by Hugging Face's tokenizers
      chat_template.jinja   of a model for conversations, with tokenizer_config.json and generation_config.json
      tuning.json           of fine-tuning: the examples, what of them is learnt, how
      adapter_config.json   of fine-tuning with an adapter: its rank, scale and layers
      examples.jsonl        of fine-tuning: the first examples, and what of them counts
      reference.safetensors of preference tuning: what the model thought before it learnt
      machine.json          the machine, the device and why it was chosen, the plan
      data/                 manifest.json, token shards, report of the preparation
      metrics.jsonl         one line per logged step and per look at the held-out text
      health.jsonl          norms, activations and attention by layer
      phases.jsonl          what the time went into, and the memory that was held
      samples.jsonl         what the model wrote, from which prompt, at which step
      surprise.jsonl        the end: stretches of held-out text, and how surprising each piece was
      anchors.jsonl         what other models need for the same held-out text
      events.jsonl          starts, resumes, skipped steps, interruptions
      skipped/              batches that gave non-finite numbers
      spikes/               step-00000250/, ... of the first steps out of line: batch, weights, numbers
      checkpoints/          step-00000250/, ... each whole or absent
      summary.json          the end: bits per byte, baselines, time
      report.html           one page with everything
      old/                  with --from RUN: the old run's token shards, linked
      forking               while a fork is laid out: without config.toml beside it nothing was learnt here
      SHA256SUMS            the checksums of the small files here
      lock, lock.json       held by the one process that writes, and who that is
"""

from dataclasses import dataclass
from pathlib import Path

from chainrule.base import RunError, nearest


@dataclass(frozen=True)
class RunFolder:
    """Paths inside one run folder; nothing is touched or created by asking for them."""

    path: Path

    @property
    def name(self) -> str:
        """The folder's own name."""
        return self.path.name

    @property
    def config(self) -> Path:
        """The resolved configuration, TOML."""
        return self.path / "config.toml"

    @property
    def forking(self) -> Path:
        """There while a fork is laid out, before config.toml makes the folder a run."""
        return self.path / "forking"

    @property
    def tokenizer(self) -> Path:
        """The tokenizer, JSON in the format of Hugging Face's tokenizers."""
        return self.path / "tokenizer.json"

    @property
    def machine(self) -> Path:
        """The machine, the chosen device with its reason, and the plan, JSON."""
        return self.path / "machine.json"

    @property
    def chat_template(self) -> Path:
        """How conversations are written, Jinja; only a model for conversations has it."""
        return self.path / "chat_template.jinja"

    @property
    def tuning(self) -> Path:
        """What a model was taught by which examples, JSON; only a run of fine-tuning has it."""
        return self.path / "tuning.json"

    @property
    def adapter_config(self) -> Path:
        """What its adapter is, in PEFT's words, JSON; only a run that learns one has it."""
        return self.path / "adapter_config.json"

    @property
    def examples(self) -> Path:
        """The first examples as they are learnt, JSON lines; only a run of fine-tuning has it."""
        return self.path / "examples.jsonl"

    @property
    def reference(self) -> Path:
        """What a model thought of pairs of answers before it learnt, safetensors; only preference tuning has it."""
        return self.path / "reference.safetensors"

    @property
    def data(self) -> Path:
        """The folder of token shards and their manifest."""
        return self.path / "data"

    @property
    def manifest(self) -> Path:
        """What the token shards are, written last: without it the run's text is not prepared, or gone."""
        return self.data / "manifest.json"

    @property
    def old(self) -> Path:
        """The token shards of the run that this one goes on from."""
        return self.path / "old"

    @property
    def metrics(self) -> Path:
        """Training and validation figures, JSON lines."""
        return self.path / "metrics.jsonl"

    @property
    def health(self) -> Path:
        """Norms, activations and attention by layer, JSON lines."""
        return self.path / "health.jsonl"

    @property
    def phases(self) -> Path:
        """What the time of a run went into, and the memory that it held, JSON lines."""
        return self.path / "phases.jsonl"

    @property
    def samples(self) -> Path:
        """Sampled texts, JSON lines."""
        return self.path / "samples.jsonl"

    @property
    def surprise(self) -> Path:
        """Stretches of held-out text with the surprise of each piece, JSON lines; only a finished run has it."""
        return self.path / "surprise.jsonl"

    @property
    def anchors(self) -> Path:
        """What other models need for the run's held-out text, JSON lines; only where it was measured."""
        return self.path / "anchors.jsonl"

    @property
    def events(self) -> Path:
        """What happened to the run, JSON lines."""
        return self.path / "events.jsonl"

    @property
    def journals(self) -> tuple[Path, ...]:
        """All files of JSON lines."""
        looks = (self.metrics, self.health, self.phases, self.samples)
        return (*looks, self.surprise, self.anchors, self.events, self.examples)

    @property
    def skipped(self) -> Path:
        """The folder of batches that gave non-finite numbers."""
        return self.path / "skipped"

    @property
    def spikes(self) -> Path:
        """The folder of bundles of steps that were out of line."""
        return self.path / "spikes"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.path / "checkpoints"

    @property
    def summary(self) -> Path:
        """Final figures, JSON."""
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        """The report, one HTML page."""
        return self.path / "report.html"

    @property
    def sums(self) -> Path:
        """The checksums of the small files, as sha256sum writes and checks them."""
        return self.path / "SHA256SUMS"

    @property
    def lock(self) -> Path:
        """The lock of the one process that writes."""
        return self.path / "lock"


def list_runs(parent: Path) -> list[RunFolder]:
    """The run folders directly below `parent`, by name; empty when `parent` does not exist.

    A start that was killed before it had prepared anything is none: there is nothing to look at or to go on with.
    """
    if not parent.is_dir():
        return []
    found = (RunFolder(config.parent) for config in parent.glob("*/config.toml"))
    return sorted((run for run in found if not _is_bare(run)), key=lambda run: run.name)


def open_run(path: Path) -> RunFolder:
    """The run folder at `path`; raises RunError, with the nearest name beside it, when there is none."""
    run = RunFolder(path)
    if run.config.is_file():
        return run
    if path.exists():
        raise RunError(f"{path} is not a run folder: it has no config.toml. `chainrule runs` lists those in runs/")
    siblings = [str(other.path) for other in list_runs(path.parent)]
    raise RunError(f"no run at {path}.{nearest(str(path), siblings)} `chainrule runs` lists those in runs/")


def _is_bare(run: RunFolder) -> bool:
    """Whether the folder holds the record of a start and nothing that came of it."""
    parts = (run.data, run.tokenizer, run.metrics, run.checkpoints, run.summary)
    return run.machine.is_file() and not any(part.exists() for part in parts)
