"""What was expected of a run's end on its way, and what a run of twice the length would have come to."""

from chainrule.base import ChainruleError
from chainrule.config import load_toml, resolve
from chainrule.plan import expected_on_the_way, foretell
from chainrule.run import Facts, sealed_path


def on_the_way(facts: Facts) -> str | None:
    """What was expected at the end after a fifth and a half of the way, held against the last look; None where nothing.

    It is worked out again from the looks, which is what the live line told.
    """
    looks = [(row.tokens, row.val_loss) for row in facts.looks if row.val_loss]
    tokens = facts.summary.tokens
    if facts.status != "finished" or not tokens or facts.tuning or not looks or looks[-1][0] < tokens:
        return None
    end, told = looks[-1][1], []
    for place, expected in expected_on_the_way(looks, tokens):
        held = "inside" if expected.low <= end <= expected.high else "outside"
        # By how much and not to what: of the end a page has one figure, that of all held-out text.
        apart = f"{abs(end - expected.value):.3f} {'lower' if end < expected.value else 'higher'}"
        told.append(
            f"at {place:.0%} of the way {expected.value:.3f} ({expected.low:.3f} to {expected.high:.3f}), and it came "
            f"{apart}: {held}"
        )
    if not told:
        return None
    return f"The loss that was expected of the last look, by those until then: {'; '.join(told)}."


def twice(facts: Facts) -> str | None:
    """The sentence; None where nothing sensible can be said (see `foretell`), or where the run is not at its end.

    Nothing either of a run that went on from another model, and of one that was taught examples.
    """
    bits, tokens = facts.bits_per_byte, facts.summary.tokens
    unique = facts.data.tokens.get("train") or facts.tokenizer.n_tokens
    if facts.status != "finished" or not bits or not tokens or not unique or facts.tuning or _goes_on(facts):
        return None
    looks = [(row.tokens, row.val_bits_per_byte) for row in facts.looks if row.val_bits_per_byte]
    told = foretell(bits, looks, tokens, tokens, unique)
    if told is None:
        return None
    return (
        f"With twice the time it would probably have come to {told.bits_per_byte:.2f} bits per byte ({told.low:.2f} to "
        f"{told.high:.2f}). This is extrapolated from its own curve, not measured: of 38 such intervals 32 held."
    )


def _goes_on(facts: Facts) -> bool:
    """Whether the run began with another model's weights; as good as yes where its settings cannot be read."""
    try:
        return resolve([load_toml(sealed_path(facts.run, facts.run.config))]).config.origin.start_from is not None
    except (ChainruleError, OSError):
        return True
