"""How a server is set up, checked before a model is opened."""

from dataclasses import dataclass

from chainrule.base import ConfigError
from chainrule.web import Callers

# 256 prompts of 2,000 ids, as lm-eval may send them, are 3 MB in JSON.
BODY_BYTES = 4 * 2**20
BODY_SECONDS = 30.0


@dataclass(frozen=True)
class Serving:
    """Where a server listens, how much it takes on, and to whom it answers. Raises ConfigError for what cannot be."""

    host: str = "127.0.0.1"
    port: int = 8000
    rows: int = 16
    """Texts that are written at once."""
    max_queue: int = 64
    """Requests that may wait for a row; more are answered 429."""
    max_length: int | None = None
    """Tokens of a prompt and its answer together; None: the model's context, or what memory holds."""
    token: str | None = None
    hosts: tuple[str, ...] = ()
    """Names besides localhost by which it may be called."""
    origins: tuple[str, ...] = ()
    """Pages of other servers that may call it (CORS); none unless named."""
    name: str | None = None
    """What the model is called over HTTP."""
    exact: bool | None = None
    """Whether a greedy answer and its log-probabilities are equal to the last bit whatever else is written; None: where
    it can be promised, on a CPU."""
    checkpoints: int = 4
    """Checkpoints of a run that are held in memory at once beside the model itself; 0 offers none."""
    prefix_bytes: int = 512 * 2**20
    """Memory for beginnings of texts that need not be read again."""

    def __post_init__(self) -> None:
        _ = self.callers  # which are checked as well
        if not 1 <= self.rows <= 256:
            raise ConfigError(f"rows={self.rows} is out of range; use 1 to 256 texts at once")
        if self.max_queue < 0:
            raise ConfigError(f"max_queue={self.max_queue} is out of range; use 0 (nobody waits) or more")
        if not 0 <= self.checkpoints <= 64:
            raise ConfigError(f"checkpoints={self.checkpoints} is out of range; use 0 (offers none) to 64 at once")
        if self.max_length is not None and self.max_length < 2:
            raise ConfigError(f"max_length={self.max_length} has no room for a prompt and an answer; use at least 2")

    @property
    def callers(self) -> Callers:
        """Where it listens and to whom it answers; raises ConfigError for what would be unsafe."""
        return Callers(self.host, self.port, self.token, self.hosts, self.origins)
