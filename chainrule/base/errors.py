"""Every error that chainrule raises on purpose.

::

    ChainruleError                 exit code 1
    ├── TrainingError              1: the run went wrong by itself (non-finite losses in a row)
    │   └── RankError              75: one of several processes that train together is gone
    ├── ExportError                1: an export does not compute what the model computes
    ├── UserError                  2: what the caller can put right; all below are such, and what fits none of them
    ├── ConfigError                2: a setting, or two that do not go together
    ├── DataError                  2: a text, a shard, a manifest
    ├── TokenizerError             2: a vocabulary, or text that it cannot hold
    ├── ModelError                 2: ids beyond the vocabulary, a context too long
    ├── CheckpointError            2: damaged, foreign or unfitting checkpoints
    ├── RunError                   2: a run folder missing, foreign or in use
    ├── DeviceError                2: a device that is not there, memory that does not suffice
    ├── DiskError                  2: full, read-only or unreadable
    ├── LensError                  2: nothing to differentiate, an operation without a rule, a place that is not there
    └── MissingPackageError        2: an extra that is not installed

A message says what was given, what is allowed and what to do. The command line prints it without a traceback and exits
with `exit_code`. Interrupted stands apart: a signal is nobody's mistake, and its exit code is 128 and the signal's
number.
"""

import signal


class Interrupted(BaseException):
    """A signal asks the program to end. Like KeyboardInterrupt it is no Exception: nothing should swallow it."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}")
        self.signal_number = signal_number


class ChainruleError(Exception):
    """The root of the tree: catch this to catch all of ours."""

    exit_code = 1


class TrainingError(ChainruleError):
    """The run went wrong by itself; the last good checkpoint is intact."""


class RankError(TrainingError):
    """One of several processes that train together failed or is gone; begun again, all go on from a checkpoint."""

    exit_code = 75  # EX_TEMPFAIL of sysexits.h: whoever started it may try again


class ExportError(ChainruleError):
    """What was written does not compute what the model computes; it was refused."""


class UserError(ChainruleError):
    """Something that the caller can put right."""

    exit_code = 2


class ConfigError(UserError):
    """A setting is unknown, out of range, or does not go with another."""


class DataError(UserError):
    """A text, a shard or a manifest cannot be used as it is."""


class TokenizerError(UserError):
    """A vocabulary is damaged, foreign or does not fit."""


class ModelError(UserError):
    """The model was asked for something that it cannot compute."""


class CheckpointError(UserError):
    """A checkpoint is damaged, foreign or does not fit the model."""


class RunError(UserError):
    """A run folder is missing, foreign or in use."""


class DeviceError(UserError):
    """A device is absent, or its memory does not suffice."""


class DiskError(UserError):
    """A disk is full, read-only or unreadable."""


class LensError(UserError):
    """The lens cannot look at this: no scalar loss, no parameters, an operation without a rule, a wrong place."""


class MissingPackageError(UserError):
    """An optional package is needed here and not installed; `extra` brings it, or the command `install` does."""

    def __init__(self, purpose: str, package: str, extra: str = "", *, install: str = "") -> None:
        remedy = install or f"pip install 'chainrule[{extra}]'"
        super().__init__(f"{purpose} needs {package}: {remedy}")
