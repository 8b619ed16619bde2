import pytest

from chainrule.base import DataError
from chainrule.data.legacy import NAMES, encoding_of

CHINESE = (
    "今天天气很好，我们一起去公园散步。孩子们在草地上玩耍，老人坐在树下聊天。他说：“明年这个时候，我想回到老家去看看。”"
)
TEXTS = [
    (CHINESE, ["gb18030", "gbk"]),
    ("今天天氣很好，我們一起去公園散步。孩子們在草地上玩耍，老人坐在樹下聊天。", ["big5"]),
    ("吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。", ["shift_jis", "cp932", "euc-jp"]),
    ("안녕하세요. 오늘은 날씨가 매우 좋습니다. 우리는 함께 공원에 가서 산책을 했습니다.", ["euc-kr"]),
    ("Все счастливые семьи похожи друг на друга, каждая несчастливая по-своему.", ["cp1251", "koi8-r", "cp866"]),
    ("Σήμερα ο καιρός είναι πολύ καλός και πήγαμε όλοι μαζί στο πάρκο.", ["cp1253", "iso-8859-7"]),
    ("היום מזג האוויר יפה מאוד והלכנו כולנו יחד לפארק כדי לטייל.", ["cp1255", "iso-8859-8"]),
    ("اليوم الطقس جميل جدا وذهبنا جميعا إلى الحديقة لنتمشى.", ["cp1256", "iso-8859-6"]),
    ("วันนี้อากาศดีมาก เราไปเดินเล่นที่สวนสาธารณะด้วยกัน", ["tis-620"]),
    ("Longtemps, je me suis couché de bonne heure, à peine éteinte, où là-bas.", ["latin1", "cp1252"]),
    ("Als Gregor eines Morgens aus unruhigen Träumen erwachte: große Köpfe, Übel.", ["latin1", "cp850"]),
    ("ty jesteś jak zdrowie; ile cię trzeba cenić, ten się dowie, żółw, łódź.", ["cp1250", "iso-8859-2"]),
    ("Příliš žluťoučký kůň úpěl ďábelské ódy. Všichni lidé jsou svobodní.", ["cp1250", "iso-8859-2"]),
    ("Bütün insanlar hür doğarlar. Akıl ve vicdana sahiptirler, güneşli.", ["cp1254"]),
]


@pytest.mark.parametrize(
    ("text", "encoding"), [(text, encoding) for text, encodings in TEXTS for encoding in encodings]
)
def test_the_encoding_that_is_told_really_decodes_the_text(text, encoding):
    content = text.encode(encoding)
    told = encoding_of(content)
    assert told is not None and content.decode(NAMES.get(told, told)) == content.decode(encoding)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x81\xfe" * 40,
        # UTF-8 with a damaged place is no other encoding.
        CHINESE.encode() + b"\xff" + CHINESE.encode(),
        bytes(range(128, 256)),
    ],
)
def test_none_is_told_where_nothing_speaks_for_one(content):
    assert encoding_of(content) is None


@pytest.mark.parametrize(
    ("text", "encoding", "told"),
    [(CHINESE, "gb18030", "GB18030"), (TEXTS[2][0], "shift_jis", "CP932"), (TEXTS[4][0], "koi8-r", "KOI8-U")],
)
def test_a_file_in_another_encoding_is_refused_with_its_own_remedy(workshop, text, encoding, told):
    for name, content in (("a.txt", text), ("a.csv", f"id;text\n1;{text}\n")):
        workshop.write(name, content.encode(encoding))
        with pytest.raises(DataError, match=f"iconv -f {told} -t UTF-8") as caught:
            workshop.survey()
        assert "LATIN1" not in str(caught.value)
        (workshop.texts / name).unlink()


def test_where_it_cannot_be_told_that_is_said(workshop):
    workshop.write("a.txt", b"\x81\xfe" * 400)
    with pytest.raises(DataError, match="in which encoding it is cannot be told; mend it or convert it to UTF-8"):
        workshop.survey()
