"""The report holds what was expected on the way against what came."""

import re
from dataclasses import replace

from chainrule.report import write_report
from chainrule.report.foretold import on_the_way
from chainrule.run import read_facts


def test_what_was_expected_stands_beside_the_last_look(finished):
    facts = read_facts(finished)
    said = on_the_way(facts)
    found = re.search(r"at 50% of the way ([\d.]+) .* and it came ([\d.]+) (lower|higher)", said or "")
    assert said and found, said
    came = float(found[1]) + (-1 if found[3] == "lower" else 1) * float(found[2])
    assert abs(came - facts.looks[-1].val_loss) < 2e-3
    # Its looks are far apart: a fifth of the way on there were too few.
    assert "at 50% of the way" in said and said.count("inside") + said.count("outside") == said.count("of the way")
    assert said in write_report(finished).read_text("utf-8").replace("&#x27;", "'")


def test_the_judgement_follows_the_last_look(finished):
    facts = read_facts(finished)
    rows = [row for row in facts.held_out if not row.final]
    lower = [*rows[:-1], replace(rows[-1], val_loss=0.1)]
    said = on_the_way(replace(facts, held_out=lower))
    assert said and "inside" not in said and "outside" in said


def test_nothing_is_said_of_a_run_that_goes_on_or_ended_early(run_maker, finished):
    assert on_the_way(read_facts(run_maker(finished=False))) is None
    facts = read_facts(finished)
    assert on_the_way(replace(facts, held_out=[row for row in facts.held_out if row.step < 200])) is None
