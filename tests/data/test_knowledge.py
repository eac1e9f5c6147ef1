"""Knowledge in front of samples: what is read, what is left out, and that it is the right one."""

import gzip
import json

import numpy as np
import pytest

from fedhds.data import toy
from fedhds.data.examples import to_examples
from fedhds.data.knowledge import (
    in_tokens,
    read_knowledge,
    read_with_knowledge,
    with_knowledge,
)
from fedhds.data.prompts import encode_all
from fedhds.models import LanguageModel
from fedhds.pretrained import EMBEDDED, Pretrained, load_base, load_tokenizer
from fedhds.rng import generator
from fedhds.signals import compute
from fedhds.types import Example, Sample, Silent, UserError

BOS, EOS = 0, 1
CAPITALS = [
    {"instruction": f"What is the capital of {country}?", "input": "", "output": capital}
    for country, capital in (("Peru", "Lima"), ("Chile", "Santiago"), ("Kenya", "Nairobi"))
]


def write(path, rows):
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return str(path)


def encoded(example, tokenizer, prompt="plain"):
    return encode_all([example], prompt, tokenizer, 10_000)[0][0]


def spelt(tokens, tokenizer):
    return tokenizer.decode(list(tokens))


@pytest.mark.parametrize("name", ["base.jsonl", "base.jsonl.gz"])
def test_examples_are_read_and_copies_left_out(tmp_path, name):
    rows = [*CAPITALS, CAPITALS[1], {"instruction": None, "output": "x"}]
    base = read_knowledge(write(tmp_path / name, rows))
    assert [example.output for example in base.examples] == ["Lima", "Santiago", "Nairobi"]
    assert base.dropped == {"duplicate": 1, "no_instruction": 1}


def test_examples_without_an_answer_teach_nothing_and_are_left_out(tmp_path):
    blank = {"instruction": "What?", "input": "", "output": " "}
    found = read_knowledge(write(tmp_path / "base.jsonl", [*CAPITALS, blank]))
    assert (len(found.examples), found.dropped) == (3, {"no_output": 1})


def test_paragraphs_are_read_from_a_folder(tmp_path):
    write(tmp_path / "a.jsonl", [{"text": "Lima lies in Peru."}, {"text": " "}])
    write(tmp_path / "b.jsonl", [{"text": None, "id": 3}, {"text": "Nairobi lies in Kenya."}])
    base = read_knowledge(str(tmp_path))
    assert [e.output for e in base.examples] == ["Lima lies in Peru.", "Nairobi lies in Kenya."]
    assert base.dropped == {"no_text": 2}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('{"text": "a"}\n{"text"\n', "base.jsonl' line 2 is not JSON"),
        ('{"title": "a"}', "has neither the columns .* nor 'text'; there are: title"),
        ('{"instruction": "a"}', "has neither the columns 'instruction' and 'output'"),
        ('{"text": ["a"]}', "base.jsonl' row 1: the text is a list, not text"),
        ('{"instruction": {}, "output": "x"}', "row 1: the instruction is a dict, not text"),
        ('{"text": ""}', r"base.jsonl': nothing is left of it \(1 no_text\)"),
        ("", "has no rows"),
    ],
)
def test_malformed_base_is_refused_in_one_sentence(tmp_path, text, complaint):
    path = tmp_path / "base.jsonl"
    path.write_text(text)
    with pytest.raises(UserError, match=complaint) as raised:
        read_knowledge(str(path))
    assert str(raised.value).startswith("selection.knowledge: '")
    assert "\n" not in str(raised.value)


def test_base_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"^selection\.knowledge: there is no file or folder"):
        read_knowledge(str(tmp_path / "base.jsonl"))


def test_the_most_similar_stands_next_to_the_question_and_bos_first_once(tmp_path, tokenizer, make):
    question = "What is the capital of Kenya, Africa?"
    sample = encoded(make("Nairobi", instruction=question), tokenizer)
    base = write(tmp_path / "base.jsonl", CAPITALS)
    told = read_with_knowledge([[sample]], base, "plain", tokenizer, 10_000)
    ((reading,),) = told.readings
    assert spelt(reading.prompt, tokenizer) == (  # Peru and Chile are alike, so by position
        "<s>What is the capital of Chile?\nSantiago\n\n"
        "What is the capital of Peru?\nLima\n\n"
        f"What is the capital of Kenya?\nNairobi\n\n{question}\n"
    )
    assert reading.prompt[-len(sample.prompt) + 1 :] == sample.prompt[1:]
    assert (reading.response, reading.example) == (sample.response, sample.example)
    assert told.counts == {"samples": 1, "without": 0, "copies": 0, "too_long": 0}


def test_chat_keeps_the_end_of_each_turn(tokenizer, make):
    (item,) = in_tokens([make("4")], "chat", tokenizer)
    assert spelt(item, tokenizer) == "user: 2+2?</s><s>assistant: 4</s>"


@pytest.mark.parametrize("prompt", ["plain", "alpaca", "chat"])
def test_paragraphs_stand_as_they_are(tokenizer, prompt):
    text = "Lima {x} </s> lies in Peru."
    (item,) = in_tokens([Example("", "", text, "", (text,))], prompt, tokenizer)
    assert spelt(item, tokenizer) == f"{text}\n\n"
    assert EOS not in item


def sample_of(prompt, response=(7, EOS)):
    return Sample(Example("", "", "", "", ("",)), prompt, response)


def test_prompt_without_bos_gets_none():
    ((reading,), _) = with_knowledge([sample_of((5, 6))], [[(8, 9)]], BOS, 99)
    assert reading.prompt == (8, 9, 5, 6)
    ((reading,), _) = with_knowledge([sample_of((5, 6))], [[(8, 9)]], None, 99)
    assert reading.prompt == (8, 9, 5, 6)


@pytest.mark.parametrize(
    ("longest", "prompt", "too_long"),
    [  # the sample has 5 tokens; the items 2, 4 and 1
        (12, (BOS, 4, 3, 3, 3, 3, 2, 2, 5, 6), 0),
        (11, (BOS, 3, 3, 3, 3, 2, 2, 5, 6), 1),
        (8, (BOS, 4, 2, 2, 5, 6), 1),
        (6, (BOS, 4, 5, 6), 2),
        (5, (BOS, 5, 6), 3),
        (1, (BOS, 5, 6), 3),
    ],
)
def test_what_has_no_room_is_left_out_and_counted(longest, prompt, too_long):
    sample = sample_of((BOS, 5, 6))
    ((reading,), count) = with_knowledge([sample], [[(2, 2), (3,) * 4, (4,)]], BOS, longest)
    assert (reading.prompt, reading.response, count) == (prompt, sample.response, too_long)


def test_a_sample_is_never_shown_its_own_answer(tmp_path, tokenizer, make):
    own = [encoded(make(r["output"], instruction=r["instruction"]), tokenizer) for r in CAPITALS]
    base = write(tmp_path / "base.jsonl", CAPITALS)
    told = read_with_knowledge([own], base, "plain", tokenizer, 10_000)
    assert told.counts["copies"] == 3
    for sample, reading in zip(own, told.readings[0], strict=True):
        shown = spelt(reading.prompt, tokenizer)
        assert [row["output"] in shown for row in CAPITALS].count(True) == 2
        assert sample.example.output not in shown


def test_a_sample_that_nothing_is_known_of_stays_as_it_is_and_is_counted(tmp_path, tokenizer, make):
    known, unknown = (
        encoded(make(instruction=text), tokenizer) for text in ("Lima capital?", "Sum xyz")
    )
    base = write(tmp_path / "base.jsonl", [*CAPITALS, {"instruction": "x", "output": None}])
    told = read_with_knowledge([[unknown], [], [known]], base, "plain", tokenizer, 10_000)
    assert told.readings[:2] == ((unknown,), ())
    assert told.readings[2][0].length > known.length
    assert told.counts["without"] == 1
    assert str(told).startswith("1 of 2 samples are read without knowledge")
    assert str(told).endswith("left out: 1 no_output")


def test_clients_read_alone_what_they_read_together(tmp_path, tokenizer, make):
    samples = [encoded(make(instruction=f"{n} capital of Peru"), tokenizer) for n in range(4)]
    base = write(tmp_path / "base.jsonl", CAPITALS)
    together = read_with_knowledge([samples[:1], samples[1:]], base, "plain", tokenizer, 90)
    alone = read_with_knowledge([samples[1:]], base, "plain", tokenizer, 90)
    assert together.readings[1:] == alone.readings


def test_knowledge_of_other_samples_helps_less(tmp_path):
    """The acceptance test of RECOST-style: permuting the finds lowers the mean RPE."""
    source = Pretrained(EMBEDDED, device="cpu")
    tokenizer, base = load_tokenizer(source), load_base(source)
    model = LanguageModel(base, tokenizer, base.device)
    rows, _ = toy.generate(1, 0)
    samples, _ = encode_all(to_examples(rows, {}, "toy")[0], "plain", tokenizer, 1024)
    path = write(tmp_path / "base.jsonl", toy.generate(20, 1)[0])
    (found,) = read_with_knowledge([samples], path, "plain", tokenizer, 1024).readings
    fronts = [
        (reading.prompt[1 : len(reading.prompt) - len(sample.prompt) + 1],)
        for sample, reading in zip(samples, found, strict=True)
    ]
    others = [fronts[i] for i in generator(0, "permuted").permutation(len(fronts))]
    permuted, _ = with_knowledge(samples, others, tokenizer.bos_token_id, 1024)
    alone, right, wrong = (
        compute("loss_with_prompt", model, read, 16, Silent())
        for read in (samples, found, permuted)
    )
    # measured: -0.08 and 0.06 nats a token, of 8.1
    assert np.mean(alone - wrong) < np.mean(alone - right)
