import unicodedata

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from chainrule.show.terminal import one_line, percent, printable, rate

unsafe = st.text(st.characters(categories=["Cc", "Cf", "Cs", "Co", "Lu", "Zs"]), max_size=30)


@given(unsafe)
def test_printable_text_has_no_character_that_acts(text):
    assert not any(unicodedata.category(c)[0] == "C" for c in printable(text).replace("\n", ""))


@given(unsafe, st.integers(2, 20))
def test_one_line_is_one_line_of_the_width(text, width):
    line = one_line(text, width)
    assert "\n" not in line
    assert len(line) <= width


def test_letters_of_every_script_stay():
    assert printable("größer Ω 漢字 🙂") == "größer Ω 漢字 🙂"
    assert cell_len(printable("\t")) == 4


def test_figures_are_short():
    assert [rate(v) for v in (None, 0.0, 0.004, 1.24e-5)] == ["–", "0", "4.0e-3", "1.2e-5"]
    assert [percent(v) for v in (None, 0.0, 0.012, 0.61, 1.0)] == ["–", "0 %", "1.2 %", "61 %", "100 %"]
