"""Documents as their programs write them, made here byte by byte: what the tests of the readers share."""

import io
import zipfile
from collections.abc import Mapping

import pypdf
from pypdf.generic import DictionaryObject, NameObject, StreamObject

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
FONT = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}


def packed(files: Mapping[str, str | bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)  # of 1980, the same each time
    return made.getvalue()


def word(body: str, **more: str) -> bytes:
    document = f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
    return packed({"[Content_Types].xml": "<Types/>", "word/document.xml": document, **more})


def paragraph(text: str) -> str:
    return f"<w:p><w:r><w:t>{text}</w:t></w:r></w:p>"


def open_document(body: str) -> bytes:
    kind = "application/vnd.oasis.opendocument.text"
    return packed({"mimetype": kind, "content.xml": f'<o:doc xmlns:o="o" xmlns:text="t">{body}</o:doc>'})


def book(chapters: Mapping[str, str], **more: str) -> bytes:
    kind = 'media-type="application/xhtml+xml"'
    items = "".join(f'<item id="i{number}" href="{name}" {kind}/>' for number, name in enumerate(chapters))
    spine = "".join(f'<itemref idref="i{number}"/>' for number in range(len(chapters)))
    package = f"<package xmlns='opf'><manifest>{items}</manifest><spine>{spine}</spine></package>"
    container = "<container><rootfiles><rootfile full-path='in/side.opf'/></rootfiles></container>"
    return packed(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "in/side.opf": package,
            **{f"in/{name}": page for name, page in chapters.items()},
            **more,
        }
    )


def pdf(*pages: str, password: str | None = None, owner: str | None = None) -> bytes:
    writer = pypdf.PdfWriter()
    for text in pages:
        page = writer.add_blank_page(300, 300)
        font = DictionaryObject({NameObject(key): NameObject(value) for key, value in FONT.items()})
        fonts = DictionaryObject({NameObject("/F1"): font})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
        drawn = StreamObject()
        drawn.set_data(f"BT /F1 12 Tf 20 200 Td ({text}) Tj ET".encode() if text else b"0 0 300 300 re f")
        page[NameObject("/Contents")] = writer._add_object(drawn)
    if password is not None:
        writer.encrypt(password, owner, algorithm="RC4-128")
    made = io.BytesIO()
    writer.write(made)
    return made.getvalue()
