"""What the numbers of a run's health mean, in plain words, with what to try."""

import math
from collections.abc import Iterator, Sequence
from statistics import median

from chainrule.base import block_of, layer_in_words
from chainrule.run import HealthRecord, mean_noise
from chainrule.verdict.inside import judge_inside
from chainrule.verdict.thresholds import ENOUGH_NOISE, ENOUGH_ROWS, FAR_BELOW, FAST, GROWN, LOST, REPLACED, STILL, SUITS
from chainrule.verdict.verdicts import Verdict


def judge(record: HealthRecord) -> list[Verdict]:
    """What can be said of the run's health, the worst first; one sentence of praise where nothing is wrong."""
    wrong = [*_spikes(record), *judge_inside(record.inside)]
    if len(record.norms) >= ENOUGH_ROWS:
        wrong += [*_reach(record), *_growth(record), *_speed(record)]
    found = sorted(wrong, key=lambda verdict: verdict.mark != "bad")
    if not found and len(record.norms) >= ENOUGH_ROWS:
        said = "Gradients reach every layer, updates are in proportion, and no step was out of line"
        also = ", activations and attention are in range" if record.inside else ""
        found = [Verdict("healthy", "good", f"{said}{also} ({len(record.layers)} layers).")]
    return [*found, *_noise(record)]


def _spikes(record: HealthRecord) -> Iterator[Verdict]:
    if not record.spikes:
        return
    first, count = record.spikes[0], len(record.spikes)
    steps = f"{count} steps were out of line, the first at" if count > 1 else "One step was out of line,"
    passed = sum(not one.applied for one in record.spikes)
    unmade = f"; the updates of {passed} of them were not made" if passed else ""
    causes = [f"{one.what} {_number(one.value)}, usually {_number(one.usual)}" for one in first.what]
    yield Verdict(
        "spike",
        "note",
        f"{steps} step {first.step:,} ({'; '.join(causes) or 'no figures'}){unmade}.",
        "`chainrule lens spike` replays it and says why.",
    )


def _reach(record: HealthRecord) -> Iterator[Verdict]:
    """Blocks that the gradient hardly reaches, the worst pair of like parts."""
    parts: dict[str, list[tuple[float, str]]] = {}
    for layer, norm in record.tail("gradient").items():
        block = block_of(layer)
        if block is not None:
            parts.setdefault(block[1], []).append((norm, layer))
    pairs = [(min(members), max(members)) for members in parts.values() if len(members) > 1]
    if not pairs:
        return
    (low, weak), (high, strong) = min(pairs, key=lambda pair: pair[0][0] / pair[1][0] if pair[1][0] else 1.0)
    if high > 0 and low == 0:
        yield Verdict(
            "vanishing",
            "bad",
            f"{_begin(weak)} gets no gradient at all, and {layer_in_words(strong)} one of {high:.1e}: "
            "what it computes does not reach the loss.",
            "Look for a detach, a zero scale or a non-finite mask.",
        )
    elif high >= FAR_BELOW * low > 0:
        yield Verdict(
            "vanishing",
            "bad" if high >= LOST * low else "note",
            f"{_begin(weak)} gradients are 1/{high / low:,.0f} of {layer_in_words(strong)}’s ({low:.1e} and "
            f"{high:.1e}): the loss hardly reaches it.",
            "Pre-norm blocks stay within √n_layers of each other; look at the size of its activations, try "
            "model.qk_norm, a longer schedule.warmup_share or fewer layers.",
        )


def _growth(record: HealthRecord) -> Iterator[Verdict]:
    """The whole gradient at the end against the first half, its beginning left out."""
    count = len(record.norms)
    if count < 2 * ENOUGH_ROWS:
        return
    totals = [_total(row.gradient) for row in record.norms]
    early, late = median(totals[count // 10 : count // 2]), median(totals[-max(2, count // 10) :])
    if early > 0 and late >= GROWN * early:
        then = HealthRecord(record.layers, record.norms[count // 10 : count // 2]).tail("gradient", 1.0)
        now = record.tail("gradient", 0.1)
        most = max((layer for layer in now if then.get(layer)), key=lambda layer: now[layer] / then[layer])
        yield Verdict(
            "exploding",
            "bad",
            f"The gradient has grown {late / early:.0f} times since the first half of the run ({early:.2g} to "
            f"{late:.2g}), most in {layer_in_words(most)} ({now[most] / then[most]:.0f} times).",
            "A lower optimizer.lr, or a schedule that decays earlier, would hold it.",
        )


def _speed(record: HealthRecord) -> Iterator[Verdict]:
    ratios = record.tail("ratio")
    if not ratios:
        return
    fastest = max(ratios, key=lambda layer: ratios[layer])
    if ratios[fastest] >= FAST:
        yield Verdict(
            "fast",
            "bad" if ratios[fastest] >= REPLACED else "note",
            f"Each step moves {layer_in_words(fastest)} by {ratios[fastest]:.0%} of its size; 0.1 % is usual, and at "
            f"this pace {1 / ratios[fastest]:.0f} steps can replace it.",
            "Lower optimizer.lr (or muon_lr).",
        )
    still = [layer for layer, ratio in ratios.items() if ratio < STILL]
    if still:
        more = f" and {len(still) - 1} others" if len(still) > 1 else ""
        yield Verdict(
            "still",
            "note",
            f"{_begin(still[0])}{more} hardly moves: less than a millionth of its size at each step, which is 0.1 % in "
            "a thousand.",
            "A higher optimizer.lr, or a floor for the schedule, would move it.",
        )


def _noise(record: HealthRecord) -> Iterator[Verdict]:
    """The batch against the noise scale.

    McCandlish et al., section 2.4: of the least possible, steps are 1 + B_noise / B, tokens 1 + B / B_noise.
    """
    scale = mean_noise(record.norms[-max(1, len(record.norms) // 4) :])
    if scale.n_steps < ENOUGH_NOISE or scale.samples is None or not record.samples or not record.sample_tokens:
        return
    batch, noise = record.samples * record.sample_tokens, scale.samples * record.sample_tokens
    said = f"The gradient’s noise scale is about {_tokens(noise)} tokens, a step’s batch {_tokens(batch)}"
    if batch * SUITS < noise:
        share = (1 + noise / batch / 2) / (1 + noise / batch)
        yield Verdict(
            "noise",
            "note",
            f"{said}: each step is mostly noise. Twice the batch would need only {share:.0%} of the steps.",
            "Raise training.batch_tokens where there is time for it, or lower the rate.",
        )
    elif batch > SUITS * noise:
        share = (1 + 1 / SUITS) / (1 + batch / noise)
        yield Verdict(
            "noise",
            "note",
            f"{said}: most of it repeats what the rest says.",
            f"A batch of {_tokens(noise / SUITS)} would learn as much from {share:.0%} of the tokens, in more steps.",
        )
    else:
        yield Verdict("noise", "good", f"{said}: they suit each other.")


def _total(norms: Sequence[float | None]) -> float:
    return math.hypot(*(norm for norm in norms if norm is not None))


def _begin(layer: str) -> str:
    words = layer_in_words(layer)
    return words[:1].upper() + words[1:]


def _tokens(count: float) -> str:
    return f"{count:,.0f}" if count < 10_000 else f"{count / 1000:,.0f}k"


def _number(value: float | None) -> str:
    return "not finite" if value is None else f"{value:.3g}"
