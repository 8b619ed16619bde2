"""The command that makes a run again, and what can be done with it now."""

import shlex

from chainrule.report.sections import section
from chainrule.run import Facts
from chainrule.show import Html, join, tag
from chainrule.verdict import how_to_go_on, lineage_words


def commands(facts: Facts) -> list[tuple[str, str]]:
    """What can be done with the run now, in words and as a command: going on where it stopped, using it, more of it."""
    run = shlex.quote(str(facts.run.path))
    again = how_to_go_on(facts)
    found = [("Go on where it stopped", again)] if again else []
    if facts.status == "running" and not facts.last.step:
        return found
    if facts.last.step or facts.summary.step:
        more = f"chainrule finetune {run} rows.jsonl" if facts.tuning else f"chainrule pretrain --from {run} my_texts/"
        longer = ("Learn longer, in a run of its own", f"chainrule pretrain --fork {run} --minutes 10")
        found += [
            ("Talk to it", f"chainrule chat {run}") if facts.tuning else ("Let it write", f"chainrule generate {run}"),
            *([longer] if facts.status == "finished" and facts.tuning is None else []),
            ("Load it in transformers", f"chainrule export hf {run} out/"),
            ("Teach it your examples" if facts.tuning else "Teach it your text", more),
        ]
        if facts.tuning is None and not facts.anchors:
            found.append(("Hold GPT-2 against it", f"chainrule evaluate gpt2 --on {run}"))
    return found


def going_on(facts: Facts) -> Html:
    """The command that makes this run again, and all that can be done with it now."""
    own = f"chainrule pretrain --config {shlex.quote(str(facts.run.config))}"
    told = facts.summary.command or own
    # The folder may have been moved or renamed since.
    again = own if told.startswith("chainrule pretrain --config ") else told
    forked = lineage_words(facts.lineage)
    used = ", ".join(f"{name} {version}" for name, version in facts.summary.versions.items())
    return section(
        "next",
        "Again, and onwards",
        command("This run, again", again),
        tag("p", forked[:1].upper(), forked[1:], ".", class_="note") if forked else None,
        join(command(*step) for step in commands(facts)),
        tag("p", "Made with ", used, ".", class_="note") if used else None,
    )


def command(words: str, line: str) -> Html:
    """A command with its words before it and a button that copies it."""
    copy = tag("button", "Copy", type="button", class_="copy")
    return tag("div", tag("span", words), tag("pre", line, tabindex="0"), copy, class_="command")
