"""What stands in the files of a run folder: a frozen type for every row and file.

Who watches a run hears the same types. What a file lacks, or holds of another kind (a flipped bit, an edit, another
version), is None, empty or left out; only what lacks its place is no record.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from chainrule.base import unsealed
from chainrule.run.ends import JournalEnd
from chainrule.run.folder import RunFolder
from chainrule.run.journal import read_rows, rows_from_end
from chainrule.run.record import Record
from chainrule.run.seal import sealed_object


@dataclass(frozen=True)
class TrainRow(Record):
    """metrics.jsonl: means over the steps since the row before, the largest gradient among them, and the speed."""

    KIND: ClassVar[str] = "train"

    step: int
    tokens: int = 0
    seconds: float = 0.0
    loss: float | None = None
    lr: float | None = None
    grad_norm: float | None = None
    tokens_per_second: float | None = None
    peak_share: float | None = None
    seconds_left: float | None = None


Column = tuple[float | None, ...]
"""A number for each layer (or head, or place); None where it was not finite."""


@dataclass(frozen=True)
class EvalRow(Record):
    """metrics.jsonl: a look at held-out text, from evenly spread windows.

    Its figures are of tokens with at least half a context to look back on, as those of the end are. Rows from before
    there were `places` (November 2026) counted all tokens of their windows, and lie a little higher.
    """

    KIND: ClassVar[str] = "eval"

    step: int
    tokens: int = 0
    seconds: float = 0.0
    val_loss: float | None = None
    val_bits_per_byte: float | None = None
    final: bool = False
    """Whether it is no look but the figure of summary.json; no row of the file, see `held_out_rows`."""
    places: tuple[int, ...] = ()
    """Up to which place of a window each of `place_losses` (nats a token) goes; the first begins at 1."""
    place_losses: Column = ()
    by_source: Mapping[str, float] = field(default_factory=dict)
    """Bits per byte of the largest sources."""


@dataclass(frozen=True)
class PhasesRow(Record):
    """phases.jsonl: what the time since the row before went into, in seconds by phase, and the memory that is held.

    The phases are data, step, look, samples, save and page. `device_bytes` is the most that an accelerator held.
    """

    step: int
    tokens: int = 0
    seconds: float = 0.0
    spent: Mapping[str, float] = field(default_factory=dict)
    memory_bytes: int | None = None
    device_bytes: int | None = None


@dataclass(frozen=True)
class PreferenceRow(Record):
    """metrics.jsonl: a look at pairs of answers, `right` of `n` preferred as they should be.

    `margin` is by how many nats more than at the start the chosen answers are preferred; `chosen` and `rejected` are
    nats a token, `chosen_fall` the share that the chosen ones have lost of theirs.
    """

    KIND: ClassVar[str] = "preference"

    step: int
    loss: float | None = None
    margin: float | None = None
    right: int = 0
    n: int = 0
    chosen: float | None = None
    rejected: float | None = None
    chosen_fall: float | None = None


@dataclass(frozen=True)
class AnswersRow(Record):
    """metrics.jsonl: what a model that is being fine-tuned answers to held-out questions, greedily.

    Shares of `n`: `stopped` end by themselves, `exact` are what was to be answered. `base_bits_per_byte` is of text
    like that which it was pretrained on: what it forgets.
    """

    KIND: ClassVar[str] = "answers"

    step: int
    n: int = 0
    stopped: float | None = None
    exact: float | None = None
    mean_tokens: float | None = None
    base_bits_per_byte: float | None = None


@dataclass(frozen=True)
class ShownSpan(Record):
    """A stretch of an example as it was learnt: its text as it reads, and whether it counts."""

    text: str
    learnt: bool = False


@dataclass(frozen=True)
class ShownExample(Record):
    """examples.jsonl: one of the first examples, from the very tensors that were learnt."""

    spans: tuple[ShownSpan, ...]
    good: bool = True
    """Whether its answer is one to be given; of a pair the rejected one is not."""


@dataclass(frozen=True)
class LoraRecord(Record):
    """What the adapter of a fine-tuning is, and which model it stands on."""

    rank: int
    alpha: float | None = None
    """None: twice the rank."""
    rslora: bool = False
    dora: bool = False
    targets: tuple[str, ...] = ("all-linear",)
    base_sha256: str = ""
    base_step: int | None = None
    """Of the base's checkpoint, when it is a run of ours."""


@dataclass(frozen=True)
class Tuning(Record):
    """tuning.json: what a model was taught, and by which examples; a run that has it is one of fine-tuning."""

    source: str
    examples: tuple[str, ...] = ()
    shapes: Mapping[str, int] = field(default_factory=dict)
    """Rows of each shape that was recognised."""
    left_out: int = 0
    n_train: int = 0
    n_held_out: int = 0
    n_cut: int = 0
    """Examples whose prompt was cut from the left."""
    trained_tokens: int = 0
    window_tokens: int = 0
    replay: float = 0.0
    """Share of the learnt tokens that are base text."""
    objective: str = "answers"
    strength: float | None = None
    """Of an objective for preferences, where it is not the usual one."""
    at_once: int = 0
    """Pairs, or rated answers, that stay together; 0 where nothing is judged."""
    lora: LoraRecord | None = None
    """The adapter that learns; None: all weights do."""
    n_known: int = 0
    """Entries of the base model's vocabulary, before it got control tokens."""
    template: str | None = None
    """The chat template's fingerprint."""
    mask: str = ""
    """SHA-256 of data/trained.safetensors."""


@dataclass(frozen=True)
class LayersRow(Record):
    """health.jsonl: whose the columns are, and how large a batch is (windows, and tokens of one)."""

    KIND: ClassVar[str] = "layers"

    layers: tuple[str, ...]
    step: int = 0
    samples: int = 0
    sample_tokens: int = 0


@dataclass(frozen=True)
class NormsRow(Record):
    """health.jsonl: means and largest values of each layer over `n` steps, weights as they are at the last.

    `noise` has the two parts of the noise scale and over how many steps.
    """

    KIND: ClassVar[str] = "norms"

    step: int
    gradient: Column
    gradient_max: Column
    weight: Column
    ratio: Column
    ratio_max: Column
    n: int = 1
    noise: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Heads(Record):
    """Of a look inside: the entropy of each head, as a share of looking everywhere alike, and the largest logit."""

    entropy: Column = ()
    largest_logit: float | None = None


@dataclass(frozen=True)
class InsideRow(Record):
    """health.jsonl: a look inside just before a step.

    `outputs` has of each layer and block mean, standard deviation, largest magnitude and share of zeros, `units` of
    each hidden layer the share of dead units and of silent values.
    """

    KIND: ClassVar[str] = "inside"

    step: int
    outputs: Mapping[str, Column] = field(default_factory=dict)
    units: Mapping[str, Column] = field(default_factory=dict)
    attention: Mapping[str, Heads] = field(default_factory=dict)


@dataclass(frozen=True)
class OutOfLine(Record):
    """Of a step out of line: what, by how much; None where it was not finite."""

    what: str
    value: float | None = None
    usual: float | None = None
    score: float | None = None


@dataclass(frozen=True)
class SpikeRow(Record):
    """health.jsonl: a step out of line; `bundle` is its folder's name where it left one."""

    KIND: ClassVar[str] = "spike"

    step: int
    what: tuple[OutOfLine, ...] = ()
    bundle: str | None = None
    applied: bool = True


@dataclass(frozen=True)
class Sample(Record):
    """samples.jsonl: what the model wrote after a prompt."""

    step: int
    text: str
    prompt: str = ""
    tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Surprise(Record):
    """surprise.jsonl: a stretch of held-out text, piece by piece, and the nats that each took at the end of the run."""

    step: int
    pieces: tuple[str, ...]
    nats: Column
    source: str = ""


@dataclass(frozen=True)
class Anchor(Record):
    """anchors.jsonl: what another model needs for the same held-out text, so that bits per byte have a scale."""

    name: str
    bits_per_byte: float
    time: str = ""
    parameters: int | None = None
    n_bytes: int | None = None
    of_bytes: int | None = None
    """All that is held out; fewer were scored where that was asked for."""
    how: str = ""


@dataclass(frozen=True)
class Event(Record):
    """events.jsonl: a sentence on what happened; `turn` is a new plan of the steps, the numbers are as texts.

    `threads` are those that the run goes on with from this step on.
    """

    message: str = ""
    time: str = ""
    step: int | None = None
    loss: str | None = None
    grad_norm: str | None = None
    turn: Mapping[str, Any] | None = None
    threads: int | None = None


@dataclass(frozen=True)
class Saved(Record):
    """Heard, and not written: a checkpoint is there."""

    step: int
    path: str


@dataclass(frozen=True)
class Progress(Record):
    """Heard, and not written: how far something long is, in bytes; without a total nobody knows."""

    phase: str
    done: int = 0
    total: int = 0


@dataclass(frozen=True)
class Machine(Record):
    """machine.json: what was found, measured and chosen."""

    cpu: str | None = None
    cores: int | None = None
    threads: int | None = None
    memory_bytes: int | None = None
    device: str | None = None
    device_name: str | None = None
    reason: str | None = None
    precision: str | None = None
    precision_reason: str | None = None
    kernels: str | None = None
    """torch, or our own by a name that says what their bits depend on."""
    kernels_reason: str | None = None
    peak_flops: float | None = None
    torch: str | None = None
    python: str | None = None
    processor_class: str | None = None
    logical_cores: int | None = None
    fast_cores: int | None = None
    quota: float | None = None
    installed_bytes: int | None = None
    thread_choices: tuple[int, ...] = ()
    spins: str | None = None
    measured: Mapping[str, float] = field(default_factory=dict)
    """FLOP/s by number format."""
    measured_seconds: float | None = None
    core_share: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan(Record):
    """machine.json: what the run will cost, by the plan or by what a step took."""

    architecture: str | None = None
    parameters: int | None = None
    steps: int | None = None
    tokens: int | None = None
    batch_tokens: int | None = None
    flops_per_token: float | None = None
    memory_bytes: int | None = None
    seconds: float | None = None


@dataclass(frozen=True)
class Replanned(Record):
    """Heard: the plan with another number of steps."""

    plan: Plan


@dataclass(frozen=True)
class TokenizerFacts(Record):
    """machine.json: what the tokenizer makes of the training text."""

    kind: str | None = None
    vocab_size: int | None = None
    n_tokens: int | None = None
    unused_share: float | None = None
    bytes_per_token: float | None = None
    embedding_share: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Source(Record):
    """Of the data report: a top file or folder."""

    documents: int = 0
    bytes: int = 0
    tokens: int = 0
    validation_tokens: int = 0


@dataclass(frozen=True)
class Extreme(Record):
    """Of the data report: the longest or shortest document."""

    bytes: int = 0
    file: str = ""


@dataclass(frozen=True)
class Copied(Record):
    """Of the data report: of evenly spread stretches of held-out text, the share that the training text has.

    `stretch_bytes` is their mean length, `searched_share` how much of the training text was looked through.
    """

    share: float | None = None
    stretches: int | None = None
    stretch_bytes: int | None = None
    searched_share: float | None = None


@dataclass(frozen=True)
class Removed(Record):
    """Of the data report: documents that were left out, by the reason."""

    duplicates: int = 0
    near_duplicates: int = 0
    left_out: int = 0
    """Too close to held-out text."""
    empty: int = 0
    bad: int = 0
    filtered: int = 0
    """By a rule of text.filters, text.languages or text.decontaminate."""


@dataclass(frozen=True)
class LeftOut(Record):
    """Of the data report: a document that was removed: its file, the figure that decided, and how it begins."""

    file: str
    found: str = ""
    begins: str = ""


@dataclass(frozen=True)
class Removal(Record):
    """Of the data report: what one rule or step removed, and the first of it."""

    documents: int = 0
    examples: tuple[LeftOut, ...] = ()


@dataclass(frozen=True)
class DataReport(Removed):
    """The manifest's and machine.json's report of the preparation: what was kept and removed, by source and side."""

    files: int | None = None
    read_documents: int | None = None
    documents: int | None = None
    bytes: int | None = None
    unreadable: int | None = None
    skipped: int | None = None
    skipped_by: Mapping[str, int] = field(default_factory=dict)
    """By suffix or reason, with what would help: ".pdf (pip install 'chainrule[documents]')"."""
    longest: Extreme | None = None
    shortest: Extreme | None = None
    encoding_errors: int | None = None
    held_out: str | None = None
    """In words: documents, or the last share of the text."""
    tokens: Mapping[str, int] = field(default_factory=dict)
    split_bytes: Mapping[str, int] = field(default_factory=dict)
    split_documents: Mapping[str, int] = field(default_factory=dict)
    sources: Mapping[str, Source] = field(default_factory=dict)
    masked: int | None = None
    """Addresses of e-mail and machines that were masked (text.pii)."""
    removals: Mapping[str, Removal] = field(default_factory=dict)
    """By rule or step."""
    copied: Copied | None = None
    epochs: float | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Manifest(Record):
    """Of data/manifest.json, which has all that the shards need: what is shown of it."""

    vocab_size: int | None = None
    fingerprint: str | None = None
    report: DataReport | None = None


@dataclass(frozen=True)
class AskedLayer(Record):
    """Of machine.json: a layer of settings that a start was given; its values are the person's own."""

    source: str
    values: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class AskedFor(Record):
    """machine.json from its first instant: the minutes and the layers of settings that a start was asked for."""

    minutes: float | None = None
    layers: tuple[AskedLayer, ...] | None = None


@dataclass(frozen=True)
class StepCosts(Record):
    """Of machine.json: seconds of an update, of a look at held-out text, of a round of samples and of a checkpoint.

    `beside` is how much longer a checkpoint takes than `save`, while training goes on: nothing goes on beside the last.
    """

    step: float
    look: float = 0.0
    samples: float = 0.0
    save: float = 0.0
    beside: float = 0.0


@dataclass(frozen=True)
class TimePlan(Record):
    """machine.json: what a resume has to know of the run's time.

    `seconds` are those of the whole run, None where a number of steps was asked for; `spent` those that were gone when
    this was planned, with these costs.
    """

    spent: float
    costs: StepCosts
    seconds: float | None = None
    minutes: float | None = None


@dataclass(frozen=True)
class OnBothTexts(Record):
    """machine.json: what the model that a run goes on from scored before, in bits per byte of the new and the old text.

    None where there is no such text.
    """

    new: float | None = None
    old: float | None = None
    max_tokens: int | None = None
    """So many tokens of each were scored; None for all."""


@dataclass(frozen=True)
class Ancestor(Record):
    """Of machine.json and summary.json: a run, the step at which another was forked from it, and what that changed.

    `changed` has of each setting the value before and after.
    """

    run: str
    step: int
    changed: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class StartRecord(AskedFor):
    """machine.json: how a run was begun, in the order in which it became known; what is not known yet is None."""

    tokenizer: TokenizerFacts | None = None
    before: OnBothTexts | None = None
    budget: TimePlan | None = None
    machine: Machine | None = None
    plan: Plan | None = None
    data: DataReport | None = None
    lineage: tuple[Ancestor, ...] = ()
    """Of a fork: the runs that it goes on from, the first of them first."""
    sealed: bool = False
    """Whether the run keeps a list of checksums (seal.py), so that one that is removed is missed."""

    def row(self) -> dict[str, Any]:
        """By name, each part as it is alone."""
        parts = {one.name: getattr(self, one.name) for one in fields(self)}
        return super().row() | {name: part.row() for name, part in parts.items() if isinstance(part, Record)}


@dataclass(frozen=True)
class Baselines(Record):
    """Of summary.json: bits per held-out byte of what needs no model; `whole` tells whether on all of the text."""

    unigram: float | None = None
    bigram: float | None = None
    fivegram: float | None = None
    gzip: float | None = None
    xz: float | None = None
    xz_seen: float | None = None
    whole: bool | None = None
    train_bytes: int | None = None
    held_out_bytes: int | None = None


@dataclass(frozen=True)
class Scores(Record):
    """Of summary.json: one source of the held-out text."""

    loss: float | None = None
    perplexity: float | None = None
    bits_per_byte: float | None = None
    nats: float | None = None
    n_tokens: float | None = None
    n_bytes: float | None = None


@dataclass(frozen=True)
class Best(Record):
    """Of summary.json: the checkpoint that knew the held-out text best."""

    step: int
    val_loss: float


@dataclass(frozen=True)
class Change(Record):
    """Of summary.json: bits per byte before and after a run that went on from another model."""

    before: float
    after: float


@dataclass(frozen=True)
class Scored(Record):
    """Of summary.json: how the held-out text was scored, so that the figure can be made again, and how much of it."""

    stride: int
    micro_batch: int
    precision: str
    documents: bool
    threads: int = 0
    kernels: str = "off"
    window: int | None = None
    """Tokens of a window, where that is not the context."""
    max_tokens: int | None = None
    whole: bool = True
    n_tokens: int | None = None
    of_tokens: int | None = None
    n_bytes: int | None = None
    of_bytes: int | None = None


@dataclass(frozen=True)
class Foretold(Record):
    """Of summary.json: what so many more minutes would give, with an interval."""

    minutes: float
    bits_per_byte: float
    low: float
    high: float
    tokens: int | None = None


@dataclass(frozen=True)
class TaskResult(Record):
    """Of summary.json: of `n` things that a model was asked, how many it got right."""

    task: str
    n: int
    right: int
    told: str = "are right"
    """What becomes of the right ones, with its subject: "sampled functions parse"."""
    of_n: int | None = None
    """How many there are; fewer were asked where time was up, or where the context was too short for them."""
    guess: float | None = None
    """The share that blind choice gets right."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """More of it, by name."""
    version: str | None = None
    """Of what judged."""

    @property
    def share(self) -> float | None:
        """`right / n`; None when nothing was asked."""
        return self.right / self.n if self.n else None


@dataclass(frozen=True)
class Completion(Record):
    """Of summary.json: what the model wrote at the end; `cut` characters behind its last sentence are left out."""

    text: str
    prompt: str = ""
    cut: int = 0


@dataclass(frozen=True)
class TextQuality(Record):
    """Of summary.json: what can be told of texts without an opinion, as shares."""

    texts: int | None = None
    words: int | None = None
    known_words: float | None = None
    repeated_runs: float | None = None
    with_an_end: float | None = None


@dataclass(frozen=True)
class Quality(TextQuality):
    """The same of the model's texts, and of held-out text of the same length."""

    word_list: int | None = None
    held_out: TextQuality | None = None


@dataclass(frozen=True)
class Summary(Record):
    """summary.json: how the run ended. What only a finished run has is None before."""

    status: str | None = None
    step: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    steps: int | None = None
    total_seconds: float | None = None
    parameters: int | None = None
    train_loss: float | None = None
    val_loss: float | None = None
    val_perplexity: float | None = None
    val_bits_per_byte: float | None = None
    tokens_per_second: float | None = None
    peak_share: float | None = None
    best: Best | None = None
    n_skipped: int = 0
    scored: Scored | None = None
    more_minutes: Foretold | None = None
    by_source: Mapping[str, Scores] = field(default_factory=dict)
    baselines: Baselines | None = None
    tasks: tuple[TaskResult, ...] = ()
    completions: tuple[Completion, ...] = ()
    quality: Quality | None = None
    new: Change | None = None
    old: Change | None = None
    journals: Mapping[str, JournalEnd] = field(default_factory=dict)
    """The last row of each journal; empty while rows come."""
    versions: Mapping[str, str | float] = field(default_factory=dict)
    command: str | None = None
    lineage: tuple[Ancestor, ...] = ()
    signal: int | None = None
    report_seconds: float | None = None
    report: str | None = None
    """Where the page was written; heard and given back, not in the file."""

    @classmethod
    def of(cls, found: object) -> Self | None:
        """The summary; of a run from before there were tasks (November 2026) `python` is one of them."""
        old = found.get("python") if isinstance(found, Mapping) else None
        if isinstance(found, Mapping) and isinstance(old, Mapping) and "tasks" not in found:
            one = {"task": "python-functions", "told": "sampled functions parse", "version": old.get("version")}
            found = {**found, "tasks": [{**one, "n": old.get("functions"), "right": old.get("parsed")}]}
        return super().of(found)

    def row(self) -> dict[str, Any]:
        """By name; what is not known is null, so that who reads the JSON finds every key."""
        return asdict(self)


R = TypeVar("R", bound=Record)


def rows_of(path: Path, kind: type[R]) -> Iterator[R]:
    """The rows of that type in a journal, in order; what is no such row is passed over."""
    found = (kind.of(row) for row in read_rows(path, kind.KIND or None))
    return (one for one in found if one is not None)


def last_record(path: Path, kind: type[R]) -> R | None:
    """The last row of that type; only the end of the file is read."""
    found = (kind.of(row) for row in rows_from_end(path, kind.KIND or None))
    return next((one for one in found if one is not None), None)


def read_summary(run: RunFolder) -> Summary:
    """summary.json, as far as it is there and sound."""
    return Summary.of(sealed_object(run, run.summary)) or Summary()


def read_start(run: RunFolder) -> StartRecord:
    """machine.json, as far as it is there and sound."""
    return StartRecord.of(sealed_object(run, run.machine)) or StartRecord()


def read_tuning(run: RunFolder) -> Tuning | None:
    """tuning.json; None for a run that is no fine-tuning."""
    return Tuning.of(sealed_object(run, run.tuning))


def read_asked(run: RunFolder) -> AskedFor | None:
    """What machine.json says that the start was asked for; None where it does not tell, or not all of it."""
    found = sealed_object(run, run.machine)
    asked = AskedFor.of(found) or AskedFor()
    # Whole or not at all: a start that goes on must not be another one, because a setting was left out as unsound.
    written = json.loads(json.dumps(asked.row()))
    is_whole = all(written.get(one.name) == found.get(one.name) for one in fields(asked))
    return asked if is_whole and asked.layers is not None else None


def read_manifest(run: RunFolder) -> Manifest:
    """data/manifest.json for who looks, as far as it is there and sound."""
    return Manifest.of(unsealed(sealed_object(run, run.manifest))) or Manifest()
