import pytest

from chainrule.data.subtitles import subtitle_texts

SRT = """1
00:00:01,000 --> 00:00:02,500
<i>Where are</i>
{\\an8}you going?

2
00:00:03,000 --> 00:00:04,000
<font color="#fff">1984</font>

3
00:00:05,000 --> 00:00:06,000
1984
was a year.
"""
VTT = """WEBVTT - a talk

NOTE this is not said

STYLE
::cue {color: red}

intro
00:01.000 --> 00:02.000 align:start
<v Bob>Hi &amp; welcome.

00:02.000 --> 00:03.000
Hi &amp; welcome.
<00:02.500><c>All</c> of you.
"""


def test_what_is_said_is_joined_without_numbers_and_times():
    assert list(subtitle_texts(SRT.encode())) == ["Where are\nyou going?\n1984\nwas a year.\n"]
    assert list(subtitle_texts(VTT.encode())) == ["Hi & welcome.\nAll of you.\n"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp1251", "cp1252"])
def test_subtitles_in_the_encodings_that_they_come_in(encoding):
    said = "Он сказал мне это вчера вечером." if encoding == "cp1251" else "Déjà vu, sagte er: so früh."
    said = said.replace("sagte er: so früh", "mon ami") if encoding == "cp1252" else said
    content = f"1\r\n00:00:01,000 --> 00:00:02,000\r\n{said}\r\n".encode(encoding)
    assert list(subtitle_texts(content)) == [f"{said}\n"]


@pytest.mark.parametrize("content", [b"", b"a text", b"1\n00:00:01,000 --> 00:00:02,000\n\n"])
def test_what_has_no_subtitles_says_so(content):
    with pytest.raises(ValueError, match=r"no subtitles|no text"):
        list(subtitle_texts(content))
