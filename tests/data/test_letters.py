import email.message
import email.policy

import pytest

from chainrule.data.letters import letter_text, letter_texts


def message(subject="Hello", **parts):
    made = email.message.EmailMessage()
    made["From"], made["To"], made["Subject"] = "ann@example.org", "bob@example.org", subject
    made["X-Secret"] = "in the header"
    if "plain" in parts:
        made.set_content(parts["plain"], cte=parts.get("cte"))
    if "html" in parts:
        (made.add_alternative if "plain" in parts else made.set_content)(parts["html"], subtype="html")
    if "attached" in parts:
        made.add_attachment(parts["attached"], maintype="text", subtype="plain", filename="a.txt")
    return made.as_bytes(policy=email.policy.SMTP)


@pytest.mark.parametrize("cte", ["base64", "quoted-printable", "8bit"])
def test_subject_and_body_are_decoded_and_headers_dropped(cte):
    assert (
        letter_text(message("Grüße, 世界", plain="Café à la carte.\n", cte=cte)) == "Grüße, 世界\n\nCafé à la carte.\n"
    )


@pytest.mark.parametrize(
    ("subject", "read"),
    [
        ("Grüße".encode(), "Grüße"),
        ("Grüße, 世界 =?utf-8?q?=C3=A9?= a".encode(), "Grüße, 世界 é a"),
        ("Grüße aus Köln".encode("latin-1"), "Grüße aus Köln"),
        (b"a\xff\xfe \x81\n b", "a\ufffd\ufffd \ufffd b"),
        (b"=?utf-8?q?a?=\n =?utf-8?q?b?= c", "ab c"),
    ],
)
def test_a_subject_whose_letters_are_not_encoded_is_read_as_what_it_looks_like(subject, read):
    assert letter_text(b"Subject: " + subject + b"\n\nhi\n") == f"{read}\n\nhi\n"


def test_of_text_and_html_the_text_is_taken_and_html_alone_is_read():
    assert letter_text(message(plain="plain", html="<p>other</p>")) == "Hello\n\nplain\n"
    assert letter_text(message(html="<p>on<b>ly</b></p><script>x</script>")) == "Hello\n\nonly\n"


def test_attachments_are_left_out():
    assert letter_text(message(plain="see there", attached=b"secret figures")) == "Hello\n\nsee there\n"


@pytest.mark.parametrize(
    "content",
    [b"", b"no headers\n\nat all", b"Content-Type: image/png\n\n\x89PNG"],
)
def test_what_is_no_message_with_text_says_so(content):
    with pytest.raises(ValueError, match="no message with text"):
        list(letter_texts(content))


@pytest.mark.parametrize(
    "content",
    [
        b"Subject: =?nope?q?x?=\nContent-Type: text/plain; charset=nope\n\ncaf\xe9 au lait",
        b"Subject: a\nContent-Transfer-Encoding: base64\n\n!!!not base64",
        b"Subject: b\nContent-Type: multipart/mixed\n\nno boundary",
    ],
)
def test_broken_messages_break_nothing(content):
    assert letter_text(content).strip()


PARTS = b'Subject: a\nContent-Type: multipart/mixed; boundary="bound"\n\n'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (PARTS + b"--bound\n\na\n" * 20_000, "more than 10,000 parts"),
        (PARTS + b"--bound\r\n\r\na\r\n" * 20_000, "more than 10,000 parts"),
        (b"a: b\n" * 60_000 + b"\na\n", "more than 50,000 lines of headers"),
    ],
)
def test_a_message_of_parts_or_headers_without_end_is_refused(content, told):
    with pytest.raises(ValueError, match=told):
        letter_text(content)


def test_many_parts_rules_of_dashes_and_long_subjects_are_read():
    whole = letter_text(PARTS + b"--bound\n\nword\n" * 300 + b"--bound--\n")
    assert whole.count("word") == 300
    drawn = letter_text(b"Subject: a\n\n" + b"-- \n--bound\n" * 20_000 + b"the end\n")
    assert drawn.endswith("the end\n")
    long = letter_text(b"Subject: " + b"=?utf-8?q?a?= " * 10_000 + b"\n\nthe text\n")
    assert long.endswith("the text\n") and long.startswith("=?utf-8?q?a?=")
