"""The table as Markdown, CSV and LaTeX, with names that mean harm."""

import csv
import io
import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made import columns, finished, group, stopped

from fedhds.report.paired import differences
from fedhds.report.rendering import to_csv, to_latex, to_markdown
from fedhds.report.table import COLUMNS, tabulate

NAMES = [name for column in COLUMNS for name in column.names]


def table(label="fedhds", reason=None, compare=True):
    ours = (finished(seed, columns([0.7, 0.7], loss_sums=[4, 4])) for seed in range(3))
    theirs = (finished(seed, columns([0.2, 0.2])) for seed in range(3))
    failed = stopped(3, "failed", reason)
    groups = [replace(group("fedhds", *ours, failed), label=label), group("random", *theirs)]
    return tabulate(groups, differences(groups) if compare else ())


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_all_raw_numbers_of_a_group_in_a_row():
    ours, theirs = rows(to_csv(table()))
    assert list(ours) == NAMES
    assert float(ours["loss"]) == 4
    assert float(ours["rouge_l_difference"]) == pytest.approx(0.5)
    assert (ours["rouge_l_real"], ours["label"]) == ("True", "fedhds")
    assert (theirs["loss_difference"], theirs["bytes_adapters_up"]) == ("", "2000000.0")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r\n=", " =", "＝"])
def test_csv_holds_no_formula(start):
    (ours, _) = rows(to_csv(table(f"{start}HYPERLINK()x")))
    assert ours["label"].startswith("'")


def test_markdown_is_a_table_of_scores_one_of_time_and_one_of_traffic():
    lines = to_markdown(table()).splitlines()
    assert lines[0] == "**Scores** (means over seeds)"
    assert lines[2].startswith("| group | seeds finished | distinct samples used | unseen Rouge-L")
    assert lines[4].startswith(
        "| fedhds | 3 of 4 | 30 of 1,200 (2.5%) | **0.700** | +0.500 [+0.500, +0.500], real | 4.000"
    )
    assert "| random |" in lines[5]
    assert lines[7::7] == [
        "**Time and memory** (means over seeds)",
        "**Traffic** (means over seeds)",
    ]


@settings(max_examples=50, deadline=None)
@given(st.text(), st.text())
def test_markdown_holds_no_more_cells_and_tags_than_meant(label, reason):
    lines = to_markdown(table(f"x{label}", reason, compare=False)).splitlines()
    for block in (lines[2:6], lines[9:13], lines[16:20]):
        counts = {len(re.findall(r"(?<!\\)(?:\\\\)*\|", line)) for line in block}
        assert len(counts) == 1
    assert not re.search(r"[<>]", "\n".join(lines))


@settings(max_examples=50, deadline=None)
@given(st.text(), st.text())
def test_latex_escapes_what_it_would_read_as_its_own(label, reason):
    text = to_latex(table(f"x{label}", reason, compare=False), caption=label)
    plain = re.sub(r"\\[a-zA-Z]+|\\[\\&%$#_{}]", "", text)  # without commands and escapes
    assert not set("#~^_%\\") & set(plain)
    bare = re.sub(r"\\.", "", text)
    assert bare.count("{") == bare.count("}")
    assert text.count("$") % 2 == text.count(r"\$") % 2
    assert all(c.isascii() or (c.isalpha() and c <= "ſ") for c in text)


@pytest.mark.parametrize(
    ("label", "written"),
    [
        ("50% & a_b", r"50\% \& a\_b"),
        (r"\input{x}", r"\textbackslash{}input\{x\}"),
        ("[x]*", "{[}x{]}{*}"),  # both would be read as belonging to the line break before
        ("größe 中", "größe [U+4E2D]"),
        ("two\nlines\x00", "two lines"),
    ],
)
def test_latex_writes_labels(label, written):
    assert f"\n{written} & 3 of 4 & " in to_latex(table(label))


def test_latex_has_a_tabular_a_part_whose_rows_have_all_cells():
    text = to_latex(table(), caption="A & B")
    assert r"\caption{A \& B}" in text
    found = re.findall(r"\\begin{tabular}{(.*)}\n\\toprule\n(.*)\n\\midrule\n(.*)\n(.*)\n", text)
    assert len(found) == 3
    for alignment, *lines in found:
        width = len(re.sub(r"p{[^}]*}", "p", alignment))
        assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in lines} == {width}
        assert all(line.endswith(r"\\") for line in lines)


def test_latex_has_intervals_below_their_differences_and_best_means_bold():
    assert (
        r"\textbf{0.700} & \begin{tabular}[t]{@{}r@{}}$+$0.500 \\ "
        r"{[}$+$0.500, $+$0.500{]}, real\end{tabular} & 4.000"
    ) in to_latex(table())
