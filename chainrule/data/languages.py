"""In which language a text is: by its script, or by the share of frequent function words (Grefenstette 1995).

Nothing is downloaded and nothing is learnt. A text of some twenty words or more is told; program code, tables and lists
of names are in no language that can be told.
"""

import re
from collections import Counter, defaultdict
from functools import cache

# The beginning of a text says it; with 16 KiB this took six times as long as all of Gopher's rules on quality.
LOOKED_AT, LETTERS = 1 << 11, 512
LEAST_WORDS = 12
# Of ordinary prose two fifths are function words; lists of names and code have hardly any.
LEAST_SHARE, LEAD, LEAST_DIFFERENT = 0.10, 1.15, 3
WORD = re.compile(r"[^\W\d_]+")
# First and last character of a script that one language has; more than this share of letters are enough.
SCRIPTS = {
    "ja": ((0x3040, 0x30FF), 0.1),
    "ko": ((0xAC00, 0xD7AF), 0.3),
    "zh": ((0x4E00, 0x9FFF), 0.3),
    "el": ((0x0370, 0x03FF), 0.5),
    "he": ((0x0590, 0x05FF), 0.5),
    "th": ((0x0E00, 0x0E7F), 0.5),
    "hi": ((0x0900, 0x097F), 0.5),
    "hy": ((0x0530, 0x058F), 0.5),
    "ka": ((0x10A0, 0x10FF), 0.5),
}
FUNCTION_WORDS = {
    "ar": "في من على إلى أن عن التي الذي هذا هذه مع لا ما كان كانت بعد قبل بين حتى أو ثم كما لم لن قد كل ذلك هو هي",
    "bg": "и на да се от за е не с по като са че до или към при след който която които това той тя но още си ще ние",
    "ca": "el la els les de i a que en un una per amb no es del al dels als és són va ser més com però aquest aquesta",
    "cs": "a v se na je že s z do o k i za by pro jako jsem ale který která které po jeho od ve si při také jen už byl",
    "da": "og i at det er en til af på for som med den de har ikke et der var han jeg men om fra ved vi også efter",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es an werden aus er",
    "en": "the of and to in a is that it was he for on with as his they be at by this had not are but from or have an",
    "es": "de la que el en y a los del se las por un para con no una su al es lo como más pero sus le ya o este sí",
    "et": "ja on ei et see ka oli ta kui mis oma või aga ning ma kes siis selle nii mida seda olid sest välja veel nad",
    "fa": "و در به از که این را با است آن برای یک تا بر هم نیز خود بود شد می ما او اما یا هر کرد های شود",
    "fi": "ja on ei se että hän oli joka mutta myös kun niin ovat sen tai kuin jos olla hänen mitä vain nyt sitä minä",
    "fr": "de la le et les des en un du une que est dans qui pour par au sur il pas plus ne se ce avec son sont ou aux",
    "hr": "i u je na se da su za od što a s kao ne koji koja koje ili ali iz bio do samo već kako bi te prema još sam",
    "hu": "a az és hogy nem is egy ez volt csak de meg már mint ha azt el vagy még kell van ki be után minden aki lesz",
    "id": "yang dan di dengan untuk dari pada ini itu dalam tidak adalah akan ke oleh juga atau sebagai ada bahwa",
    "it": "di e la il che in un a per è una del non le si della i con da al sono come più dei nel alla gli ma anche lo",
    "lt": "ir kad yra į su iš tai kaip ne buvo o bet už apie jo ar dėl jis tik taip jau kurie nuo po savo prie bus jie",
    "lv": "un ir ka ar no uz par bija tas kas bet arī kā nav viņš to pēc tā vai pie lai savu gan jau viņa kad būs",
    "nl": "de het een van en in is dat op te zijn met voor niet aan er die ook als maar om bij hij uit door naar dan",
    "no": "og i det er på til en som av for at med de har ikke et den var han jeg fra om men seg ble etter vi også",
    "pl": "w i na z się do nie że jest to o jak za od po przez ale dla co czy był oraz tym tego już tak jego może są",
    "pt": "de a o que e do da em um para com não uma os no se na por mais as dos como mas foi ao ele das tem à seu sua",
    "ro": "de și în la a cu pe că nu o din este un mai care să pentru se ce au fost sunt dar după prin sau lui fi al",
    "ru": "и в не на что с он я по это как а но то от из для за к его все она так у было только же был мы они",
    "sk": "a v sa na je že s z do o k aj za by pre ako som ale ktorý ktorá ktoré po jeho od vo si pri tiež len už bol",
    "sl": "in je v na da se za so ki s pa z bi kot po ne ali od tudi pri bil iz še kar bo do lahko sem biti če",
    "sv": "och i att det som en på är av för med den till inte om ett har de var han jag men från så vid vi också",
    "tr": "ve bir bu da de için ile o çok gibi olarak daha ne kadar sonra var olan ama en her ki değil ya mi onun ise",
    "uk": "і в не на що з я він до як це та по від за але у для його так вона щоб було є ми вони або ще й",
    "vi": "và của là có các được cho không những trong một với người này để đã khi từ như về cũng đến tại trên nhiều",
}


def language_of(content: bytes) -> str | None:
    """The ISO 639-1 code, or None where it cannot be told; the first 2 KiB are looked at."""
    text = content[:LOOKED_AT].decode(errors="ignore")
    return (None if text.isascii() else _by_script(text)) or _by_words(text)


def _by_script(text: str) -> str | None:
    letters = Counter(letter for letter in text[:LETTERS] if letter.isalpha())
    n_letters = letters.total()
    if not n_letters:
        return None
    for language, ((first, last), share) in SCRIPTS.items():
        if sum(count for letter, count in letters.items() if first <= ord(letter) <= last) > share * n_letters:
            return language
    return None


def _by_words(text: str) -> str | None:
    """The language with the most function words; one that several languages have counts for each in part."""
    words = WORD.findall(text.lower())
    if len(words) < LEAST_WORDS:
        return None
    weights, scores, different = _weights(), defaultdict[str, float](float), Counter[str]()
    for word, count in Counter(words).items():
        for language, weight in weights.get(word, ()):
            scores[language] += count * weight
            different[language] += 1
    # Equal scores by the code, so that the answer does not depend on the order of words.
    best, second = sorted([*((score, one) for one, score in scores.items()), (0.0, ""), (0.0, "")], reverse=True)[:2]
    told = best[0] >= LEAST_SHARE * len(words) and best[0] >= LEAD * second[0]
    return best[1] if told and different[best[1]] >= LEAST_DIFFERENT else None


@cache
def _weights() -> dict[str, list[tuple[str, float]]]:
    languages = dict[str, list[str]]()
    for language, words in FUNCTION_WORDS.items():
        for word in words.split():
            languages.setdefault(word, []).append(language)
    return {word: [(one, len(which) ** -0.5) for one in which] for word, which in languages.items()}
