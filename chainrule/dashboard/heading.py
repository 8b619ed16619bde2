"""All that a page says of a run beside its curves and samples: state, verdicts, expected end, machine, checkpoints."""

import shlex
from collections.abc import Sequence
from typing import Any

from chainrule.base import ChainruleError, finite, folder_bytes
from chainrule.dashboard.journals import Journals
from chainrule.dashboard.pictures import pictures
from chainrule.dashboard.taught import taught
from chainrule.plan import foretell_end
from chainrule.run import (
    DataReport,
    Facts,
    HealthRecord,
    Machine,
    Plan,
    RunFolder,
    TokenizerFacts,
    is_running,
    read_manifest,
    read_start,
    read_summary,
    read_tuning,
    resume_command,
    step_folder,
    steps_of,
    unsealed_files,
)
from chainrule.verdict import MARKS, Verdict, against_baselines, findings, judge, known_baselines

MOST_EVENTS, MOST_CHECKPOINTS = 60, 100


def heading(run: RunFolder, journals: Journals) -> dict[str, Any]:
    """By name, as JSON holds it; what is not known is null or left out."""
    facts = facts_of(run, journals)
    verdicts = sorted([*findings(facts), *judge(facts.health)], key=_rank)
    plan, summary, machine, bits = facts.plan, facts.summary, facts.machine, facts.bits_per_byte
    return finite(
        {
            "path": str(run.path),
            "status": facts.status,
            "steps": plan.steps or summary.steps,
            "tokens": plan.tokens,
            "seconds": plan.seconds,
            "parameters": summary.parameters or plan.parameters,
            "architecture": plan.architecture,
            "flops_per_token": plan.flops_per_token,
            "unit": _unit(facts),
            "final": {
                "bits": summary.val_bits_per_byte,
                "loss": summary.val_loss,
                "seconds": summary.total_seconds or summary.seconds,
                "tokens_per_second": summary.tokens_per_second,
            },
            "standing": against_baselines(bits, facts.baselines) if bits and known_baselines(facts.baselines) else None,
            "verdicts": [{"mark": one.mark, "said": one.sentence, "remedy": one.remedy} for one in verdicts],
            "ends": _ends(facts),
            # Of fine-tuning neither guessing nor counting is a measure.
            "vocab_size": None if facts.tuning else facts.manifest.vocab_size,
            "baselines": known_baselines(facts.baselines),
            "text": facts.manifest.fingerprint,
            "memory": {"planned": plan.memory_bytes, "there": machine.memory_bytes},
            "machine": _machine(machine, facts.data.epochs),
            "checkpoints": _checkpoints(facts),
            "pictures": pictures(facts.health),
            "taught": taught(journals),
            "events": [
                {"time": one.time, "step": one.step, "said": one.message} for one in facts.events[-MOST_EVENTS:]
            ],
            "completions": [{"prompt": one.prompt, "text": one.text} for one in summary.completions],
            "resume": resume_command(run) if facts.status in ("interrupted", "stopped") else None,
            "commands": _commands(facts),
        }
    )


def facts_of(run: RunFolder, journals: Journals) -> Facts:
    """What is judged: `read_facts` without reading the journals again."""
    start, manifest, summary = read_start(run), read_manifest(run), read_summary(run)
    first, last = journals.first, journals.train.last
    return Facts(
        run=run,
        status="running" if is_running(run) else summary.status or ("interrupted" if first else "not begun"),
        summary=summary,
        machine=start.machine or Machine(),
        plan=start.plan or Plan(),
        tokenizer=start.tokenizer or TokenizerFacts(),
        data=start.data or manifest.report or DataReport(),
        manifest=manifest,
        train=[row for row in (first, last) if row is not None],  # type: ignore[misc]
        held_out=journals.looks,
        samples=journals.samples,
        events=journals.events,
        health=HealthRecord.of_rows(journals.health),
        tuning=read_tuning(run),
        answers=journals.answers,
        preferences=journals.preferences,
        unused=(*unsealed_files(run), *journals.wrong),
    )


def _rank(verdict: Verdict) -> tuple[int, bool]:
    """The worst first, and of notes those first that name what to change; where all is well, that is said first."""
    return -MARKS.index(verdict.mark), verdict.kind != "healthy" and not verdict.remedy


def _unit(facts: Facts) -> str:
    judged = facts.tuning is not None and facts.tuning.objective != "answers"
    return "of the preferences" if judged else "nats per token"


def _ends(facts: Facts) -> dict[str, Any]:
    """The figures that are expected at the end of a run that goes on."""
    tokens, found = facts.plan.tokens, {}
    if facts.status == "running" and tokens:
        for name, key in (("loss", "val_loss"), ("bits", "val_bits_per_byte")):
            told = foretell_end(_curve(facts, key), tokens)
            if told is not None:
                found[name] = {"tokens": tokens, "value": told.value, "low": told.low, "high": told.high}
    return found


def _curve(facts: Facts, key: str) -> list[tuple[int, float]]:
    points = ((row.tokens, getattr(row, key)) for row in facts.held_out)
    return [(tokens, value) for tokens, value in points if value is not None]


def _machine(machine: Machine, epochs: float | None) -> list[dict[str, Any]]:
    peak = machine.peak_flops
    rows = {
        "processor": machine.cpu,
        "device": machine.device_name or machine.device,
        "why": machine.reason,
        "threads": f"{machine.threads} of {machine.cores} cores" if machine.threads and machine.cores else None,
        "precision": machine.precision,
        "measured peak": f"{peak / 1e9:,.0f} GFLOP/s" if peak else None,
        "torch": machine.torch,
        "reads the text": f"{epochs:.2f} times" if epochs else None,
    }
    return [{"name": name, "value": value} for name, value in rows.items() if value]


def _checkpoints(facts: Facts) -> list[dict[str, Any]]:
    """The newest, each with its look where one was made at that very step."""
    run, looks = facts.run, {row.step: row for row in facts.held_out}
    try:
        steps = steps_of(run.checkpoints)
    except ChainruleError:
        return []
    found = []
    for step in steps[-MOST_CHECKPOINTS:]:
        folder, look = step_folder(run.checkpoints, step), looks.get(step)
        found.append(
            {
                "step": step,
                "bytes": folder_bytes(folder),
                "loss": look.val_loss if look else None,
                "bits": look.val_bits_per_byte if look else None,
                "best": facts.summary.best is not None and facts.summary.best.step == step,
                "write": f"chainrule generate {shlex.quote(str(folder))}",
            }
        )
    return found


def _commands(facts: Facts) -> list[dict[str, str]]:
    """What can be done with it now, as commands."""
    run = shlex.quote(str(facts.run.path))
    if not facts.run.checkpoints.is_dir():
        return []
    talk: Sequence[tuple[str, str]] = (
        ("Let it write", f"chainrule {'chat' if facts.tuning else 'generate'} {run}"),
        ("In the browser", f"chainrule serve {run}"),
        ("See its gradients", f"chainrule lens token {run} 'Once upon a time'"),
        ("Its report", f"chainrule report {run}"),
    )
    return [{"words": words, "command": command} for words, command in talk]
