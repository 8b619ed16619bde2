"""The vocabulary that a GGUF file carries in its metadata, both ways: byte-level BPE, its words cut as llama.cpp does.

A GGUF says by a name how text is cut into words before it is merged ("tokenizer.ggml.pre"); the expressions behind the
names are those of llama.cpp (src/llama-vocab.cpp). What a tokenizer.json says besides, a GGUF cannot: Qwen's NFC, for
one, so ids are llama.cpp's and differ from transformers' on text that is not normalised.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from chainrule.base import TokenizerError
from chainrule.tokenizer.check import checked
from chainrule.tokenizer.document import JOIN, PLAIN_BPE, SPLIT, Document, recognised
from chainrule.tokenizer.reference import check_added_tokens
from chainrule.tokenizer.template import ChatTemplate, chat_template
from chainrule.tokenizer.tokenizer import Tokenizer

TOKENS, TYPES, MERGES = (f"tokenizer.ggml.{name}" for name in ("tokens", "token_type", "merges"))
MODEL, PRE, TEMPLATE = "tokenizer.ggml.model", "tokenizer.ggml.pre", "tokenizer.chat_template"
# What transformers calls the words that have a meaning, and what a GGUF does; the last ends a turn.
TURN = "turn"
ENDS = {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding", TURN: "eot"}
# llama.h: enum llama_token_type
NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = range(1, 7)

PUT_TOGETHER = SPLIT | {"use_regex": False}
CONTRACTIONS = "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|" + REST
QWEN2 = CONTRACTIONS + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|" + REST


def _cut(*expressions: str) -> list[dict[str, Any]]:
    """Steps that cut a text at what the expressions match, one after the other."""
    return [
        {"type": "Split", "pattern": {"Regex": one}, "behavior": "Isolated", "invert": False} for one in expressions
    ]


# The steps that each name stands for; the last puts the bytes into the alphabet (and cuts as GPT-2 does, if asked to).
WAYS: dict[str, list[dict[str, Any]]] = {
    "gpt-2": [SPLIT],
    "smollm": [*_cut(r"\p{N}"), SPLIT],
    "llama-bpe": [*_cut(LLAMA3), PUT_TOGETHER],
    "qwen2": [*_cut(QWEN2), PUT_TOGETHER],
}
SAME_WAY = {"llama3": "llama-bpe", "llama-v3": "llama-bpe", "deepseek-r1-qwen": "qwen2"}
# llama.cpp takes a word that is an entry as it is, merges or not, for these names alone.
WHOLE_WORDS = ("llama-bpe",)
# Other spellings of the same ways, as published tokenizer.json files have them.
SPELT: dict[str, list[dict[str, Any]]] = {
    "smollm": [{"type": "Digits", "individual_digits": True}, SPLIT],
    "llama-bpe": [*_cut(LLAMA3.replace(CONTRACTIONS, "(?i:'s|'t|'re|'ve|'m|'ll|'d)")), PUT_TOGETHER],
    "qwen2": [*_cut(QWEN2.replace(CONTRACTIONS, "(?i:'s|'t|'re|'ve|'m|'ll|'d)")), PUT_TOGETHER],
}


def tokenizer_from_gguf(metadata: Mapping[str, Any]) -> Tokenizer:
    """The tokenizer of a GGUF's metadata; raises TokenizerError for what is absent, damaged or cut in another way."""
    model = metadata.get(MODEL)
    if model != "gpt2":
        raise TokenizerError(
            f"{MODEL} is {model!r}; only 'gpt2' is read here, byte-level BPE (the first Llamas and Mistral have "
            "SentencePiece's 'llama')"
        )
    name = metadata.get(PRE)
    way = SAME_WAY.get(name, name) if isinstance(name, str) else None
    if way not in WAYS:
        raise TokenizerError(f"{PRE} is {name!r}, which is not known here; known: {', '.join([*WAYS, *SAME_WAY])}")
    tokens, types = _strings(metadata, TOKENS), metadata.get(TYPES)
    if types is None:
        types = [NORMAL] * len(tokens)
    if not isinstance(types, Sequence) or len(types) != len(tokens):
        raise TokenizerError(f"{TYPES} does not say of each of {len(tokens):,} tokens what it is")
    steps = WAYS[way]
    document = checked(
        {
            "version": "1.0",
            "added_tokens": list(_added(tokens, types)),
            "pre_tokenizer": steps[0] if len(steps) == 1 else {"type": "Sequence", "pretokenizers": steps},
            "decoder": JOIN,
            "model": PLAIN_BPE
            | {
                "ignore_merges": way in WHOLE_WORDS,
                "vocab": _vocabulary(tokens, types),
                "merges": _strings(metadata, MERGES),
            },
        }
    )
    kind, document = recognised(document)
    if kind == "file":
        check_added_tokens(document)
    return Tokenizer(document, kind=kind)


def template_from_gguf(metadata: Mapping[str, Any], tokenizer: Tokenizer) -> ChatTemplate | None:
    """The chat template of a GGUF's metadata; None for a base model. Raises ConfigError for one that cannot be used."""
    source = metadata.get(TEMPLATE)
    if not isinstance(source, str):
        return None
    tokens = metadata[TOKENS]
    numbers = {word: metadata.get(f"tokenizer.ggml.{name}_token_id") for word, name in ENDS.items()}
    known = {word: number for word, number in numbers.items() if type(number) is int and number < tokenizer.vocab_size}
    variables = {word: tokens[number] for word, number in known.items() if word != TURN}
    return chat_template(source, tokenizer, variables, [known[word] for word in ("eos_token", TURN) if word in known])


def gguf_vocabulary(tokenizer: Tokenizer, n_rows: int, template: ChatTemplate | None = None) -> dict[str, Any]:
    """The metadata of a tokenizer for a model of `n_rows` embeddings, of which those beyond the vocabulary are unused.

    With the chat template, the words that it asks for, and the token that ends an assistant's turn. Raises
    TokenizerError when its words are cut in a way that has no name in a GGUF, or it normalises text to NFC.
    """
    document = tokenizer._document
    added = {token["id"]: token for token in document["added_tokens"]}
    entries = {number: entry for entry, number in document["model"]["vocab"].items()}
    entries |= {number: token["content"] for number, token in added.items()}
    kinds = {number: CONTROL if token["special"] else USER_DEFINED for number, token in added.items()}
    merges = [" ".join(pair) for pair in document["model"]["merges"]]
    return {
        MODEL: "gpt2",
        PRE: _name_of_way(document),
        TOKENS: [entries.get(number, f"[PAD{number}]") for number in range(n_rows)],
        TYPES: [kinds.get(number, NORMAL if number in entries else UNUSED) for number in range(n_rows)],
        MERGES: merges,
        **_ends(tokenizer, template),
        **{f"tokenizer.ggml.{name}": False for name in ("add_bos_token", "add_eos_token", "add_space_prefix")},
    }


def _ends(tokenizer: Tokenizer, template: ChatTemplate | None) -> dict[str, Any]:
    """The ids of the words that a template may ask for, and of that at which a turn is over."""
    end = tokenizer.end_of_text
    words = {"bos_token": end, "eos_token": end, "pad_token": end}
    if template:
        words = {word: template.words[text] for word, text in template.variables.items() if text in template.words}
        # llama.cpp stops at both; the other is what the template asks for by the name eos_token.
        eos = words.setdefault("eos_token", end)
        words[TURN] = next(iter(sorted(template.stop - {end, eos})), eos)
    told = {f"tokenizer.ggml.{ENDS[word]}_token_id": number for word, number in words.items() if word in ENDS}
    return told | ({TEMPLATE: template.source} if template else {})


def _strings(metadata: Mapping[str, Any], name: str) -> list[str]:
    found = metadata.get(name)
    if not isinstance(found, list) or not all(isinstance(one, str) for one in found):
        raise TokenizerError(f"{name} is missing, or is no list of texts; a GGUF without a vocabulary is not read")
    return found


def _vocabulary(tokens: Sequence[str], types: Sequence[int]) -> dict[str, int]:
    """Entries and their ids, without those that merely fill a padded embedding."""
    end = len(tokens)
    while end and types[end - 1] == UNUSED:
        end -= 1
    vocabulary = {token: number for number, token in enumerate(tokens[:end])}
    if len(vocabulary) < end:
        twice = next(token for number, token in enumerate(tokens[:end]) if vocabulary[token] != number)
        raise TokenizerError(f"{TOKENS} holds {twice!r} twice")
    return vocabulary


def _added(tokens: Sequence[str], types: Sequence[int]) -> Iterator[dict[str, Any]]:
    """Tokens that no merge makes: control tokens, and words of the model's makers."""
    known = _vocabulary(tokens, types)
    for token, number in known.items():
        if types[number] in (UNKNOWN, CONTROL, USER_DEFINED, UNUSED):
            fixed = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
            yield {"id": number, "content": token, **fixed, "special": types[number] != USER_DEFINED}
        elif types[number] != NORMAL:
            raise TokenizerError(f"{token!r} is of type {types[number]} in {TYPES}, which byte-level BPE has not")


def _name_of_way(document: Document) -> str:
    """What llama.cpp calls the way in which the words of a document are cut."""
    pre, normalizer = document["pre_tokenizer"], document["normalizer"]
    steps = list(pre["pretokenizers"] if pre.get("type") == "Sequence" else [pre])
    if normalizer is not None and "NFC" in str(normalizer):
        raise TokenizerError("this vocabulary normalises text to NFC, which a GGUF cannot say")
    for known in (WAYS, SPELT):
        for name, way in known.items():
            whole = bool(document["model"].get("ignore_merges")) == (name in WHOLE_WORDS)
            if whole and list(map(_essence, steps)) == list(map(_essence, way)):
                return name
    raise TokenizerError(
        f"the words of this vocabulary are cut in a way that has no name here in a GGUF; those with one: "
        f"{', '.join(WAYS)}. Export it to hf instead"
    )


def _essence(step: Mapping[str, Any]) -> dict[str, Any]:
    """A step without what does not change ids."""
    defaults = {"use_regex": True} if step.get("type") == "ByteLevel" else {}
    return {key: value for key, value in {**defaults, **step}.items() if key != "trim_offsets"}
