"""What a comparison of runs comes to, as data."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any

from chainrule.compare.curves import AXES, Axis, Line, Mark, Measured, at_equal, between, line_of
from chainrule.compare.groups import Group, check_comparable, groups_of, same_but_seed
from chainrule.compare.held_out import HeldOut, held_out
from chainrule.config import differences
from chainrule.run import Completion, RunFolder, Sample, rows_of
from chainrule.verdict import Paired, Verdict, judge_pair, lineage_words, paired, shared_confidence

MOST_PROMPTS = 4


@dataclass(frozen=True)
class Judged:
    """The second run against the first one: the paired difference, where there is one, and the sentence."""

    first: str
    second: str
    difference: Paired | None
    verdict: Verdict


@dataclass(frozen=True)
class Comparison:
    """Two or more runs side by side; the first is what the others are held against."""

    groups: tuple[Group, ...]
    held_out: HeldOut
    judged: tuple[Judged, ...]
    settings: Mapping[str, Mapping[str, Any]]
    """Of each setting that is not the same everywhere, its value by run."""
    marks: Mapping[Axis, Sequence[Mark]]
    samples: Mapping[str, Mapping[str, str]]
    """What each run wrote last, by prompt and run."""
    notes: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "runs": [_run_row(group) for group in self.groups],
            "held_out": {"same": self.held_out.same, "said": self.held_out.said},
            "judged": [_judged_row(one) for one in self.judged],
            "settings": {key: dict(values) for key, values in self.settings.items()},
            "curves": {axis: [_mark_row(mark) for mark in marks] for axis, marks in self.marks.items()},
            "samples": {prompt: dict(written) for prompt, written in self.samples.items()},
            "notes": list(self.notes),
        }


def compare_runs(runs: Sequence[RunFolder]) -> Comparison:
    """The runs, each with its siblings of other seeds, against the first of them.

    Raises RunError or ConfigError for what is no run, fewer than two, or a fine-tuning beside a pretraining.
    """
    groups = groups_of(runs)
    check_comparable(groups)
    same = held_out(groups)
    lines = {axis: _lines(groups, axis) for axis in AXES}
    marks = {axis: at_equal(lines[axis]) for axis in AXES} if same.same else {axis: [] for axis in AXES}
    return Comparison(
        groups=tuple(groups),
        held_out=same,
        judged=tuple(_judged(groups, same)),
        settings=_settings(groups),
        marks=marks,
        samples=_samples(groups),
        notes=(*same.notes, *_notes(groups)),
    )


def _lines(groups: Sequence[Group], axis: Axis) -> dict[str, dict[int, Line]]:
    return {group.name: group.lines(axis) for group in groups}


def _judged(groups: Sequence[Group], same: HeldOut) -> list[Judged]:
    first, found = groups[0], []
    confidence = shared_confidence(len(groups) - 1)
    for second in groups[1:]:
        difference, verdict = _pair(first, second, same, confidence)
        found.append(Judged(first.name, second.name, difference, verdict))
    return found


def _pair(first: Group, second: Group, same: HeldOut, confidence: float) -> tuple[Paired | None, Verdict]:
    if not same.same:
        return None, Verdict("comparison", "note", same.said)
    if same_but_seed(first.own, second.own):
        apart = _apart(first, second)
        said = f"{first.name} and {second.name} differ by the seed alone: what parts them{apart} is noise by itself."
        return None, Verdict("comparison", "note", said)
    if not (first.is_finished and second.is_finished):
        return None, _unfinished(first, second)
    difference = paired(first.finals(), second.finals(), confidence)
    return difference, judge_pair(first.name, second.name, difference)


def _apart(first: Group, second: Group) -> str:
    a, b = (group.own.summary.val_bits_per_byte for group in (first, second))
    return "" if a is None or b is None else f" ({abs(a - b):.4f} bits per byte)"


def _unfinished(first: Group, second: Group) -> Verdict:
    """Where one has not ended, the last place that both have reached is all there is to look at, one seed each."""
    lines = [line_of(group.own.looks, "tokens", 1.0) for group in (first, second)]
    names = " and ".join(group.name for group in (first, second) if not group.is_finished)
    begun = f"{names} {'have' if ' and ' in names else 'has'} not finished"
    if not all(lines) or (at := min(line[-1][0] for line in lines)) < max(line[0][0] for line in lines):
        return Verdict("comparison", "note", f"{begun}, and there are no tokens at which both were measured.")
    a, b = (between(line, at) for line in lines)
    lower = second.name if b < a else first.name
    said = f"{begun}; at {at:,.0f} tokens {lower} is lower by {abs(a - b):.4f} bits per byte, of one seed each"
    return Verdict("comparison", "note", f"{said}: that it is more than noise is not known.")


def _settings(groups: Sequence[Group]) -> dict[str, dict[str, Any]]:
    changed: dict[str, None] = {}
    for group in groups[1:]:
        changed |= dict.fromkeys(differences(groups[0].config, group.config))
    flat = {group.name: group.config.model_dump(mode="json") for group in groups}

    def value(name: str, key: str) -> Any:
        section, _, setting = key.partition(".")
        return flat[name][section][setting]

    return {key: {name: value(name, key) for name in flat} for key in changed}


def _samples(groups: Sequence[Group]) -> dict[str, dict[str, str]]:
    """The last that each wrote after the prompts that most of them have."""
    written = {group.name: _last_texts(group) for group in groups}
    counts: dict[str, int] = {}
    for texts in written.values():
        for prompt in texts:
            counts[prompt] = counts.get(prompt, 0) + 1
    shared = [prompt for prompt, count in counts.items() if count > 1][:MOST_PROMPTS]
    return {prompt: {name: texts[prompt] for name, texts in written.items() if prompt in texts} for prompt in shared}


def _last_texts(group: Group) -> dict[str, str]:
    rows: list[Completion | Sample] = [*group.own.summary.completions]
    if not rows:
        samples = list(rows_of(group.own.run.samples, Sample))
        rows = [row for row in samples if row.step == samples[-1].step]
    return {row.prompt: row.text for row in reversed(rows)}


def _notes(groups: Sequence[Group]) -> list[str]:
    notes = []
    tokens = {group.name: group.own.tokens for group in groups}
    if min(tokens.values()) and max(tokens.values()) > 1.02 * min(tokens.values()):
        most, least = max(tokens, key=tokens.__getitem__), min(tokens, key=tokens.__getitem__)
        notes.append(f"{most} learnt from {tokens[most] / tokens[least]:.1f} times as many tokens as {least}.")
    if len(groups) > 2:
        notes.append(
            f"Each of {len(groups) - 1} is held against {groups[0].name}; the intervals are wider, so that all of them "
            "together hold 95 times in 100 (Bonferroni)."
        )
    for group in groups:
        if forked := lineage_words(group.own.summary.lineage):
            notes.append(f"{group.name} is {forked}.")
    return notes


def _run_row(group: Group) -> dict[str, Any]:
    bits = list(group.finals().values())
    return {
        "name": group.name,
        "path": str(group.own.run.path),
        "status": group.own.status,
        "parameters": group.own.summary.parameters,
        "tokens": group.own.tokens,
        "flops": group.own.tokens * group.flops_per_token,
        "seconds": group.own.seconds,
        "val_bits_per_byte": group.own.summary.val_bits_per_byte,
        "mean": fmean(bits) if bits else None,
        "standard_deviation": stdev(bits) if len(bits) > 1 else None,
        "seeds": [
            {"seed": one.seed, "run": str(one.run.path), "val_bits_per_byte": one.summary.val_bits_per_byte}
            for one in group.members
        ],
    }


def _judged_row(one: Judged) -> dict[str, Any]:
    interval = one.difference.interval if one.difference else None
    return {
        "first": one.first,
        "second": one.second,
        "outcome": one.difference.outcome if one.difference else "unknown",
        "difference": one.difference.mean if one.difference else None,
        "low": interval[0] if interval else None,
        "high": interval[1] if interval else None,
        "confidence": one.difference.confidence if one.difference else None,
        "pairs": one.difference.n if one.difference else 0,
        "said": one.verdict.text,
    }


def _mark_row(mark: Mark) -> dict[str, Any]:
    def both(found: Mapping[str, Measured]) -> dict[str, Any]:
        return {name: {"mean": one.mean, "standard_deviation": one.spread} for name, one in found.items()}

    return {"at": mark.at, "val_bits_per_byte": both(mark.bits), "difference": both(mark.apart)}


def shown(value: Any) -> str:
    """A setting as a file has it."""
    return "–" if value is None else json.dumps(value, ensure_ascii=False)
