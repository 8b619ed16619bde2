"""GPT-2's way of writing bytes as characters, so that a vocabulary of byte strings fits into JSON."""

from chainrule.base import TokenizerError

END_OF_TEXT = "<|endoftext|>"
"""The control token between documents; its text inside a document is ordinary text."""


def _printable_bytes() -> list[int]:
    return [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]


def _alphabet() -> dict[int, str]:
    """Byte to character, in the order of GPT-2's ids: 188 printable bytes as themselves, then the rest as U+0100 …."""
    printable = _printable_bytes()
    rest = [byte for byte in range(256) if byte not in set(printable)]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + place) for place, byte in enumerate(rest)}


CHARACTER_OF_BYTE: dict[int, str] = _alphabet()
BYTE_OF_CHARACTER: dict[str, int] = {character: byte for byte, character in CHARACTER_OF_BYTE.items()}
SINGLE_BYTES: tuple[bytes, ...] = tuple(bytes([byte]) for byte in CHARACTER_OF_BYTE)
"""The 256 byte strings of length one, in the order of GPT-2's ids."""
FROM_LATIN = {byte: ord(character) for byte, character in CHARACTER_OF_BYTE.items()}
TO_LATIN = {ord(character): byte for byte, character in CHARACTER_OF_BYTE.items()}


def written(content: bytes) -> str:
    """How a vocabulary entry for `content` is written: b" the" is `Ġthe`."""
    return content.decode("latin-1").translate(FROM_LATIN)


def unwritten(entry: str) -> bytes:
    """The byte string that an entry stands for; the entry holds characters of the alphabet only."""
    return entry.translate(TO_LATIN).encode("latin-1")


def utf8(text: str) -> bytes:
    """The text's UTF-8 bytes; raises TokenizerError for a lone surrogate, which no UTF-8 file can hold."""
    try:
        return text.encode()
    except UnicodeEncodeError as fault:
        raise TokenizerError(
            f"character {fault.start} of the text is the lone surrogate {text[fault.start]!r}, half a character; "
            "read the text as UTF-8, or replace it with text.encode(errors='replace')"
        ) from None
