"""Time and memory of each phase, against the published way and against the machine's limit.

    python benchmarks/speed.py --model MODEL --data DATA --write

Each phase is run in turn with a plain reference that does what the published code does
(``reference.py``), and set beside its floor: the multiply-adds of the real tokens, attention
included, at the rate at which this machine multiplies matrices of the model's own shapes,
measured between the runs. All ratios are of medians within one run; times are of a process's
CPU where the model is on it. Memory is the growth of a fresh process over the loaded model.

The models have random weights and given shapes, the samples are random tokens about as long
as P3's: what is timed does not hang on what they say. ``--model`` and ``--data`` (a folder
with ``train.jsonl.gz`` and ``unseen.jsonl.gz``) are what whole rounds and answers that end
by themselves are timed on; without them rounds use the embedded model on the toy federation.
On a CUDA GPU everything is a 1.2 B Llama in bfloat16. ``--quick`` is a small cut.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import psutil
import reference
import torch
from shared import machine
from threadpoolctl import threadpool_limits
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM
from transformers.pytorch_utils import Conv1D

import fedhds
from fedhds import config as configuration
from fedhds.adapters.lora import Lora
from fedhds.batching import TOKENS
from fedhds.config import Config
from fedhds.evaluation.generation import generate
from fedhds.files import write_json
from fedhds.models import (
    LanguageModel,
    adapter_arrays,
    add_adapter,
    set_adapter_arrays,
)
from fedhds.preparation import prepare
from fedhds.pretrained import load_tokenizer
from fedhds.rng import generator
from fedhds.selection.fedhds import FedHDS
from fedhds.signals import Reader
from fedhds.tuning.local import tune
from fedhds.tuning.options import TuningOptions
from fedhds.types import Example, Sample, Signals, Silent

RESULTS = Path(__file__).parent / "results"
QUIET = Silent()
ANSWER = 128
"""Tokens of an answer, as in the paper."""
SHARED = 64
"""Tokens that a client's samples begin with: a template and a short definition."""
BARS = {
    "signals": "2 x, or floor 1.2",
    "signals, shared beginning": "2 x, or floor 1.2",
    "signals, proxy": "2 x, or floor 1.2",
    "signals, proxy, shared beginning": "2 x, or floor 1.2",
    "signals, proxy, second time": "100 x",
    "grouping": "5 x, memory 1/8",
    "generation": "8 x (GPU: 20 x)",
    "round": "1.5 x",
    "round, fedhds-turbo": "4 x",
    "engine": "10 ms",
}
"""What is aimed at: so many times as fast as the reference, or at most so many floors."""


@dataclass(frozen=True)
class Setting:
    """Where and how large: a small cut, or all of it; on a CPU, or on a GPU in bfloat16."""

    quick: bool
    device: torch.device
    model: str | None = None
    data: str | None = None

    @property
    def gpu(self) -> bool:
        return self.device.type == "cuda"

    def size(self, full: int, quick: int) -> int:
        """Choose a number of samples."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Phase:
    """One thing to be timed.

    Attributes
    ----------
    ours, reference : callable
        Do it once; the reference is None where there is none.
    floor : callable or None
        Returns the seconds that its multiply-adds alone take at this moment.
    unit : int
        Samples (or rounds) in one call, by which times are divided.
    note : str
        What it was measured on.
    """

    ours: Callable[[], Any]
    reference: Callable[[], Any] | None = None
    floor: Callable[[], float] | None = None
    unit: int = 1
    note: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


# --- models and samples ----------------------------------------------------------------------


def tuned_model(setting: Setting) -> LanguageModel:
    """Build the model that is tuned, with LoRA on all linear layers that already does something."""
    small = {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 6}
    small |= {"num_attention_heads": 3, "vocab_size": 4096}
    large = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16}
    large |= {"num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000}
    torch.manual_seed(0)
    options: dict[str, Any] = large if setting.gpu else small
    base = LlamaForCausalLM(LlamaConfig(**options, tie_word_embeddings=True))
    base.to(setting.device, torch.bfloat16 if setting.gpu else torch.float32)
    model = add_adapter(base, Lora(), 0)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, 0, 0.02)
    return LanguageModel(model.eval(), _tokenizer(), setting.device)


def proxy_model(setting: Setting) -> LanguageModel:
    """Build the frozen proxy: GPT-2's shapes, the paper's; without an adapter."""
    torch.manual_seed(0)
    base = GPT2LMHeadModel(GPT2Config(n_layer=setting.size(12, 2))).eval()
    base.to(setting.device, torch.bfloat16 if setting.gpu else torch.float32)
    return LanguageModel(base, _tokenizer(), setting.device)


def _tokenizer() -> Any:
    return load_tokenizer(fedhds.preparation.base_source(configuration.load(None)))


def draw_samples(count: int, shared: int = 0) -> list[Sample]:
    """Draw samples of random tokens: 65 to 384 long, 160 on average, like P3's."""
    rng = generator(0, "samples")
    lengths = np.clip(rng.lognormal(5.0, 0.35, count), 65, 384).astype(int)
    example = Example("", "", "", "", ())
    beginning = rng.integers(5, 1000, shared).tolist()
    samples = []
    for length in lengths:
        tokens = (*beginning, *rng.integers(5, 1000, length - shared).tolist())
        samples.append(Sample(example, tokens[:-12], tokens[-12:]))
    return samples


def describe(model: LanguageModel) -> str:
    """Name a model by its kind and size, its adapter if it has one."""
    size = sum(parameter.numel() for parameter in model.base.parameters()) / 1e6
    lora = " with LoRA" if model.model is not model.base else ""
    return f"{model.base.config.model_type} of {size:.1f} M{lora}"


# --- the floor -------------------------------------------------------------------------------


def rate(model: LanguageModel, rows: int | None = None) -> float:
    """Measure how many multiply-adds a second the layers' matrices allow, of so many tokens.

    None is as many as a forward pass takes.
    """
    rows = rows or TOKENS[model.device.type]
    shapes: dict[tuple[int, int], int] = {}
    for module in _matrices(model):
        shape = module.weight.shape
        key = (shape[0], shape[1]) if isinstance(module, Conv1D) else (shape[1], shape[0])
        shapes[key] = shapes.get(key, 0) + 1
    dtype = next(model.model.parameters()).dtype
    work = seconds = 0.0
    for (inputs, outputs), count in shapes.items():
        tokens = torch.randn(rows, inputs, device=model.device).to(dtype)
        weight = torch.randn(outputs, inputs, device=model.device).to(dtype)
        runs = [timed(partial(nn.functional.linear, tokens, weight), model.device, 4)]
        runs += [timed(partial(nn.functional.linear, tokens, weight), model.device, 4)]
        work += count * rows * inputs * outputs
        seconds += count * min(runs) / 4
    return work / seconds


def _matrices(model: LanguageModel) -> list[Any]:
    """Return the layers' matrices, LoRA's own left out."""
    return [
        module
        for name, module in model.decoder.named_modules()
        if isinstance(module, nn.Linear | Conv1D) and "lora_" not in name
    ]


def layer_work(model: LanguageModel, tokens: int) -> float:
    """Count the multiply-adds of ``tokens`` tokens in all layers, attention apart."""
    return float(tokens * sum(module.weight.numel() for module in _matrices(model)))


def attention_work(model: LanguageModel, seen: float) -> float:
    """Count those of attention; ``seen`` sums over the tokens how many each looks at."""
    config = model.base.config.get_text_config()
    return 2.0 * seen * config.hidden_size * config.num_hidden_layers


def reading_work(model: LanguageModel, lengths: Sequence[int], shared: int = 0) -> float:
    """Count the multiply-adds of reading sequences without a head, what they share once."""
    again = len(lengths) - 1
    seen = sum(length * (length + 1) / 2 for length in lengths) - again * shared * (shared + 1) / 2
    return layer_work(model, sum(lengths) - again * shared) + attention_work(model, seen)


def head_work(model: LanguageModel, tokens: int) -> float:
    """Count those of the logits of ``tokens`` tokens."""
    config = model.base.config.get_text_config()
    return float(tokens * config.hidden_size * config.vocab_size)


# --- the phases ------------------------------------------------------------------------------


def signals(setting: Setting, model: LanguageModel, shared: int, count: int) -> Phase:
    """Read the hidden states of one client."""
    samples = draw_samples(count, shared)
    reader = Reader(model, samples, 32, False, QUIET)
    return Phase(
        lambda: reader.read("hidden_states"),
        lambda: reference.read(model.model, samples, setting.device),
        lambda: (
            reading_work(model, [s.length for s in samples], shared)
            / rate(model, TOKENS[model.device.type])
        ),
        count,
        describe(model) + (f", {shared} tokens shared" if shared else ""),
    )


def second_time(setting: Setting) -> Phase:
    """Read what a frozen proxy has read before; the reference reads it again."""
    model, count = proxy_model(setting), setting.size(24, 8)
    samples = draw_samples(count)
    reader = Reader(model, samples, 32, True, QUIET)
    reader.read("hidden_states")
    again = lambda: reference.read(model.model, samples, setting.device)  # noqa: E731
    return Phase(lambda: reader.read("hidden_states"), again, unit=count, note=describe(model))


def grouping(setting: Setting) -> Phase:
    """Lay out and group one client's samples by features of 25 topics."""
    count, layers, width = setting.size(500, 60), 30, 3200
    rng = generator(0, "features")
    topics = rng.normal(size=(25, layers, width)).astype(np.float32)
    states = topics[rng.integers(25, size=count)]
    for row in states:
        row += 2 * rng.normal(size=row.shape).astype(np.float32)
    given = Signals(count, {"hidden_states": states})

    def published() -> None:
        rows = [row.reshape(-1).astype(np.float64) for row in states]
        reference.centroids(*reference.group(rows))

    def floor() -> float:
        block = states.reshape(count, -1)[:, :4096]
        once = timed(lambda: block @ block.T, torch.device("cpu"), 2) / 2
        return once * layers * width / block.shape[1]

    ours = lambda: FedHDS().group(given, {}, {}, generator(0, "group"))  # noqa: E731
    return Phase(ours, published, floor, 1, f"{count} samples, {layers} x {width}, 25 topics")


def choice(setting: Setting) -> Phase:
    """Choose among the centroids of the clients, 50 of each."""
    clients = setting.size(200, 20)
    rng = generator(0, "centroids")
    topics = rng.uniform(-50, 50, (20, 2))
    drawn = topics[rng.integers(20, size=(clients, 50))] + rng.normal(size=(clients, 50, 2))
    sent = {
        client: {
            "centroids": centroids.astype(np.float32),
            "samples": np.array([100]),
            "ungrouped": np.array([0]),
        }
        for client, centroids in enumerate(drawn)
    }
    ours = lambda: FedHDS().choose({}, sent, None, generator(0, "choose"))  # noqa: E731
    points = drawn.reshape(-1, 2)
    return Phase(ours, lambda: reference.choose(points), note=f"{len(points):,} centroids in 2-d")


def tuning(setting: Setting) -> Phase:
    """Train on a coreset, one sample a step."""
    model, count = tuned_model(setting), setting.size(30, 4)
    samples, weights = draw_samples(count), np.ones(count, np.float32)
    start = adapter_arrays(model.model)

    def ours() -> None:
        set_adapter_arrays(model.model, start)
        tune(model, samples, weights, TuningOptions(), 0, 0, 1, QUIET)

    def published() -> None:
        set_adapter_arrays(model.model, start)
        reference.train(model.model, samples, 3e-4, setting.device)

    answered = sum(len(sample.response) for sample in samples)
    # the gradient goes back through every product once; the weights themselves have none
    read = reading_work(model, [sample.length for sample in samples])
    work = 2 * (read + head_work(model, answered))
    floor = lambda: work / rate(model, 160)  # noqa: E731
    return Phase(ours, published, floor, count, f"{describe(model)}, batch 1")


def generation(setting: Setting) -> Phase:
    """Answer prompts with as many tokens as allowed: the model never ends by itself."""
    model, count = tuned_model(setting), setting.size(60, 6)
    length = setting.size(ANSWER, 8)
    prompts = [sample.prompt for sample in draw_samples(count, SHARED)]
    model.base.generation_config.eos_token_id = None

    def floor() -> float:
        first = reading_work(model, [len(prompt) for prompt in prompts], SHARED)
        written = count * (length - 1)
        looked_at = sum((n + (length - 1) / 2) * (length - 1) for n in map(len, prompts))
        later = layer_work(model, written) + head_work(model, count * length)
        later += attention_work(model, looked_at)
        return first / rate(model) + later / rate(model, count)

    return Phase(
        lambda: generate(model, prompts, length, count, QUIET),
        lambda: reference.answer(model.model, prompts, length, setting.device),
        floor,
        count,
        f"{describe(model)}, {length} tokens each",
    )


def ending_generation(setting: Setting) -> Phase:
    """Answer unseen prompts of ``--data`` by ``--model``, most of which end soon."""
    experiment = prepare(_federation(setting, "fedhds", 1), QUIET, selects=False)
    model, unseen = experiment.model, experiment.data.unseen
    rng, count = generator(0, "unseen"), setting.size(60, 6)
    chosen = sorted(rng.choice(len(unseen), count, replace=False).tolist())
    prompts = [unseen[i].prompt for i in chosen]
    return Phase(
        lambda: generate(model, prompts, ANSWER, count, QUIET),
        lambda: reference.answer(model.model, prompts, ANSWER, setting.device),
        None,
        count,
        f"{Path(str(setting.model)).name}, untuned, at most {ANSWER} tokens",
    )


class Rounds(Silent):
    """Takes down when each round ended."""

    def __init__(self, device: torch.device) -> None:
        self.ends: list[float] = []
        self._device = device

    def say(self, event: str, text: str, **facts: Any) -> None:
        """Note the end of a round."""
        if event == "round":
            self.ends.append(now(self._device))


def whole_round(setting: Setting, method: str) -> Phase:
    """Play a round of ten clients of a hundred samples, evaluation apart.

    Ours is the second of three, as the first is no steady state and the last is evaluated.
    """
    experiment = prepare(_federation(setting, method, 3), QUIET)
    model, clients = experiment.model, experiment.data.clients
    start, sizes = adapter_arrays(model.model), {"ours": 0, "the reference": 0}

    def ours() -> float:
        told = Rounds(setting.device)
        with tempfile.TemporaryDirectory() as folder:
            done = fedhds.run(_federation(setting, method, 3), Path(folder) / "run", progress=told)
        sizes["ours"] = round(done.summary["sample_passes"] / 3)
        return told.ends[1] - told.ends[0]

    def published() -> None:
        layouts = []
        for number, client in enumerate(clients):
            reader = experiment.reader(number, QUIET)
            rows = reference.read(reader.model.model, reader.samples, setting.device)
            layouts.append((client.train, *reference.group(rows)))
        means = [reference.centroids(points, labels) for _, points, labels in layouts]
        every = np.concatenate(means)
        groups = reference.choose(every)
        nearest = reference.pick(every, reference.centroids(every, groups))
        kept, sums, sizes["the reference"], first = set(nearest), [], 0, 0
        for (train, points, _), mine in zip(layouts, means, strict=True):
            wanted = mine[[i for i in range(len(mine)) if first + i in kept]]
            first += len(mine)
            coreset = [train[i] for i in reference.pick(points, wanted)]
            sizes["the reference"] += len(coreset)
            set_adapter_arrays(model.model, start)
            reference.train(model.model, coreset, 3e-4, setting.device)
            sums.append(adapter_arrays(model.model))
        for name in start:
            sum(adapter[name] for adapter in sums)

    name = f"{Path(setting.model).name} on P3" if setting.model else "the toy federation"
    note = f"10 clients of {sum(len(c.train) for c in clients) // 10} samples, {name}"
    return Phase(ours, published, None, 1, note, sizes)


def _federation(setting: Setting, method: str, rounds: int) -> Config:
    """Describe ten clients of a hundred samples; evaluated as little as can be."""
    own: dict[str, Any] = {"toy_samples": 13}
    name = "embedded"
    if setting.model and setting.data:
        folder, name = Path(setting.data), setting.model
        own = {"train": str(folder / "train.jsonl.gz"), "eval": str(folder / "unseen.jsonl.gz")}
        own |= {"preset": "p3", "max_length": 384}
    return configuration.parse(
        {
            "model": {"name": name, "proxy": name if "turbo" in method else None, "threads": 1},
            "data": own | {"per_client": setting.size(100, 20)},
            "partition": {"kind": "iid", "clients": 10},
            "selection": {"method": method},
            "federation": {"rounds": rounds, "fraction": 1.0},
            "evaluation": {"validation": 0.0, "per_task": 1, "max_new_tokens": 1},
        }
    )


def engine(setting: Setting) -> dict[str, Any]:
    """Take the engine's own milliseconds a round from its benchmark."""
    script = Path(__file__).with_name("engine.py")
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder) / "engine.json"
        rounds = str(setting.size(10, 1))
        command = [sys.executable, str(script), "--sizes", "0.1 MB", "--rounds", rounds]
        subprocess.run([*command, "--json", str(written)], check=True, capture_output=True)
        [found] = json.loads(written.read_text())["sizes"].values()
    return {
        "vs_reference": None,
        "vs_floor": None,
        "memory_vs_reference": None,
        "milliseconds": {"ours": found["engine_ms"]},
        "spread": {"ours": [found[f"{end}_ms"] / found["engine_ms"] for end in ENDS]},
        "megabytes": {},
        "note": "10 clients, adapter of 0.1 MB, beside model work",
        "facts": {},
    }


ENDS = ("fastest", "slowest")
PHASES: dict[str, Callable[[Setting], Phase]] = {
    "signals": lambda s: signals(s, tuned_model(s), 0, s.size(100, 12)),
    "signals, shared beginning": lambda s: signals(s, tuned_model(s), SHARED, s.size(100, 12)),
    "signals, proxy": lambda s: signals(s, proxy_model(s), 0, s.size(24, 4)),
    "signals, proxy, shared beginning": lambda s: signals(s, proxy_model(s), SHARED, s.size(24, 4)),
    "signals, proxy, second time": second_time,
    "grouping": grouping,
    "choice": choice,
    "tuning": tuning,
    "generation": generation,
    "generation, ending": ending_generation,
    "round": partial(whole_round, method="fedhds"),
    "round, fedhds-turbo": partial(whole_round, method="fedhds-turbo"),
}


# --- measuring -------------------------------------------------------------------------------


def now(device: torch.device) -> float:
    """Return the seconds that count: the process's own on a CPU, the clock's on a GPU."""
    if device.type != "cuda":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def timed(call: Callable[[], Any], device: torch.device, times: int = 1) -> float:
    """Return the seconds of ``times`` calls, or what a call says itself that it took."""
    started = now(device)
    for _ in range(times):
        told = call()
    return told if isinstance(told, float) else now(device) - started


def measure(name: str, setting: Setting, repeats: int) -> dict[str, Any]:
    """Run a phase, its reference and its floor in turn; return medians, spread and ratios."""
    phase = PHASES[name](setting)
    sides = {"ours": phase.ours, "reference": phase.reference}
    seconds: dict[str, list[float]] = {"ours": [], "reference": [], "floor": []}
    phase.ours()  # what is loaded or compiled at a first call is no part of it
    for _ in range(repeats):
        for side, call in sides.items():
            if call is not None:
                seconds[side].append(timed(call, setting.device))
        if phase.floor is not None:
            seconds["floor"].append(phase.floor())
    middle = {side: median(values) for side, values in seconds.items() if values}
    # a round is made of the phases, whose memory is measured by themselves
    grown = {} if name.startswith("round") or "ending" in name else growth(name, setting)
    return {
        "vs_reference": _ratio(middle.get("reference"), middle["ours"]),
        "vs_floor": _ratio(middle["ours"], middle.get("floor")),
        "memory_vs_reference": _ratio(grown.get("ours"), grown.get("reference")),
        "milliseconds": {side: 1000 * value / phase.unit for side, value in middle.items()},
        "spread": {s: [min(v) / middle[s], max(v) / middle[s]] for s, v in seconds.items() if v},
        "megabytes": {side: value / 1e6 for side, value in grown.items()},
        "note": phase.note,
        "facts": dict(phase.facts),
    }


def _ratio(above: float | None, below: float | None) -> float | None:
    return above / below if above is not None and below else None


def growth(name: str, setting: Setting) -> dict[str, float]:
    """Return how many bytes each side adds to a process of its own."""
    found = {}
    for side in ("ours", "reference"):
        command = [sys.executable, __file__, "--grow", name, side, "--device", setting.device.type]
        command += ["--quick"] if setting.quick else []
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found[side] = float(done.stdout.split()[-1])
    return found


def grow(name: str, side: str, setting: Setting) -> float:
    """Do one side of a phase once; return by how many bytes the process grew at most.

    A small cut goes first, so that what libraries load for good does not count.
    """
    getattr(PHASES[name](Setting(True, setting.device)), side)()
    call = getattr(PHASES[name](setting), side)
    gc.collect()
    if setting.gpu:
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        call()
        return float(torch.cuda.max_memory_allocated() - before)
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from here
    before = psutil.Process().memory_info().rss
    call()
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return float(int(peak.split()[1]) * 1024 - before)


def table(found: dict[str, dict[str, Any]], setting: Setting, repeats: int) -> str:
    """Write the figures as Markdown."""
    lines = [
        f"# Speed and memory by phase: {'a GPU, bfloat16' if setting.gpu else 'a CPU, float32'}",
        "",
        f"Machine: {torch.cuda.get_device_name() if setting.gpu else machine(1)}; "
        f"torch {torch.__version__}. Medians of {repeats} interleaved runs; "
        f"{'time by the clock' if setting.gpu else 'CPU time of the process'}.",
        "A time is of one sample (signals, tuning, generation), client (grouping), or round. "
        "The reference does what the published code does (`benchmarks/reference.py`); the floor "
        "is what the multiply-adds of the real tokens alone take at the rate of the model's own "
        "matrices (of grouping: of the features' products). The spread is the least and the most "
        "beside the median: ours, the reference, the floor.",
        "Command: `python benchmarks/speed.py --model MODEL --data DATA --write`.",
        "",
        "| phase | aim | times the reference | times the floor | ours, ms | reference, ms "
        "| spread | memory, ours / reference, MB | measured on |",
        "|---|---|---:|---:|---:|---:|---|---|---|",
    ]
    for name, made in found.items():
        cells = [name, BARS.get(name, "")]
        cells += [f"{made[key]:.2f}" if made.get(key) else "" for key in ("vs_reference",)]
        cells += [f"{made['vs_floor']:.2f}" if made.get("vs_floor") else ""]
        took = made["milliseconds"]
        cells += [f"{took[s]:,.2f}" if s in took else "" for s in ("ours", "reference")]
        cells += [" ".join(f"{low:.2f}-{high:.2f}" for low, high in made["spread"].values())]
        cells += [" / ".join(f"{value:,.0f}" for value in made["megabytes"].values())]
        facts = "".join(f"; {n} samples chosen by {who}" for who, n in made["facts"].items())
        lines.append("| " + " | ".join([*cells, made["note"] + facts]) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a small cut")
    parser.add_argument("--phases", nargs="+", choices=[*PHASES, "engine"])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--model")
    parser.add_argument("--data")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", action="store_true", help="write results/speed-<device>.md")
    parser.add_argument("--grow", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.write and (options.quick or options.phases):
        parser.error("--write keeps the whole table: neither --quick nor --phases goes with it")
    if not options.model and "generation, ending" in (options.phases or []):
        parser.error("'generation, ending' needs --model and --data")
    setting = Setting(options.quick, torch.device(options.device), options.model, options.data)
    torch.set_num_threads(1)
    with threadpool_limits(1), tempfile.TemporaryDirectory() as cache:
        os.environ["FEDHDS_CACHE"] = cache
        if options.grow:
            print(grow(*options.grow, setting))
            return
        found = {}
        for name in options.phases or [*PHASES, "engine"]:
            if name == "generation, ending" and not options.model:
                continue
            made = engine(setting) if name == "engine" else measure(name, setting, options.repeats)
            print(name, json.dumps(made), file=sys.stderr, flush=True)
            found[name] = made
    text = table(found, setting, options.repeats)
    print(text)
    if options.json:
        write_json(options.json, found)
    if options.write:
        (RESULTS / f"speed-{setting.device.type}.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
