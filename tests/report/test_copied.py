import dataclasses
import shutil

import pytest

from chainrule.report.copied import search_copies
from chainrule.run.facts import read_facts


def test_a_copied_function_is_found_with_its_document(finished):
    copied = search_copies(read_facts(finished))
    sample = next(sample for sample in copied.samples if "delta_3" in sample.longest)
    assert sample.copy.share == pytest.approx(1, abs=0.1)
    assert "module_3.py" in sample.source
    assert "".join(text for text, _ in sample.stretches).startswith("def delta_3(self, name=None):")


def test_what_was_not_copied_is_not_marked(finished):
    copied = search_copies(read_facts(finished))
    sample = next(sample for sample in copied.samples if sample.prompt == "import ")
    assert sample.copy.share == 0
    assert all(not marked for _, marked in sample.stretches)
    assert 0 < copied.share < 1


def test_the_same_text_is_searched_once(finished):
    facts = read_facts(finished)
    twice = dataclasses.replace(facts, samples=[*facts.samples, *facts.samples])
    assert len(search_copies(twice).samples) == len(search_copies(facts).samples)


def test_without_samples_or_shards_it_says_why_not(run_maker, tmp_path):
    run = run_maker(finished=False, samples=False, steps=3)
    assert search_copies(read_facts(run)).why_not == "The run has written no samples."
    run = run_maker(steps=60)
    shutil.rmtree(run.data)
    assert "could not be searched" in search_copies(read_facts(run)).why_not
