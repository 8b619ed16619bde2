"""The language of a text, and what of a text names people."""

import pytest

from chainrule.config.curation import LANGUAGES
from chainrule.data.languages import FUNCTION_WORDS, SCRIPTS, language_of
from chainrule.data.private import masked

# The first article of the Universal Declaration of Human Rights, and a little more of it where that is short.
TEXTS = {
    "en": "All human beings are born free and equal in dignity and rights. They are endowed with reason and conscience "
    "and should act towards one another in a spirit of brotherhood.",
    "de": "Alle Menschen sind frei und gleich an Würde und Rechten geboren. Sie sind mit Vernunft und Gewissen begabt "
    "und sollen einander im Geist der Brüderlichkeit begegnen. Jeder hat das Recht auf Leben.",
    "fr": "Tous les êtres humains naissent libres et égaux en dignité et en droits. Ils sont doués de raison et de "
    "conscience et doivent agir les uns envers les autres dans un esprit de fraternité.",
    "es": "Todos los seres humanos nacen libres e iguales en dignidad y derechos y, dotados como están de razón y "
    "conciencia, deben comportarse fraternalmente los unos con los otros.",
    "it": "Tutti gli esseri umani nascono liberi ed eguali in dignità e diritti. Essi sono dotati di ragione e di "
    "coscienza e devono agire gli uni verso gli altri in spirito di fratellanza.",
    "pt": "Todos os seres humanos nascem livres e iguais em dignidade e em direitos. Dotados de razão e de "
    "consciência, devem agir uns para com os outros em espírito de fraternidade.",
    "nl": "Alle mensen worden vrij en gelijk in waardigheid en rechten geboren. Zij zijn begiftigd met verstand en "
    "geweten, en behoren zich jegens elkander in een geest van broederschap te gedragen.",
    "sv": "Alla människor är födda fria och lika i värde och rättigheter. De har utrustats med förnuft och samvete och "
    "bör handla gentemot varandra i en anda av gemenskap.",
    "pl": "Wszyscy ludzie rodzą się wolni i równi w swojej godności i w swoich prawach. Są oni obdarzeni rozumem i "
    "sumieniem i powinni postępować wobec innych w duchu braterstwa. Nikt nie może być w tym ograniczony.",
    "ru": "Все люди рождаются свободными и равными в своём достоинстве и правах. Они наделены разумом и совестью и "
    "должны поступать в отношении друг друга в духе братства.",
    "el": "Όλοι οι άνθρωποι γεννιούνται ελεύθεροι και ίσοι στην αξιοπρέπεια και τα δικαιώματα.",
    "zh": "人人生而自由,在尊严和权利上一律平等。他们赋有理性和良心,并应以兄弟关系的精神相对待。",
    "ja": "すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。",
    "ko": "모든 인간은 태어날 때부터 자유로우며 그 존엄과 권리에 있어 동등하다.",
    "ar": "يولد جميع الناس أحرارا متساوين في الكرامة والحقوق. وقد وهبوا عقلا وضميرا وعليهم أن يعامل "
    "بعضهم بعضا بروح الإخاء. لكل إنسان على الأرض حق التمتع بكل ما في هذا الإعلان من حقوق، أو غير ذلك من كل وضع كان.",
}  # fmt: skip


def test_the_settings_know_every_language():
    assert set(LANGUAGES) == {*FUNCTION_WORDS, *SCRIPTS}


@pytest.mark.parametrize("language", TEXTS)
def test_a_paragraph_tells_its_language(language):
    assert language_of(TEXTS[language].encode()) == language


@pytest.mark.parametrize(
    "text", ["", "x = 3\ny = x * 2\n" * 30, "1, 2, 3, 4\n" * 30, "Anna Berta Cäsar Dora Emil " * 10]
)
def test_what_is_no_prose_has_no_language(text):
    assert language_of(text.encode()) is None


def test_addresses_are_masked_and_what_only_looks_like_one_stays():
    rest = "and 192.168.0.1, version 1.2.3, 300.1.1.1, a@b, @c."
    text = f"Write to anna.b+x@mail.example.org or bert@uni.de; 8.8.8.8 {rest}"
    found, n = masked(text.encode())
    assert found.decode() == f"Write to email@example.com or email@example.com; 203.0.113.1 {rest}"
    assert n == 3
    assert masked(found) == (found, 0)


@pytest.mark.timeout(5)
def test_a_line_of_a_million_letters_takes_no_time():
    masked(b"a" * 1_000_000 + b"@" + b"b." * 500_000)
