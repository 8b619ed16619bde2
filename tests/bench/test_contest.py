import pytest

from chainrule.bench.contest import Contest, ContestResult, Reading, Side, SideResult, hold


def readings(figures):
    return tuple(Reading(figure, 1.0, 1.0) for figure in figures)


def test_sides_take_turns_and_each_reading_is_told():
    order, told = [], []

    def side(name):
        return Side(name, "", lambda: order.append(name) or Reading(len(order), 1.0, 0.5, losses=(2.0,)))

    contest = Contest(
        "a race", "steps/s", [side("A"), side("B")], judge=lambda all_: (str(sorted(all_)),), notes=("one",)
    )
    found = hold(contest, 3, told.append)
    assert order == ["A", "B"] * 3 and len(told) == 6 and "round 3 of 3, B" in told[-1]
    assert [side.figures for side in found.sides] == [[1, 3, 5], [2, 4, 6]]
    assert found.notes == ("one", "['A', 'B']")


@pytest.mark.parametrize(("larger", "ratios"), [(True, [2.0, 1.0, 0.5]), (False, [0.5, 1.0, 2.0])])
def test_a_ratio_is_of_one_round_and_above_one_is_better(larger, ratios):
    yard, other = SideResult("yard", "", readings([10, 20, 40])), SideResult("other", "", readings([20, 20, 20]))
    assert ContestResult("", "", larger, (yard, other), ()).ratios(other) == ratios


def test_the_figure_of_a_side_is_the_median_of_its_rounds():
    side = SideResult("", "", (*readings([3, 900, 1]),))
    assert side.middle == 3 and side.middle_by_cpu is None
    assert SideResult("", "", (Reading(1, 1, 1, 5.0), Reading(1, 1, 1, 7.0))).middle_by_cpu == 6.0
