"""Addresses of people and machines, masked by ones that nobody has.

E-mail addresses, and public addresses of IPv4; those of private networks name nobody. Names, telephone numbers and
postal addresses are not looked for: what finds them is wrong too often. A version of four numbers (1.2.3.4) is taken
for an address.
"""

import ipaddress
import re

# Bounded, and only where no letter of an address stands before, so that a line of a million letters takes no longer.
EMAIL = re.compile(rb"(?<![\w.%+-])[\w.%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b")
NUMBER = rb"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
IP = re.compile(rb"(?<![\w.])" + NUMBER + rb"(?:\." + NUMBER + rb"){3}(?![\w]|\.\d)")
# Kept for examples: RFC 2606 and RFC 5737.
NOBODY, NOWHERE = b"email@example.com", b"203.0.113.1"


def masked(content: bytes) -> tuple[bytes, int]:
    """The text with such addresses replaced, and how many there were."""
    n_masked = 0

    def nobody(match: re.Match[bytes]) -> bytes:
        nonlocal n_masked
        n_masked += match[0] != NOBODY
        return NOBODY

    def nowhere(match: re.Match[bytes]) -> bytes:
        nonlocal n_masked
        if not ipaddress.IPv4Address(match[0].decode()).is_global:
            return match[0]
        n_masked += 1
        return NOWHERE

    if b"@" in content:
        content = EMAIL.sub(nobody, content)
    return IP.sub(nowhere, content), n_masked
