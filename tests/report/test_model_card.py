"""The card that goes with an adapter: what it says, what it must not, and that YAML reads it."""

import re

import pytest
import yaml

from fedhds import config
from fedhds.report.model_card import model_card

SECRETS = ("secret-task", "secret-reason.jsonl", "secret-column")


def summary(name="org/base", **changes):
    """Make a summary with secrets wherever a real one has names of the data."""
    source = {
        "model": {"name": name, "revision": "v1"},
        "data": {"train": SECRETS[1], "columns": {"task": SECRETS[2]}},
        "partition": {"kind": "column", "by": SECRETS[2]},
    }
    scores = {"rouge_l_before": 0.1, "rouge_l_after": 0.4, "rouge_l_ci": [0.2, 0.35]}
    losses = {"loss_before": 4.0, "loss_after": 2.0}
    counts = {"clients": 7, "samples_total": 901, "samples_used": 45, "samples_validation": 50}
    return {
        **{"method": "fedhds", "private": True, "base_model": name, "seed": 6, "rounds": 9},
        **{"best_round": 8, "sample_passes": 135, "dropped": {"no_output": 12}},
        **{"validation": {"before": None, "after": None}, "versions": {"peft": "0.21.2"}},
        **{"bytes": {"summaries_up": 336}, "per_task": {SECRETS[0]: {}}, "warnings": [SECRETS[0]]},
        **{"config": config.load(source).resolved()},
        **(scores | losses | counts | changes),
    }


def front_matter(card):
    _, text, body = card.split("---\n", 2)
    return yaml.safe_load(text), body


def test_front_matter_says_what_the_hub_reads():
    fields, _ = front_matter(model_card(summary()))
    assert fields == {
        "base_model": "org/base",
        "library_name": "peft",
        "pipeline_tag": "text-generation",
        "tags": ["fedhds", "federated-learning", "lora"],
    }


@pytest.mark.parametrize(
    "name",
    ["yes", "a: b # c", "--- 'x' \"y\"", "日本 👍", "[x](http://y) | *z*", "1e3", "a\nb\x7f"],
)
def test_odd_names_change_neither_yaml_nor_markdown(name):
    fields, body = front_matter(model_card(summary(name)))
    assert fields["base_model"] == "".join(c if c.isprintable() else " " for c in name)
    assert not re.search(r"(?<!\\)\]\(", body.split("```")[0])  # no link
    # a bar in a value would make a fifth column of the settings' two
    rows = [row for row in body.replace("\\|", "").splitlines() if row.startswith("| base model")]
    assert [row.count("|") for row in rows] == [3]


@pytest.mark.parametrize(
    "said",
    [
        "Rouge-L on unseen tasks | 0.100 | 0.400 | +0.300 [+0.200, +0.350]",
        "loss on unseen tasks | 4.000 | 2.000 |",
        "clients: 7",
        "901, of which 45 were trained on in 135 passes",
        "left out: 12 no\\_output",
        "| revision | v1 |",
        "kind: lora, rank: 8, alpha: 16, dropout: 0.05",
        "method: fedhds, min\\_cluster\\_size: 2",
        "9 of 10; the adapter of round 8 is the best",
        "| seed | 6 |",
        "peft: 0.21.2",
        "336 bytes of summaries. ",
        'from_pretrained("org/base", revision="v1")',
    ],
)
def test_card_says(said):
    assert said in model_card(summary())


def test_nothing_of_the_data_is_in_it():
    card = model_card(summary())
    assert [secret for secret in SECRETS if secret in card] == []


def test_proxy_is_named_without_its_place():
    known = summary()
    known["config"]["model"]["proxy"] = "/home/somebody/gpt2"
    card = model_card(known)
    assert "| proxy | gpt2 |" in card
    assert "somebody" not in card


def test_filter_is_told_and_knowledge_named_without_its_place():
    known = summary()
    known["config"]["model"]["scorer"] = "/home/somebody/judge"
    known["config"]["selection"] |= {
        "filter": {"method": "ifd", "keep": 0.5},
        "knowledge": "/home/somebody/flan.jsonl",
    }
    card = model_card(known)
    assert "filter: (method: ifd, keep: 0.5), knowledge: flan.jsonl" in card
    assert "| scorer | judge |" in card
    assert "somebody" not in card


def test_run_that_was_not_evaluated_says_so():
    assert "It was not evaluated." in model_card(summary(rouge_l_before=None))


def test_validation_alone_is_told():
    means = {"before": {"rouge_l": 0.1, "loss": 3.0}, "after": {"rouge_l": 0.2, "loss": 1.0}}
    card = model_card(summary(rouge_l_before=None, validation=means))
    assert "| loss on the clients' validation samples | 3.000 | 1.000 |" in card
    assert "unseen" not in card


def test_method_that_sends_numbers_of_samples_is_named_as_one():
    assert "numbers of single samples among them" in model_card(summary(private=False))


def test_adapter_of_a_failed_run_says_so():
    card = model_card(summary(), failed=True)
    assert "**The run failed after round 9** of 10; this is its last good adapter." in card
