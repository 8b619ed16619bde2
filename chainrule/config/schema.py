"""The whole configuration of a run: one typed object for Python, TOML and flags.

No section bears the name of a command: a command-line parser could take the one for the other.
"""

import re
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from chainrule.config.curation import FILTERS, LANGUAGES, known_words
from chainrule.config.mixture import mixture_stages
from chainrule.config.model import ModelConfig
from chainrule.config.optimizers import OptimizerConfig
from chainrule.config.section import Section, a_place

SUFFIX = re.compile(r"\.[^\s./\\\x00-\x1f\x7f]{1,64}")
DIMENSION = re.compile(r"(?:dp|fsdp|tp|pp)\s*=\s*[1-9][0-9]{0,6}|hsdp\s*=\s*[1-9][0-9]{0,6}\s*[x×]\s*[1-9][0-9]{0,6}")
OPTION = re.compile(r"[\w.-]{1,100}=[^\x00-\x1f\x7f]{1,1000}")
# Of a line that is searched for in every text; marks of documents have some twenty letters.
MOST_SEPARATOR = 1000
Share = Annotated[float, Field(ge=0, le=1)]
# They end without a space, as the words of the vocabulary begin with one.
PROMPTS = ("Once upon a time", "The", "\n")


class TextConfig(Section):
    """The raw text and how it becomes documents."""

    paths: tuple[str, ...] = ()
    """Folders, files or globs; `python`: the interpreter's standard library, `king-james`: that Bible (an extra)."""
    field: str = "text"
    """Column or key that holds the text in .jsonl, .json, .csv and .parquet; a.b is b inside a, a[].b that of each in
    a list. Without it a row may have a conversation (messages, conversations)."""
    template: str | None = None
    """Builds the text of a row from its columns, such as "{title}\\n\\n{body}"; replaces `field`."""
    suffixes: tuple[str, ...] = ()
    """More files that are read in folders, by the end of their names, as plain text: .log; .html: with its tags."""
    separator: str = "auto"
    """A line that separates documents inside a plain text file. auto recognises <|endoftext|> and its like, form feeds,
    mailboxes and chats; none, or nothing at all: a file is one document."""
    on_bad: Literal["error", "skip", "replace"] = "error"
    """On invalid UTF-8, a malformed row, a damaged or unreadable file: stop with its place, skip it, or replace bytes
    (and skip what cannot be mended); all is counted and listed."""
    duplicates: Literal["remove", "keep"] = "remove"
    """Exact duplicates of a document."""
    near_duplicates: Literal["remove", "keep"] = "remove"
    """Documents that share most of their five-word runs with an earlier one (MinHash)."""
    near_threshold: Annotated[float, Field(gt=0, le=1)] = 0.8
    """Estimated Jaccard similarity from which two documents are near duplicates."""
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.05
    """Share of the text that is held out, in whole documents, and never trained on."""
    validation_bytes: PositiveInt = 16_000_000
    """Most bytes of held-out text, whatever its share: enough for any score, and looks stay short on large texts."""
    filters: tuple[str, ...] = ()
    """Rules that remove documents: gopher-quality, gopher-repetition, c4, fineweb (docs/data_at_scale.md)."""
    languages: tuple[str, ...] = ()
    """Languages that are kept, such as en de; documents in others, or in none that can be told, are removed."""
    pii: Literal["keep", "mask"] = "keep"
    """Addresses of e-mail and public IPv4 addresses: keep them, or mask them by ones that nobody has."""
    decontaminate: tuple[str, ...] = ()
    """Files or folders of text that must not be trained on, such as tests: documents that share a run of words go."""
    decontaminate_words: Annotated[int, Field(ge=5, le=100)] = 13
    """Words in a row that a document may not share with those sets."""
    mixture: tuple[str, ...] = ()
    """Shares in which sources are read in training: "books=3 code=1", then in stages "20M: code=1" from so many tokens
    on; none: all text alike. Changing it makes no text anew."""
    cross_documents: bool = True
    """Attention may look across the end-of-text token into the document before; off, each document stands alone."""

    @field_validator("mixture")
    @classmethod
    def _mixture_parses(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        mixture_stages(given)
        return given

    @field_validator("decontaminate")
    @classmethod
    def _sets_are_places(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(place for one in given if (place := a_place(one)))

    @field_validator("filters")
    @classmethod
    def _filters_are_known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return known_words(given, FILTERS, "filter")

    @field_validator("languages")
    @classmethod
    def _languages_are_known(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        return known_words(given, LANGUAGES, "language")

    @field_validator("separator", mode="before")
    @classmethod
    def _none_is_empty(cls, given: object) -> object:
        return "" if given is None or given == "none" else given

    @field_validator("separator")
    @classmethod
    def _is_a_line(cls, given: str) -> str:
        """A form feed or ASCII's record separator is one; what no reader of the text could see, or meet, is not."""
        if given and not given.strip(" \t\r\n\0"):
            raise ValueError(f"{given[:20]!r} is no separator that can be seen in a text; write the line, or none")
        if bad := next((letter for letter in "\n\r\0" if letter in given), None):
            raise ValueError(f"a separator is one line of text, and this one has {bad!r} in it")
        if len(given) > MOST_SEPARATOR:
            raise ValueError(f"a separator of {len(given):,} letters is longer than {MOST_SEPARATOR:,}")
        return given

    @field_validator("suffixes")
    @classmethod
    def _begin_with_a_dot(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        suffixes = tuple(f".{suffix.strip().lstrip('*').lstrip('.').lower()}" for suffix in given)
        for suffix in suffixes:
            if not SUFFIX.fullmatch(suffix):
                raise ValueError(f"suffixes has {suffix[:80]!r}, which ends no file's name; write it as .log")
        return suffixes


class VocabularyConfig(Section):
    """The tokenizer; its size is model.vocab_size."""

    kind: Literal["bpe", "gpt2", "bytes", "chars", "file"] = "bpe"
    """bpe: trained on your text; gpt2: OpenAI's 50,257; bytes; chars: of your text; file: an own tokenizer.json."""
    path: str | None = None
    """A tokenizer.json (kind = file), or the folder that holds GPT-2's encoder.json and vocab.bpe (kind = gpt2)."""

    _places = field_validator("path")(a_place)

    @model_validator(mode="after")
    def _file_has_a_path(self) -> "VocabularyConfig":
        if self.kind == "file" and not self.path:
            raise ValueError('kind="file" needs path, the tokenizer.json to use')
        if self.path and self.kind not in ("file", "gpt2"):
            raise ValueError(f'kind="{self.kind}" is made without a file; with path use kind="file" (or "gpt2")')
        return self


class ScheduleConfig(Section):
    """How the learning rate moves over the run, as shares of its steps."""

    kind: Literal["cosine", "wsd", "constant"] = "cosine"
    """After the warm-up: half a cosine; hold then fall in a line (wsd: warm-up, stable, decay); or constant."""
    warmup_share: Share = 0.02
    """Share of the steps in which the rate rises in a line from zero."""
    decay_share: Share = 0.5
    """Share of the steps, at the end, in which wsd falls."""
    floor: Share = 0.1
    """Rate at the end, as a share of the peak."""
    first_window: NonNegativeInt = 0
    """Tokens of the first windows, which double until they are context_length: a half, a quarter, … of it; 0: off."""
    grow_share: Share = 0.7
    """Share of the steps over which windows grow from first_window to context_length."""


class TrainingConfig(Section):
    """How much is learnt, in what portions, and what is looked at on the way."""

    steps: PositiveInt = 1000
    """Updates of the weights in the whole run."""
    batch_tokens: PositiveInt = 524_288
    """Tokens that make one update, over all machines and micro-batches; rounded to whole windows."""
    seed: NonNegativeInt = 0
    """Decides initial weights, the order of the text and dropout."""
    first_weights: Literal["random", "previous-token"] = "random"
    """previous-token: a head that looks at the token before, from which copying is learnt sooner (needs qk_norm)."""
    log_every: PositiveInt = 1
    """Steps between two lines of training figures."""
    eval_every: PositiveInt = 250
    """Steps between two looks at the held-out text."""
    eval_tokens: PositiveInt = 262_144
    """Held-out tokens that go through the model at such a look; half of them count, the final one counts all."""
    sample_every: PositiveInt = 500
    """Steps between two rounds of samples."""
    sample_tokens: PositiveInt = 48
    """Tokens of a sample."""
    health_every: NonNegativeInt = 50
    """Steps between two looks at activations and attention, beside the norms of every step; 0 switches health off."""
    prompts: tuple[str, ...] = PROMPTS
    """What the samples start from."""
    tasks: tuple[str, ...] = ()
    """What the finished model is asked, as in evaluate --task; none: python-functions where the text is python."""
    save_every: PositiveInt = 250
    """Steps between two checkpoints."""
    keep_last: PositiveInt = 2
    """Newest checkpoints that are kept; the best on held-out text is kept besides."""
    background_saves: Literal["auto", "on", "off"] = "auto"
    """Whether checkpoints are written while training goes on, from a copy of the state in memory; auto: large ones,
    where the memory holds the copy. They are the same bits."""
    on_full: Literal["wait", "stop"] = "wait"
    """A disk without room: wait until there is some, with the weights in memory, or stop with the last checkpoint."""
    bad_steps: PositiveInt = 5
    """Non-finite losses or gradients in a row that stop the run; a single one is skipped and its batch kept."""
    on_spike: Literal["tell", "stop", "skip", "rewind"] = "tell"
    """On a loss or gradient far above those before: tell of it; stop, with all saved; skip its update; or rewind to the
    last checkpoint and pass over the text up to it."""
    spike_sigma: Annotated[float, Field(gt=0)] = 6.0
    """Standard deviations above the mean of the steps before from which a step is a spike (stop, skip, rewind)."""
    spike_window: Annotated[int, Field(ge=4, le=4096)] = 128
    """Steps before, of which that mean and deviation are; half of them must be known."""
    replay_every: NonNegativeInt = 0
    """Every so many steps the gradients are made twice and their bits compared, against faulty processors and memory;
    0: off. 100 costs about 1 % of the time, and one copy of the gradients. On a CPU alone: a GPU's sums vary."""


class MachineConfig(Section):
    """What the run uses of the machine. A resume keeps what the first start wrote here, because bits depend on it."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """auto takes cuda, then mps, then cpu, and says why."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of matrix products; weights stay float32. auto takes bfloat16 where the machine is built for it."""
    kernels: Literal["auto", "off"] = "auto"
    """auto: operations of our own on a CPU, where a C++ compiler is at hand to build them; off: torch's."""
    compile: Literal["auto", "on", "off"] = "auto"
    """torch.compile for the loss; auto compiles on a GPU alone, and falls back with one line when it fails."""
    threads: Annotated[int, Field(ge=0, le=4096)] = 0
    """CPU threads; 0 tries 1, 2, 4 and so on, up to the cores that this process may use, and takes the quickest."""
    when_busy: Literal["tell", "fewer-threads"] = "tell"
    """Beside another program threads wait for each other: say so, or go on with one fewer. The step is written down."""
    workers: Annotated[int, Field(ge=0, le=256)] = 0
    """Processes that read and encode the text; 0 chooses: one for small texts, else one for each core."""
    executor: Literal["processes", "local", "slurm", "ray"] = "processes"
    """Who reads and encodes the text: processes of this machine, or tasks of datatrove's executors (an extra)."""
    executor_options: tuple[str, ...] = ()
    """Of slurm and ray: partition=NAME, time=4:00:00, mem_per_cpu_gb=4, sbatch.account=NAME (docs/data_at_scale.md)."""
    cache: str = "auto"
    """Where prepared text is kept for other runs: auto (the user's cache folder; not small texts), off, a folder."""
    readable_by: Literal["owner", "everyone"] = "owner"
    """Who may read the run's folder, which holds its text, beside other users of the machine."""
    micro_batch: NonNegativeInt = 0
    """Windows of one forward pass; 0 chooses, and what does not fit in memory is halved."""
    parallel: str = ""
    """How the run lies on several processes: dp=2 copies, fsdp=4 that share weights, hsdp=2x4 both, tp=2 that share
    matrices, pp=2 stages, as in fsdp=4,tp=2; nothing: all share weights. --launch starts them, or torchrun."""
    activation_checkpointing: bool = False
    """Recomputes activations in the backward pass: less memory, about a third more time."""

    _places = field_validator("cache")(a_place)

    @field_validator("parallel")
    @classmethod
    def _are_dimensions(cls, given: str) -> str:
        """Whether they come to the processes that there are is not known here."""
        for part in given.split(",") if given else ():
            if not DIMENSION.fullmatch(part.strip()):
                raise ValueError(
                    f"parallel has {part[:80]!r}, which is no dimension; use dp, fsdp, tp and pp with a number each, "
                    "or hsdp with two, as in fsdp=4,tp=2 or hsdp=2x4"
                )
        return given

    @field_validator("executor_options")
    @classmethod
    def _options_have_values(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for option in given:
            if not OPTION.fullmatch(option):
                raise ValueError(f"{option[:80]!r} in executor_options is no name with a value; write partition=NAME")
        return given


class OriginConfig(Section):
    """Where the weights come from when the run goes on from a pretrained model."""

    start_from: str | None = None
    """A run folder or a Hugging Face folder whose weights, shape and tokenizer are taken."""
    old_share: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the training windows drawn from the old run's text, against forgetting."""
    fork: str | None = None
    """A checkpoint of another run, RUN@STEP, from which this one goes on: weights, optimizer, order and schedule."""

    _places = field_validator("start_from", "fork")(a_place)


class Config(Section):
    """Everything that decides a run."""

    model: ModelConfig = ModelConfig()
    vocabulary: VocabularyConfig = VocabularyConfig()
    text: TextConfig = TextConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    training: TrainingConfig = TrainingConfig()
    machine: MachineConfig = MachineConfig()
    origin: OriginConfig = OriginConfig()

    @model_validator(mode="after")
    def _windows_double(self) -> "Config":
        first, whole = self.schedule.first_window, self.model.context_length
        if first and (whole % first or (whole // first).bit_count() != 1):
            fitting = [whole // 2**k for k in range(1, 5) if whole % 2**k == 0]
            raise ValueError(
                f"schedule.first_window={first} does not double to model.context_length={whole}; "
                f"use 0 or one of {fitting}"
            )
        return self

    @model_validator(mode="after")
    def _a_replay_leaves_its_bundle(self) -> "Config":
        if self.training.replay_every and not self.training.health_every:
            raise ValueError(
                "training.replay_every leaves a bundle of the step, for which training.health_every is needed"
            )
        return self

    @model_validator(mode="after")
    def _first_weights_fit(self) -> "Config":
        lacking = self.model.no_previous_token
        if self.training.first_weights == "previous-token" and lacking:
            raise ValueError(f"training.first_weights=previous-token needs {lacking}; or leave it at random")
        return self

    @property
    def batch_windows(self) -> int:
        """Windows of context_length tokens that make one update: batch_tokens, rounded, at least one."""
        return max(1, round(self.training.batch_tokens / self.model.context_length))
