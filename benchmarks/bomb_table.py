"""The bombs of benchmarks/bombs.py: a file's name and what is in it, and how it is made."""

import json

import bomb_files as of
from bomb_files import MIB, Bomb

NESTED = b"[" * 100_000
FORM_XML = "<w:p><w:r><w:t>a</w:t></w:r></w:p>"

TEXTS: dict[str, Bomb] = {
    "a.txt.gz words": lambda: of.packed(b"the ", 100 * MIB),
    "a.txt.gz words, pretrain": lambda: of.packed(b"the ", 100 * MIB, words=of.trained),
    "a.txt.gz lines": lambda: of.packed(b"a\n", 200 * MIB),
    "a.txt.xz words": lambda: of.xz(1 << 30),
    "a.txt.bz2 words": lambda: of.bz2_of(1 << 30),
    "a.txt.zst words": lambda: of.zst(b"the ", 200 * MIB),
    "a.jsonl.gz one line": lambda: of.packed(b"a", 1 << 30, head=b'{"text": "'),
    "a.jsonl.gz 60 MB of {}": lambda: of.packed(b"{},", 20 * MIB, head=b'{"text": ['),
    "a.jsonl.gz many empty rows": lambda: of.packed(b'{"text":""}\n', 5 * MIB),
    "a.jsonl.gz many bad rows": lambda: of.packed(b"{\n", 30 * MIB),
    "a.jsonl nested": lambda: of.text(b'{"text":"a"}\n' + NESTED + b"\n"),
    "a.jsonl one line of 1 GB": lambda: of.unpacked(b"a", 1 << 30, head=b'{"text": "'),
    "a.jsonl one line of 60 MB of {}": lambda: of.unpacked(b"{},", 60 * MIB, head=b'{"text": [', tail=b"{}]}\n"),
    "a.json one object of 60 MB of {}": lambda: of.unpacked(b"{},", 60 * MIB, head=b'{"text": [', tail=b"{}]}"),
    "a.json one object of 1 GB": lambda: of.unpacked(b"a", 1 << 30, head=b'{"text": "'),
    "a.json.gz 60 MB of {}": lambda: of.packed(b"{},", 20 * MIB, head=b'{"text": ['),
    "a.json nested": lambda: of.text(NESTED),
    "a.csv one field of 1 GB": lambda: of.unpacked(b"a", 1 << 30, head=b'text\n"'),
    "a.csv.gz lines in one field": lambda: of.packed(b"\n", 60 * MIB, head=b'text\n"'),
    "a.csv.gz columns": lambda: of.packed(b",", 60 * MIB, head=b"text\n"),
    "a.csv.gz quotes": lambda: of.packed(b'"\n', 30 * MIB, head=b"text\n"),
    "a.parquet 100 M nulls": lambda: of.parquet(100_000_000, None),
    "a.parquet 100 M words": lambda: of.parquet(100_000_000, "the"),
    "a.parquet 60 MB, 1,000 times": lambda: of.parquet(1000, "the " * (15 * MIB)),
    "a.parquet 100 M empty": lambda: of.parquet(100_000_000, ""),
    "a.parquet 60 MB in one": lambda: of.parquet(1, "the " * (15 * MIB)),
}
DOCUMENTS: dict[str, Bomb] = {
    "many.docx 100,000 entries": lambda: of.archive([(f"e{number}", b"", 0) for number in range(100_000)]),
    "b.docx 4 GB of zeros": lambda: of.word(b"\0", 4 << 30),
    "b.docx 60 MB of elements": lambda: of.word_of("<w:p/>", 10 * MIB),
    "b.docx 7 MB of elements": lambda: of.word_of("<w:p/>", MIB),
    "b.docx 60 MB of short paragraphs": lambda: of.word_of(FORM_XML, 1_800_000),
    "b.docx relations": lambda: of.word(b"<a/>", 1, ("_rels/.rels", b"<a>" + b"<b/>" * (15 * MIB) + b"</a>", 1)),
    "b.docx nested": lambda: of.word(b"<a>" * 99_000 + b"</a>" * 99_000, 1),
    "b.docx attributes": lambda: of.word(b"<a " + b" ".join(b'a%d=""' % n for n in range(1_000_000)) + b"/>", 1),
    "b.epub one chapter 60 MB": lambda: of.book(1, b"<p>a", 15 * MIB),
    "b.epub one chapter called 50,000 times": lambda: of.book(50_000, b"<p>a", 256),
    "b.epub one chapter called a million times": lambda: of.book(1_000_000, b"", 0),
    "b.odt blanks": lambda: of.archive(
        [
            ("mimetype", b"application/vnd.oasis.opendocument.text", 1),
            ("content.xml", b'<a><p xmlns:t="t">' + b'<t:s t:c="1000"/>' * 400_000 + b"</p></a>", 1),
        ]
    ),
    "a.html entities": lambda: of.text(b"<html><body>" + b"&amp;" * MIB),
    "a.html unclosed": lambda: of.text(b"<html><body>" + b"<p>" * MIB),
    "a.html deep": lambda: of.text(b"<html><body>" + b"<div>" * MIB),
    "a.html.gz 60 MB of <p>": lambda: of.packed(b"<p>", 20 * MIB, head=b"<html><body>"),
    "a.html.gz 60 MB of <br>": lambda: of.packed(b"<br>", 15 * MIB, head=b"<html><body>"),
    "a.html.gz 60 MB of a": lambda: of.packed(b"a ", 30 * MIB, head=b"<html><body>"),
    "a.html.gz attributes": lambda: of.packed(b"a ", 30 * MIB, head=b"<html><body "),
    "a.html.gz comments": lambda: of.packed(b"<!---->", 9 * MIB, head=b"<html><body>"),
    "a.html 60 MB of <p>": lambda: of.unpacked(b"<p>", 60 * MIB, head=b"<html><body>"),
    "a.rtf braces, 200 KB": lambda: of.text(b"{\\rtf1 " + b"{" * 100_000 + b"a" + b"}" * 100_000 + b"}"),
    "a.rtf braces, 2 MB": lambda: of.text(b"{\\rtf1 " + b"{" * MIB + b"a" + b"}" * MIB + b"}"),
    "a.rtf open braces, 2 MB": lambda: of.text(b"{\\rtf1 " + b"{" * (2 * MIB)),
    "a.rtf words, 4 MB": lambda: of.text(b"{\\rtf1 " + b"\\par " * (MIB * 4 // 5) + b"}"),
    "a.rtf letters, 4 MB": lambda: of.text(b"{\\rtf1 " + b"abc " * MIB + b"}"),
    "a.rtf.gz 60 MB of letters": lambda: of.packed(b"abc ", 15 * MIB, head=b"{\\rtf1 "),
    "a.rtf fonts": lambda: of.text(b"{\\rtf1 {\\fonttbl" + b"{\\f1 a;}" * 200_000 + b"}a}"),
    "a.ipynb.gz 60 MB of {}": lambda: of.packed(b"{},", 20 * MIB, head=b'{"cells":['),
    "a.ipynb 200 MB of {}": lambda: of.unpacked(b"{},", 200 * MIB, head=b'{"cells":[', tail=b"{}]}"),
    "a.eml parts in parts": lambda: of.text(
        b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(3000)) + b"\na"
    ),
    "a.eml parts beside parts": lambda: of.text(
        b'Content-Type: multipart/mixed; boundary="b"\n\n' + b"--b\n\na\n" * 300_000
    ),
    "a.eml subject": lambda: of.text(b"Subject: " + b"=?utf-8?q?a?= " * 300_000 + b"\n\na\n"),
    "a.eml headers": lambda: of.text(b"a: b\n" * 1_000_000 + b"\na\n"),
    "a.mbox messages": lambda: of.text(b"From a\nSubject: a\n\na\n\n" * 100_000),
    "a.srt.gz": lambda: of.packed(b"00:00:01,000 --> 00:00:02,000\na\n\n", 2 * MIB),
}
PDFS: dict[str, Bomb] = {
    "a.pdf zeros": lambda: of.text(of.one_page(of.stream(b"\0" * (1 << 30)))),
    "a.pdf zeros, deflated twice": lambda: of.text(of.one_page(of.stream(b"\0" * (1 << 30), flate=2))),
    "a.pdf operators": lambda: of.text(of.one_page(of.stream(b"q Q " * (15 * MIB)))),
    "a.pdf operators, 4 MB": lambda: of.text(of.one_page(of.stream(b"q Q " * MIB))),
    "a.pdf texts": lambda: of.text(of.one_page(of.stream(b"BT /F 9 Tf " + b"(a) Tj " * (9 * MIB) + b"ET"))),
    "a.pdf one text": lambda: of.text(of.one_page(of.stream(b"BT /F 9 Tf (" + b"a" * (60 * MIB) + b") Tj ET"))),
    "a.pdf a million pages": lambda: of.text(of.many_pages(1_000_000)),
    "a.pdf a tree of 10^10 pages": lambda: of.text(of.page_tree(10, 10)),
    "a.pdf a tree in a circle": lambda: of.text(of.looping_pages()),
    "a.pdf a tree 50,000 deep": lambda: of.text(of.deep_pages(50_000)),
    "a.pdf forms in forms, 10^8": lambda: of.text(of.nested_forms(8, 10)),
    "a.pdf a map to Unicode of 2^32": lambda: of.text(of.mapped_font()),
    "a.pdf arrays 100,000 deep": lambda: of.text(of.object_streams(100_000)),
    "a.pdf a picture of terabytes": lambda: of.text(of.inline_picture()),
    "a.pdf contents called 10,000 times": lambda: of.text(
        of.one_page(b"[" + b"6 0 R " * 10_000 + b"]", {6: of.stream(b"BT /F 9 Tf (abc) Tj ET\n" * 2000)})
    ),
    "a.pdf an endless tail": lambda: of.text(b"%PDF-1.7\n" + b"1 0 obj\n" * 300_000),
    "a.pdf an endless string": lambda: of.text(of.one_page(of.stream(b"BT (" + b"(" * (4 * MIB)))),
}
MODELS: dict[str, Bomb] = {
    "m layers 10**12": lambda: of.config(n_layer=10**12),
    "m layers 10**9": lambda: of.config(n_layer=10**9),
    "m config of 60 MB": lambda: of.model(config__json=of.listed(b"{}", 60 * MIB)),
    "m config nested": lambda: of.model(config__json=NESTED),
    "m generation_config of 60 MB": lambda: of.model(generation_config__json=of.listed(b"{}", 60 * MIB)),
    "m tokenizer_config of 60 MB": lambda: of.model(tokenizer_config__json=of.listed(b"{}", 60 * MIB)),
    "m tokenizer of 31 MB of {}": lambda: of.model(tokenizer__json=of.listed(b"{}", 31 * MIB)),
    "m tokenizer of 31 MB of words": lambda: of.model(tokenizer__json=of.words_of(1_000_000)),
    "m tokenizer of 31 MB of one word": lambda: of.model(
        tokenizer__json=json.dumps(
            {"version": "1.0", "model": {"type": "BPE", "vocab": {"a" * (30 * MIB): 0}, "merges": []}}
        ).encode()
    ),
    "m tokenizer id 10**12": lambda: of.model(
        tokenizer__json=json.dumps(
            {"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 10**12}, "merges": []}}
        ).encode()
    ),
    "m template of 60 MB": lambda: of.model(chat_template__jinja=b"a" * (60 * MIB)),
    "m listing of 60 MB": lambda: of.model(SHA256SUMS=b"a" * 64 + b"  b\n" * (15 * MIB)),
    "m.gguf lists of empty texts": lambda: of.gguf_lists(40, 131_072),
    "m.gguf a million lists": lambda: of.gguf_lists(100_000, 0),
    "s.toml a million keys": lambda: of.toml(
        "".join(f"a{n}=1\n" for n in range(100_000))[: MIB - 10].rpartition("\n")[0]
    ),
    "s.toml tables": lambda: of.toml("[[a]]\n" * 170_000),
    "s.toml inline": lambda: of.toml("a = [" + "{}," * 340_000 + "]"),
    "s.toml dotted": lambda: of.toml("".join(f"a{n}{'.a' * 60}=1\n" for n in range(8_000))),
}
BOMBS = TEXTS | DOCUMENTS | PDFS | MODELS
