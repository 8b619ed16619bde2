"""Boxes and rows: whatever is recorded stands in one place, and every wire leads down."""

import torch
from torch import nn

from chainrule.lens import picture, record
from chainrule.lens.draw.layout import lay_out
from chainrule.lens.draw.tree import grow


class Shared(nn.Module):
    """One module that is called twice."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x):
        return self.inner(self.inner(x)).pow(2).mean()


class Branches(nn.Module):
    """Three ways through, one of them past everything."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return (self.left(x) * self.right(x).relu() + x).sum()


def rows_of(tape):
    tree = grow(tape)
    return tree, lay_out(tape, tree)


def places(rows):
    """The row of each child of one box."""
    return {item: i for i, row in enumerate(rows) for side in row for item in side if item[0] != "lane"}


def test_everything_stands_in_exactly_one_box(gpt):
    tree, rows = rows_of(gpt)
    items = [item for box in rows for row in box for side in row for item in side if item[0] != "lane"]
    assert len(items) == len(set(items))
    assert {number for kind, number in items if kind == "op"} == {node.id for node in gpt.nodes}
    assert {number for kind, number in items if kind == "box"} == {box.id for box in tree.boxes[1:]}
    read = {value.id for value in gpt.values if value.producer is None and value.id in gpt.consumers()}
    assert {number for kind, number in items if kind == "leaf"} == read


def test_every_wire_leads_down_and_has_a_lane_in_every_row_that_it_passes(gpt):
    for tape in (gpt, record(Branches(), torch.randn(2, 4))):
        tree, rows = rows_of(tape)
        for value, readers in tape.consumers().items():
            maker = tape.values[value].producer
            home = tree.of_leaf[value] if maker is None else tree.of_op[maker]
            for reader in readers:
                shared = tree.around([home, tree.of_op[reader]])
                where = places(rows[shared])
                source = ("leaf", value) if maker is None else ("op", maker)
                line = tree.line(home)
                if line[-1] != shared:
                    source = ("box", line[line.index(shared) + 1])
                down = tree.line(tree.of_op[reader])
                end = ("op", reader) if down[-1] == shared else ("box", down[down.index(shared) + 1])
                assert where[source] < where[end]
                passed = rows[shared][where[source] + 1 : where[end]]
                assert all(("lane", value) in [item for side in row for item in side] for row in passed)


def test_modules_are_nested_as_their_names_are(gpt):
    tree = grow(gpt)
    for box in tree.boxes[1:]:
        outer = tree.boxes[box.parent]
        assert box.path == (f"{outer.path}.{box.label}" if outer.path else box.label)
    for node in gpt.nodes:
        assert tree.boxes[tree.of_op[node.id]].path == node.module


def test_a_module_that_is_called_twice_is_two_boxes():
    shown = picture(record(Shared(), torch.randn(2, 3)))
    assert [box.label for box in shown.boxes if box.path == "inner"] == ["inner", "inner, call 2"]
    weight = next(value for value in shown.values if value.name == "inner.weight")
    assert (weight.box, len(weight.read_by), len(weight.met)) == (0, 2, 2)


def test_a_tied_weight_stands_outside_of_both_that_read_it(of_gpt):
    weight = next(value for value in of_gpt.values if value.name == "token_embedding.weight")
    assert weight.box == 0
    assert len(weight.met) == 2


def test_what_carries_the_data_is_in_the_middle(of_network, of_gpt):
    for shown in (of_network, of_gpt):
        for box in shown.boxes:
            for _, middle, _ in box.rows:
                weights = [n for kind, n in middle if kind == "leaf" and shown.values[n].role == "parameter"]
                assert not weights or all(kind == "leaf" for kind, _ in middle)


def test_the_layout_is_the_same_every_time(gpt):
    assert lay_out(gpt, grow(gpt)) == lay_out(gpt, grow(gpt))


def test_a_thousand_operations_in_a_row_are_laid_out():
    def long(x):
        for _ in range(800):
            x = x * 1.001 + 0.1
        return x

    shown = picture(record(long, torch.tensor(1.0, requires_grad=True)))
    assert len(shown.ops) == 1600
    assert len(shown.boxes[0].rows) >= 1600
