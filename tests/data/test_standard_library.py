import ast

from chainrule.config import TextConfig
from chainrule.data import survey
from chainrule.data.standard_library import LEFT_OUT, library_files, topic_texts


def test_the_library_has_no_tests_and_no_tables():
    paths = [path for path, *_ in library_files()]
    assert len(paths) > 300
    assert not any(f"/{name}/" in path for path in paths for name in LEFT_OUT)


def test_the_documentation_is_prose_and_the_rest_parses(tmp_path):
    found = survey(TextConfig(paths=("python",)), tmp_path, workers=1)
    assert found.sources == ["python sources", "python topics"]
    assert 5_000_000 < found.report["bytes"] < 30_000_000
    assert found.report["sources"]["python topics"]["documents"] > 50
    kept = [text for text in found.texts("train") if "def " in text][:50]
    assert sum(parses(text) for text in kept) >= 45


def parses(text):
    try:
        return bool(ast.parse(text))
    except SyntaxError:
        return False


def test_topics_are_read_without_being_executed():
    assert list(topic_texts(b"topics = {'a': 'one\\n' 'two', 'b': '''three'''}\nraise SystemExit")) == [
        "one\ntwo",
        "three",
    ]
