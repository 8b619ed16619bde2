"""What happens every N steps: a look at the held-out text, samples, a checkpoint."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from chainrule.base import ModelError
from chainrule.data import Dataset, TokenStore
from chainrule.evaluate import PlaceTally, Scores, Scoring, score
from chainrule.generate import generate, usual_rules
from chainrule.plan import parameters
from chainrule.run import EvalRow, Sample
from chainrule.train.checkpoints import gather, save, save_beside
from chainrule.train.session import Session
from chainrule.verdict import judge_start

# Sources whose bits per byte a look tells: more are no curves that an eye can tell apart.
MOST_SOURCES = 8


def look(session: Session) -> None:
    """All that is due at the present step, in the order in which it is of use: evaluate, sample, save."""
    progress = session.state.progress
    step, last = progress.step, progress.step >= session.course.steps
    every = session.intervals
    saving = last or (step > 0 and step % every.saves == 0)
    looking = saving or step % every.looks == 0
    sampling = last or step % every.samples == 0
    if looking or sampling:
        gather(session, optimizer=False)
    with session.stop.at_once():
        if looking:
            with timed(session, "look"):
                session.lesson.evaluate(session)
        if sampling:
            with timed(session, "samples"):
                session.lesson.sample(session)
    # Together or not at all: a checkpoint that says "looked" must know what was seen.
    with session.stop.held():
        progress.looked = step
        if saving:
            progress.rank(step)
            progress.last_due = step
            with timed(session, "save"):
                (save if last else save_beside)(session)
    if looking:
        session.append(session.run.phases, session.phases.row(where(session), session.facts.device).row())
        if session.page is not None and not last:
            began = session.budget.clock.spent()
            session.patient(session.page.refresh)
            session.phases.add("page", session.budget.clock.spent() - began)


@contextmanager
def timed(session: Session, what: str) -> Iterator[None]:
    """Inside, something that a run does again and again: how long it took is planned with from then on."""
    began = session.budget.clock.spent()
    yield
    seconds = session.budget.clock.spent() - began
    session.budget.pace.happened(what, seconds)
    session.phases.add(what, seconds)


def evaluate(session: Session) -> Scores:
    """Scores windows that are spread over the held-out text, as the end of the run scores all of it; writes the row."""
    progress, config = session.state.progress, session.config
    # Windows overlap by half and count the second one alone: of what goes through the model half is scored.
    part = final_scoring(session, max(1, config.training.eval_tokens // 2))
    places = PlaceTally()
    store, byte_lengths = session.dataset.split("validation"), session.tokenizer.byte_lengths
    scores = score(session.state.model, store, byte_lengths, part, places=places)
    progress.val_loss = scores.loss
    if progress.step == 0 and not config.origin.start_from:
        start = judge_start(scores.loss, config.model.vocab_size)
        if start.mark != "good":
            session.note(start.text)
    session.write(
        EvalRow(
            **where(session),
            val_loss=scores.loss,
            val_bits_per_byte=scores.bits_per_byte,
            places=places.ends,
            place_losses=places.means,
            by_source=_largest(scores),
        )
    )
    return scores


def _largest(scores: Scores) -> dict[str, float]:
    """Bits per byte of the largest sources, where there are several."""
    known = [(one.n_bytes, name) for name, one in scores.by_source.items() if one.n_bytes]
    largest = sorted(known, reverse=True)[:MOST_SOURCES] if len(known) > 1 else []
    return {name: float(f"{scores.by_source[name].bits_per_byte:.6g}") for _, name in largest}


def score_held_out(
    session: Session, store: TokenStore, scoring: Scoring, *, on_progress: Callable[[int, int], None] | None = None
) -> Scores:
    """Scores held-out text, the run's own or another."""
    return score(session.state.model, store, session.tokenizer.byte_lengths, scoring, on_progress=on_progress)


def held_out_bits(session: Session, dataset: Dataset, scoring: Scoring) -> float:
    """Bits per byte of what a data set holds out, the run's own or another."""
    return score_held_out(session, dataset.split("validation"), scoring).bits_per_byte


def own_scoring(session: Session, *, max_tokens: int | None = None, stride: int | None = None) -> Scoring:
    """As the run computes: its windows and documents, its number format, its micro-batch and threads."""
    length = session.lesson.window_tokens(session.config)
    return Scoring(
        max_tokens=max_tokens,
        stride=stride,
        micro_batch=session.micro_batch,
        precision=session.facts.precision,
        documents=not session.config.text.cross_documents,
        threads=session.facts.threads,
        kernels="off" if session.facts.kernels in (None, "torch") else "auto",
        window=length if length < session.config.model.context_length else None,
    )


def final_scoring(session: Session, max_tokens: int | None) -> Scoring:
    """How the run scores itself at its end; summary.json says it, so that `chainrule evaluate` gives the same figure.

    What is scored is what one call with these settings scores: whoever bounds it by time sets `max_tokens`.
    """
    stride = max(1, session.lesson.window_tokens(session.config) // 2)
    return own_scoring(session, max_tokens=max_tokens, stride=stride)


def sample(session: Session) -> None:
    """Lets the model go on from each prompt and writes what it wrote."""
    training = session.config.training
    try:
        completions = generate(
            session.state.model,
            session.tokenizer,
            training.prompts,
            max_new_tokens=training.sample_tokens,
            rules=usual_rules(parameters(session.config.model).total),
            seed=training.seed,
            heal=True,
        )
    except ModelError as fault:  # the weights may still recover, and a look must not cost the run its save
        session.note(f"no samples at step {session.state.progress.step}: {fault}")
        return
    for completion in completions:
        session.write(Sample(**where(session), prompt=completion.prompt, text=completion.text))


def where(session: Session) -> dict[str, Any]:
    """Where the run stands: step, tokens learnt from, seconds of training."""
    progress = session.state.progress
    tokens = progress.samples * session.lesson.window_tokens(session.config)
    return {"step": progress.step, "tokens": tokens, "seconds": round(progress.seconds, 3)}
