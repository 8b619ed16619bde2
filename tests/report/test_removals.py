"""What was removed from the text stands in the report, with examples that can do no harm."""

from chainrule.report.appendix import data
from chainrule.run import DataReport, Facts, Removal, RunFolder
from chainrule.run.records import LeftOut


def test_every_rule_stands_with_its_documents_and_examples(tmp_path):
    example = LeftOut("web/<b>.txt", "12, allowed from 50", "<script>alert(1)</script>")
    removals = {"gopher-quality: words": Removal(1234, (example,)), "duplicates": Removal(2)}
    report = DataReport(filtered=1234, duplicates=2, masked=7, removals=removals)
    page = data(Facts(RunFolder(tmp_path), "finished", data=report))
    assert page is not None
    for words in ("gopher-quality: words", "1,234", "12, allowed from 50", "web/&lt;b&gt;.txt", "by filters", ">7<"):
        assert words in page
    assert "<script>" not in page


def test_a_report_comes_back_from_json_with_its_removals():
    report = DataReport(removals={"c4: sentences": Removal(3, (LeftOut("a.txt", "1, allowed from 3"),))})
    assert DataReport.of(report.row()) == report
