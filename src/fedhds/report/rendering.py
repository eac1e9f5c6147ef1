"""The table of groups as Markdown, CSV and LaTeX."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable

from fedhds.report.table import Cell, Column, Part, Table, Value

PARTS: dict[Part, str] = {"scores": "Scores", "time": "Time and memory", "traffic": "Traffic"}
FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")
LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{character: f"{{{character}}}" for character in "[]*"},  # a line break would take them
    **{character: f"\\{character}" for character in "&%$#_{}"},
}
LAST_LETTER = "\u017f"
"""The last letter of Latin Extended-A, up to which every LaTeX has letters."""


def to_markdown(table: Table) -> str:
    """Write one table a part, the best means bold."""
    lines = []
    for part, title in PARTS.items():
        shown = table.part(part)
        lines += [f"**{title}** (means over seeds)", ""]
        lines.append(_markdown_row([column.header for column in shown.columns]))
        lines.append(_markdown_row(["---" if c.text else "---:" for c in shown.columns]))
        lines += [
            _markdown_row(list(map(_markdown_cell, shown.columns, row))) for row in shown.rows
        ]
        lines.append("")
    return "\n".join(lines)


def to_csv(table: Table) -> str:
    """Write the raw numbers of all columns, one row a group.

    What has no number is empty. A text that a spreadsheet would take for a formula gets an
    apostrophe in front.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow([name for column in table.columns for name in column.names])
    for row in table.rows:
        writer.writerow([_csv(value) for cell in row for value in cell.values])
    return file.getvalue()


def to_latex(table: Table, caption: str = "", label: str = "tab:fedhds") -> str:
    r"""Write one ``tabular`` a part within one ``table``, the best means bold.

    Parameters
    ----------
    table : Table
        As `fedhds.report.table.tabulate` returns it.
    caption : str
        Plain text, which is escaped.
    label : str
        What to refer to it by; LaTeX as it is.

    Returns
    -------
    str
        For a document that loads ``booktabs``. Characters that LaTeX may lack are written by
        their number in Unicode.
    """
    lines = [r"\begin{table}", r"\centering", r"\scriptsize", r"\setlength{\tabcolsep}{3pt}"]
    lines += [rf"\caption{{{_latex(caption)}}}", rf"\label{{{label}}}"]
    for place, part in enumerate(PARTS):
        shown = table.part(part)
        lines += [r"\par\medskip"] if place else []
        lines.append(rf"\begin{{tabular}}{{{''.join(map(_alignment, shown.columns))}}}")
        lines += [r"\toprule", _latex_row([_heading(column) for column in shown.columns])]
        lines.append(r"\midrule")
        lines += [_latex_row(list(map(_latex_cell, shown.columns, row))) for row in shown.rows]
        lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join([*lines, r"\end{table}", ""])


def to_list(sentences: Iterable[str]) -> str:
    """Write plain sentences as a Markdown list."""
    return "".join(f"- {_markdown(sentence)}\n" for sentence in sentences)


def _markdown_row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_cell(column: Column, cell: Cell) -> str:
    text = _markdown(cell.text) if column.text else cell.text
    return f"**{text}**" if cell.best else text


def _markdown(text: str) -> str:
    line = _one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]()#!|~$])", r"\\\1", line)


def _csv(value: Value) -> str:
    if not isinstance(value, str):
        return "" if value is None else str(value)
    text = _one_line(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _latex(text: str) -> str:
    return "".join(map(_latex_character, _one_line(text)))


def _latex_character(character: str) -> str:
    if character in LATEX:
        return LATEX[character]
    known = character.isascii() or (character.isalpha() and character <= LAST_LETTER)
    return character if known else f"[U+{ord(character):04X}]"


def _latex_cell(column: Column, cell: Cell) -> str:
    if column.text:
        return _latex(cell.text)
    lines = (_latex(line) for line in _before_brackets(cell.text))
    text = _stacked([re.sub(r"([+-])(?=\d|inf)", r"$\1$", line) for line in lines], "t", "r")
    return rf"\textbf{{{text}}}" if cell.best else text


def _latex_row(cells: list[str]) -> str:
    return " & ".join(cells) + r" \\"


def _heading(column: Column) -> str:
    title, *interval = _before_brackets(column.header)
    words = title.split(" ")
    pairs = [" ".join(words[place : place + 2]) for place in range(0, len(words), 2)]
    return _stacked([_latex(line) for line in (*pairs, *interval)], "b", "c")


def _before_brackets(text: str) -> list[str]:
    """Break a line before brackets, as many columns have to fit beside one another."""
    return re.split(r" (?=[\[(])", text)


def _stacked(lines: list[str], position: str, alignment: str) -> str:
    if len(lines) == 1:
        return lines[0]
    begin = rf"\begin{{tabular}}[{position}]{{@{{}}{alignment}@{{}}}}"
    return begin + r" \\ ".join(lines) + r"\end{tabular}"


def _alignment(column: Column) -> str:
    if column.names == ("not_finished",):
        return r"p{0.15\linewidth}"
    return "l" if column.text else "r"


def _one_line(text: str) -> str:
    """Leave out characters that nobody sees, and turn line breaks into spaces."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())
