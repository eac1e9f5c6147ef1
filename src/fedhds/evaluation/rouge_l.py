"""Rouge-L: how much of a reference's longest common subsequence of words an answer has.

Source: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries" (2004), section 3;
FedHDS (arXiv 2410.10926) reports its F1. Computed by the `rouge-score` library.
Deviation: words are split by Unicode's rules and not at everything but a-z and 0-9, by
which an answer in any other script would score 0. For ASCII the two agree.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import cache
from typing import Any

_UNSPACED = (
    "CJK ",
    "HIRAGANA ",
    "IDEOGRAPHIC ITERATION ",
    "KATAKANA",
    "KHMER ",
    "LAO ",
    "MYANMAR ",
    "THAI ",
)
"""How Unicode's names of letters begin in scripts that put no space between words."""


def score(prediction: str, references: Sequence[str]) -> float:
    """Return the best Rouge-L F1 of ``prediction`` over ``references``, from 0 to 1.

    Without stemming. Two texts without any token, e.g. both empty, score 1; one such text
    against another scores 0.

    Raises
    ------
    ValueError
        If there is no reference.
    """
    if not references:
        raise ValueError("Rouge-L needs at least one reference")
    return max(_f1(prediction, reference) for reference in references)


def tokenize(text: str) -> list[str]:
    """Split a text into words, compared without case and compatibility variants (NFKC).

    A word is a run of letters, digits and the marks on them (vowel signs, accents). In
    scripts without spaces each character is a token. A text of nothing but punctuation or
    symbols is split into these, so that it still equals itself.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    tokens: list[str] = []
    before = ""
    for character in folded:
        category = unicodedata.category(character)
        if category == "Cf":  # invisible: joiners, soft hyphens, directions
            continue
        kind = _kind(character, category, before)
        if kind == "mark" or (kind == before == "word"):
            tokens[-1] += character
        elif kind:
            tokens.append(character)
        before = before if kind == "mark" else kind
    return tokens or [c for c in folded if not c.isspace() and unicodedata.category(c) != "Cf"]


def _kind(character: str, category: str, before: str) -> str:
    """Tell a word's letter, an unspaced character, a mark on what was before, or nothing."""
    if category[0] == "M":
        return "mark" if before else ""
    if category[0] not in "LN":
        return ""
    return "unspaced" if unicodedata.name(character, "").startswith(_UNSPACED) else "word"


def _f1(prediction: str, reference: str) -> float:
    """Return the Rouge-L F1 of two texts."""
    if not tokenize(prediction) and not tokenize(reference):
        return 1.0
    return float(_scorer().score(reference, prediction)["rougeL"].fmeasure)


class _Words:
    """`tokenize` in the shape that rouge-score takes it."""

    def tokenize(self, text: str) -> list[str]:
        """Split ``text``."""
        return tokenize(text)


@cache
def _scorer() -> Any:
    """Build the scorer once; its library takes seconds to import."""
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], tokenizer=_Words())
