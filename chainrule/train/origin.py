"""Going on from a pretrained model: its weights, shape, tokenizer, and a share of its old text."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from chainrule.base import ConfigError
from chainrule.checkpoint import OpenedModel, open_model
from chainrule.config import Config, Layer, load_toml, resolve
from chainrule.data import Dataset, is_prepared, link_shards, open_dataset, run_dataset
from chainrule.evaluate import check_same_tokenizer
from chainrule.run import Change, OnBothTexts, RunFolder, sealed_path
from chainrule.train.ending import FORWARD_SHARE, most_seconds
from chainrule.train.looks import final_scoring, held_out_bits
from chainrule.train.session import Session

# The old peak would undo what was learnt; a third of it is usual for going on (Ibrahim et al., arXiv 2403.08763, find
# that re-warming to the full peak forgets most).
RATE_SHARE = 1 / 3
# Of a model from elsewhere the peak is not known. 1e-4 is what large runs end their decay at or below, and AdamW what
# they were trained with (a model that AdamW has made gains nothing by Muon, and the other way round: arXiv 2502.16982);
# wider models take less, as in pretraining.
FOREIGN_RATE, FOREIGN_WIDTH = 1e-4, 768
FOREIGN_SCHEDULE = {"kind": "cosine", "warmup_share": 0.05, "floor": 0.1}
OWN_CHOICE = ("drop_rate",)


@dataclass(frozen=True)
class Origin:
    """A model to go on from; `run` is the folder of the run that made it, when it was one of ours."""

    opened: OpenedModel
    source: str
    run: RunFolder | None

    def layer(self) -> Layer:
        """Its shape, dropout and tokenizer, and rates that keep what it knows: a third of its own, or a low one."""
        shape = self.opened.config
        values: dict[str, dict[str, Any]] = {"model": shape.model_dump()}
        if self.run is not None:
            old = resolve([load_toml(sealed_path(self.run, self.run.config))]).config
            rates = {name: rate * RATE_SHARE for name, rate in old.optimizer.peak_rates.items()}
            values["optimizer"] = {**old.optimizer.model_dump(), **rates}
            values["schedule"] = old.schedule.model_dump()
        else:
            values["optimizer"] = {"kind": "adamw", "lr": gentle_rate(shape.emb_dim)}
            values["schedule"] = dict(FOREIGN_SCHEDULE)
        return Layer(f"from {self.source}", values)

    def sentence(self, config: Config) -> str:
        """What is taken over, in one line for the person."""
        optimizer = config.optimizer
        rate = ", ".join(f"{name} {rate:.1e}" for name, rate in optimizer.peak_rates.items())
        known = "its own peak was higher" if self.run else "its own peak is not known"
        return (
            f"going on from {self.opened.origin}: dropout {config.model.drop_rate:g}, {optimizer.kind} at a gentle "
            f"rate ({rate}) after a warm-up over {config.schedule.warmup_share:.0%} of the steps, because {known}; "
            "--model.drop-rate and --optimizer.lr change that"
        )


def gentle_rate(width: int) -> float:
    """The peak rate of AdamW for a model of that emb_dim whose own peak is not known."""
    return FOREIGN_RATE * min(1.0, (FOREIGN_WIDTH / width) ** 0.5)


def find_origin(config: Config, layers: Sequence[Layer]) -> Origin | None:
    """The model that origin.start_from names; None without one.

    Raises ConfigError when the layers ask for another shape or vocabulary, or for old text where there is none.
    """
    source = config.origin.start_from
    if config.origin.fork is not None and layers:
        raise ConfigError(f"origin.fork = {config.origin.fork!r} is for pretrain alone (--fork RUN@STEP); leave it out")
    if source is None:
        if config.origin.old_share:
            raise ConfigError("origin.old_share needs origin.start_from (--from RUN), the run whose text is mixed in")
        return None
    _refuse_another_shape(source, layers)
    folder = RunFolder(Path(source))
    run = folder if folder.config.is_file() else None
    if config.origin.old_share and (run is None or not is_prepared(run.data)):
        raise ConfigError(f"origin.old_share needs the old text, and {source} holds none; leave it out")
    opened = open_model(source)
    if run is not None and is_prepared(run.data):
        # Its ids are learnt from again, or scored: to another tokenizer they would be other words.
        check_same_tokenizer(run_dataset(run, verify=False), opened)
    return Origin(opened, source, run)


def link_old_text(origin: Origin, run: RunFolder) -> int:
    """Links the old run's text, where it is known, into the new run's folder, which can then be moved.

    Returns the bytes that had to be copied, because the two are on different disks.
    """
    if origin.run is None or not is_prepared(origin.run.data) or is_prepared(run.old):
        return 0
    return link_shards(origin.run.data, run.old)


def old_dataset(run: RunFolder) -> Dataset | None:
    """The text of the run that this one goes on from, when it is known."""
    return open_dataset(run.old) if is_prepared(run.old) else None


def score_before(session: Session, minutes: float | None, step_seconds: float) -> OnBothTexts:
    """What the model scores before it learns: bits per byte of the new held-out text and of the old, where known.

    Of a run of `minutes` this may take a small share, however much text is held out: then as many tokens of evenly
    spread windows are scored, and `max_tokens` says how many. It is scored again at the end, on the same windows.
    """
    config = session.config
    speed = config.batch_windows * config.model.context_length / max(step_seconds, 1e-9)
    allowed = most_seconds("again", minutes and minutes * 60, config.training.steps * step_seconds)
    n_texts = 1 if session.old is None else 2
    n_tokens = max(store.split("validation").n_tokens for store in (session.dataset, session.old) if store)
    most = allowed / n_texts * speed / FORWARD_SHARE
    # Windows overlap by half, so that two tokens go through the model for each that is scored.
    max_tokens = None if most >= 2 * n_tokens else max(1, int(most / 2))
    return _score_both(session, max_tokens)


class Both(NamedTuple):
    """Of the text that a run goes on with and of the old one."""

    new: Change | None = None
    old: Change | None = None


def forgetting(session: Session, before: OnBothTexts | None, new: float | None = None) -> Both:
    """Held-out bits per byte on new and on old text, before and after; nothing for a run from nothing.

    `new` is what all of the new text was scored at by now: no second figure is made where all was scored before, too.
    """
    if before is None:
        return Both()
    after = _score_both(session, before.max_tokens, new if before.max_tokens is None else None)
    return Both(_change(before.new, after.new), _change(before.old, after.old))


def _change(before: float | None, after: float | None) -> Change | None:
    return None if before is None or after is None else Change(before, after)


def _score_both(session: Session, max_tokens: int | None, new: float | None = None) -> OnBothTexts:
    scoring = final_scoring(session, max_tokens)
    new = session.lesson.bits_per_byte(session, scoring) if new is None else new
    old = None if session.old is None else held_out_bits(session, session.old, scoring)
    return OnBothTexts(new, old, max_tokens)


def _refuse_another_shape(source: str, layers: Sequence[Layer]) -> None:
    for layer in layers:
        asked = [f"model.{key}" for key in layer.values.get("model", {}) if key not in OWN_CHOICE]
        asked += [f"vocabulary.{key}" for key in layer.values.get("vocabulary", {})]
        if asked:
            raise ConfigError(
                f"{layer.source} sets {', '.join(asked)}, and {source} fixes shape and vocabulary; leave it out, or "
                "start without --from"
            )
