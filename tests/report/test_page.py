"""The page as a file: whole, small, escaped and always the same."""

import json
import re
from html.parser import HTMLParser

import pytest
from pages import HOSTILE, group, made, written

pytest.importorskip("vl_convert", reason="the extra 'report' is not installed")


class Seen(HTMLParser):
    """Collects what a browser would make of a page."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.texts, self.addresses = [], set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        names = dict(attrs)
        self.ids |= {names["id"]} if "id" in names else set()
        self.addresses += [names[name] for name in ("href", "src", "action") if name in names]

    def handle_data(self, data):
        self.texts.append(data)


@pytest.fixture(scope="module")
def hostile():
    groups = [
        group(made(m, names=HOSTILE), label=label)
        for m, label in zip(("fedhds", "full", "random"), HOSTILE, strict=False)
    ]
    return written(groups, HOSTILE[0])


def test_names_are_text_wherever_they_stand(hostile):
    seen = Seen(hostile)
    assert "img" not in seen.tags
    assert seen.tags.count("script") == 3
    assert HOSTILE[0] in seen.texts  # the title
    assert "49" not in seen.texts  # nothing evaluated '{{7*7}}'


def test_page_leads_nowhere_but_to_its_own_parts(hostile):
    seen = Seen(hostile)
    for address in seen.addresses:
        assert address == "data:," or address.removeprefix("#") in seen.ids


def test_data_are_json_that_cannot_end_their_element(hostile):
    (text,) = re.findall(r'<script type="application/json" id="data">(.*?)</script>', hostile)
    assert not set("<>&\u2028") & set(text)
    assert set(json.loads(text)) == {"themes", "datasets", "figures"}


def test_ten_runs_with_5000_samples_each_stay_under_3_megabytes():
    groups = [group(made(m, samples=5000, clients=100), label=f"{m} {i}")
              for i in range(5) for m in ("fedhds", "full")]  # fmt: skip
    assert len(written(groups).encode()) < 3_000_000


def test_page_is_the_same_for_the_same_runs():
    groups = [group(made(), made(seed=1)), group(made("random"), made("random", 1))]
    assert written(groups) == written(groups)


def test_page_tells_nothing_of_the_machine_and_its_secrets():
    text = written([group(made())])
    assert "/home/somebody" not in text
    assert "password" not in text.split("<script>")[0]


def test_page_says_what_was_compared_what_failed_and_why():
    groups = [group(made(), made(seed=1, status="failed")), group(made("random"))]
    text = "".join(Seen(written(groups)).texts)
    assert "2 ways of choosing the samples on which clients tune tiny-llama together" in text
    assert "2 finished and 1 failed" in text
    assert "every client failed twice: <b>no memory</b>" in text
    assert "8 clients with 200 samples to train on in all, 8 for validation" in text


def test_page_needs_no_script_for_its_words_and_tables():
    text = written([group(made()), group(made("full"))])
    without = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
    assert without.count("<table") >= 10
    assert "The figure needs JavaScript" in without


def test_page_says_where_tuning_began_and_keeps_units_whole():
    text = "".join(Seen(written([group(made()), group(made("full"))])).texts)
    assert "unseen Rouge-L 0.010 and unseen loss 6.000" in text  # of `made`, before tuning
    assert "difference in Rouge-L [95\u00a0% interval]" in text


def test_settings_of_many_groups_are_not_for_paper():
    said = "the table is too wide for paper"
    groups = [group(made(f"method-{i}", samples=8, kept=False)) for i in range(9)]
    assert said not in written(groups[:8])
    assert said in written(groups)
