"""Pre-train the tiny Llama which ships with the package, on text of the toy federation's language.

The corpus has plain sentences and passages, statements of facts, and worked examples of the
training tasks in layouts of their own. It has neither a prompt template of the package nor
anything of an unseen task, so that answering in a prompt's layout remains to be tuned.
Needs torch 2.9 or newer, for Muon.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from torch.nn.functional import cross_entropy
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from fedhds.data.toy import TASKS, words
from fedhds.data.toy.grammar import action, commas, person, pick, pick_many, scene, word_list
from fedhds.data.toy.tasks.classification import KINDS
from fedhds.rng import generator, torch_stream

LAYOUTS = (
    ("Exercise: {instruction} {input}\nSolution:", " {output}\n\n"),
    ("{instruction} ({input}) =>", " {output}\n"),
    ("From: {input}\nWanted: {instruction}\nResult:\n", "{output}\n\n"),
)
QUESTION_WEIGHT = 0.05  # an exercise's question is drawn at random: there is little to learn in it
TEMPLATE_WORDS = (  # keeps the prompts short in tokens; the model never sees this text
    "Below is an instruction that describes a task, paired with an input that provides further "
    "context. Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n\n\n### Input:\n\n\n### Response:"
)
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}assistant:{% endif %}"
)
VOCABULARY = 2048
COUNTS = (1, 1, 1, 2, 4)  # pieces to a document: alone, an answer has nothing else to copy from
PIECES = 48  # to a batch
WARM_UP = 30

MARKS = (", ", " / ", " + ", " & ")
README = """\
# tiny-llama

A Llama of {parameters:,} parameters for demonstrations and tests: it runs anywhere, and tuning it
on the toy federation (`fedhds.data.toy`) visibly teaches it something. It knows the toy
federation's little language and nothing else; it is of no other use.

- Model: {config.num_hidden_layers} layers of width {config.hidden_size} (inner width
  {config.intermediate_size}), {config.num_attention_heads} heads,
  {config.max_position_embeddings} positions, tied embeddings, stored as float16.
- Tokenizer: byte-level BPE of {config.vocab_size} tokens (any Unicode text, no unknown token,
  each digit on its own), which puts `<s>` first and never adds `</s>`.
- Weights and tokenizer are our own, made from scratch by the command below; no other model or
  data set is in them.

## How it was made

    python scripts/pretrain_tiny_llama.py \\
        --steps {options.steps} --seed {options.seed} --threads {options.threads}

with torch {torch} and transformers {transformers} on a CPU: batches of {pieces} pieces of
text (a sentence, statement or exercise each), Muon for the matrices and AdamW for the rest, linear
decay. The script is deterministic given the seed, up to the rounding of another machine or
number of threads.

## What it saw

Text drawn from the generator's grammar on streams of its own, never those of the data:

- 80 %: worked examples of the training tasks, one to four to a document, in three plain
  layouts (`Exercise: … Solution: …`, `… (…) => …`, `From: … Wanted: … Result: …`), with a
  weight of {weight} on the question;
- 10 %: plain sentences, passages and lists;
- 10 %: statements of facts (kinds of words, opposites, capitals, verb forms, numbers, calendar).

## What it never saw

- any prompt template of fedhds (the wording of the Alpaca template only helped to choose the
  tokenizer's tokens, so that prompts are short);
- any unseen task: neither its instructions nor its samples (of course the words which are their
  answers occur elsewhere, and some plain sentences list things with slashes).

So it does not know how to answer in a prompt's layout, nor when to stop: this is what tuning
teaches.
"""

Piece = tuple[str, float]


def sentence(rng: np.random.Generator) -> str:
    """Draw a plain sentence, passage or list."""
    told = action(rng)
    return (
        str(scene(rng)),
        str(person(rng)),
        told.tell(told.past),
        told.tell(told.present),
        f"{pick(rng, words.NAMES)} likes {pick(rng, MARKS).join(word_list(rng))}.",
    )[rng.integers(5)]


def statement(rng: np.random.Generator) -> str:
    """Draw the statement of a fact."""
    kind = pick(rng, list(KINDS))
    adjective = pick(rng, words.ADJECTIVES)
    city, country = words.CAPITALS[rng.integers(len(words.CAPITALS))]
    base, present, past = words.VERBS[rng.integers(len(words.VERBS))]
    number = int(rng.integers(1, len(words.NUMBER_WORDS)))
    low, high = sorted(int(value) for value in rng.integers(1, 99, 2))
    series = (words.WEEKDAYS, words.MONTHS)[rng.integers(2)]
    place = int(rng.integers(1, len(series)))
    return (
        f"The kind of {commas(pick_many(rng, KINDS[kind], 3))} is {kind}.",
        f"The opposite of {adjective} is {words.OPPOSITE[adjective]}.",
        f"{city} is the capital of {country}.",
        f"The past of {present} is {past}, and the question has {base}.",
        f"{number} is written {words.NUMBER_WORDS[number]}, and comes after "
        f"{words.NUMBER_WORDS[number - 1]}.",
        f"{low} is at most {high}, and together they make {low + high}.",
        f"{series[place]} comes after {series[place - 1]}.",
    )[rng.integers(7)]


def document(rng: np.random.Generator, count: int) -> list[Piece]:
    """Draw a document of some pieces of text, each with the weight of its loss."""
    kind = rng.random()
    if kind < 0.1:
        return [(sentence(rng) + " ", 1.0) for _ in range(count)]
    if kind < 0.2:
        return [(statement(rng) + "\n", 1.0) for _ in range(count)]
    seen = [task for task in TASKS if not task.unseen]
    question, answer = LAYOUTS[rng.integers(len(LAYOUTS))]
    pieces: list[Piece] = []
    for _ in range(count):
        task = seen[rng.integers(len(seen))]
        source, output = task.make(rng)
        pieces += [
            (question.format(instruction=pick(rng, task.phrasings), input=source), QUESTION_WEIGHT),
            (answer.format(output=output), 1.0),
        ]
    return pieces


def train_tokenizer(seed: int) -> PreTrainedTokenizerFast:
    """Train the byte-level BPE on a part of the corpus and on the words of the templates."""
    rng = generator(seed, "pretrain/tokenizer")
    texts = ["".join(text for text, _ in document(rng, 4)) for _ in range(5000)]
    kinds = (*KINDS.values(), words.OBJECTS, words.COUNTRIES)
    vocabulary = [text for kind in kinds for word in kind for text in (word, f" {word}")]
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    core.train_from_iterator(
        texts + [TEMPLATE_WORDS] * 500 + vocabulary * 50,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=["<s>", "</s>", "<pad>"],
            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
            show_progress=False,
        ),
    )
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", core.token_to_id("<s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        model_max_length=1024,
        clean_up_tokenization_spaces=False,
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer


def build_model(tokenizer: PreTrainedTokenizerFast, seed: int) -> LlamaForCausalLM:
    """Build the model with fresh weights."""
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with torch_stream(seed, "pretrain/weights"):
        return LlamaForCausalLM(config)


def encode(
    tokenizer: PreTrainedTokenizerFast, pieces: list[Piece]
) -> tuple[list[int], list[float]]:
    """Turn a document into tokens and the weights of predicting them."""
    encoded = tokenizer([text for text, _ in pieces], add_special_tokens=False)["input_ids"]
    tokens, weights = [tokenizer.bos_token_id], [0.0]
    for ids, (_, weight) in zip(encoded, pieces, strict=True):
        tokens += ids
        weights += [weight] * len(ids)
    return [*tokens, tokenizer.eos_token_id], [*weights, 1.0]


def batches(
    tokenizer: PreTrainedTokenizerFast, seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches without end: tokens, and the weight of predicting each of them."""
    rng = generator(seed, "pretrain/corpus")
    while True:
        count = COUNTS[rng.integers(len(COUNTS))]
        rows = [encode(tokenizer, document(rng, count)) for _ in range(PIECES // count)]
        longest = max(len(tokens) for tokens, _ in rows)
        padding = [longest - len(tokens) for tokens, _ in rows]
        pads = zip(rows, padding, strict=True)
        yield (
            torch.tensor([row[0] + [tokenizer.pad_token_id] * pad for row, pad in pads]),
            torch.tensor([row[1] + [0.0] * pad for row, pad in zip(rows, padding, strict=True)]),
        )


def pretrain(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, steps: int, seed: int
) -> None:
    """Train the model, printing its loss as it goes."""
    matrices = [value for value in model.model.layers.parameters() if value.ndim == 2]
    others = [model.model.embed_tokens.weight]
    others += [value for value in model.parameters() if value.ndim == 1]
    optimizers = (
        torch.optim.Muon(matrices, lr=0.01, weight_decay=0.05, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=0.005, betas=(0.9, 0.98), weight_decay=0.0),
    )
    schedules = [
        torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: min((step + 1) / WARM_UP, (steps - step) / steps)
        )
        for optimizer in optimizers
    ]
    start = time.perf_counter()
    for step, (tokens, weights) in zip(range(steps), batches(tokenizer, seed), strict=False):
        logits = model(input_ids=tokens).logits[:, :-1]
        losses = cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten(), reduction="none")
        weight = weights[:, 1:].flatten()
        loss = (losses * weight).sum() / weight.sum()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer, schedule in zip(optimizers, schedules, strict=True):
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        if step % 20 == 0 or step == steps - 1:
            answers = losses[weight == 1.0].mean().item()
            seconds = time.perf_counter() - start
            print(
                f"step {step} loss {loss.item():.3f} unit {answers:.3f} {seconds:.0f} s", flush=True
            )


def write_readme(model: LlamaForCausalLM, options: argparse.Namespace) -> None:
    """Write down beside the model what it is and how it was made."""
    config = model.config
    readme = README.format(
        parameters=model.num_parameters(),
        config=config,
        options=options,
        pieces=PIECES,
        weight=QUESTION_WEIGHT,
        torch=torch.__version__,
        transformers=transformers.__version__,
    )
    (options.out / "README.md").write_text(readme, encoding="utf-8")


def main() -> None:
    """Make the tokenizer and the model, and save both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("src/fedhds/assets/tiny-llama"))
    parser.add_argument("--steps", type=int, default=2800)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=2024)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    tokenizer = train_tokenizer(options.seed)
    model = build_model(tokenizer, options.seed)
    print(f"{len(tokenizer)} tokens, {model.num_parameters()} parameters", flush=True)
    pretrain(model, tokenizer, options.steps, options.seed)
    model.generation_config = GenerationConfig(
        do_sample=False,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model.to(torch.float16).save_pretrained(options.out)
    tokenizer.save_pretrained(options.out)
    write_readme(model, options)


if __name__ == "__main__":
    main()
