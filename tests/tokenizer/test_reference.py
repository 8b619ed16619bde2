from hypothesis import given
from hypothesis import strategies as st

from chainrule.tokenizer.document import document_of
from chainrule.tokenizer.reference import Reference, learn, pieces

LOOSE = st.text() | st.lists(
    st.sampled_from([" ", "  ", "\n", "\t", "'s", "x", "é", "!", "\u3000", "\x1c", "猫", "1"])
).map("".join)
MERGES = learn(["it's a x's  x !! !\n\n\n  x1x é猫 é猫 \u3000\u3000x \x1c\x1c"], 400)
REFERENCE = Reference(document_of(MERGES))


@given(LOOSE)
def test_pieces_make_the_text(text: str) -> None:
    assert "".join(pieces(text, 3)) == text


@given(LOOSE)
def test_ids_of_the_pieces_are_the_ids_of_the_text(text: str) -> None:
    whole = REFERENCE._engine.encode(text, add_special_tokens=False).ids
    assert [number for piece in pieces(text, 1) for number in REFERENCE.encode_batch([piece])[0]] == whole
    assert REFERENCE.encode_batch([text])[0].tolist() == whole


def test_many_texts_come_back_in_their_order() -> None:
    texts = [f"x é{number} " * (number % 7) for number in range(600)]
    assert [ids.tolist() for ids in REFERENCE.encode_batch(texts)] == [
        REFERENCE._engine.encode(text, add_special_tokens=False).ids for text in texts
    ]
