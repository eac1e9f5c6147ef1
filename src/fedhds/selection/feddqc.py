"""The samples whose prompts tell most of their answers, the easiest first, in stages.

Source: FedDQC (Du et al., Findings of ACL 2025, arXiv 2410.11540), section 3 and algorithm 1

The rounds are divided into stages. At a stage's start every client scores its samples by their
IRA (how much the prompt lowers the loss of the answer) with the global model as it is then, and
tells the histogram of the scores of those that no earlier stage took. The server sums the
histograms up and sets one threshold for all clients. Of its samples above it a client trains on
the best in this stage: one in three in the first of three stages, half in the second, all that
are left in the last. What lies below is not lost: the next stage scores it again.

Deviations from the paper: the threshold comes from the share of all samples to ``keep``, as the
paper tunes it and gives no value; losses are means over tokens and not sums, as in the published
code, since sums are the higher the longer an answer is; an answer without its instruction stands
behind the layout of prompts and not alone (`signals.loss_uninstructed`); a stage takes one in K - k
+ 1 (the K - k of algorithm 1 is 0 in the last); at a stage's start all clients take part, and so
tune; without a budget a round tunes on the whole set of the stage, with one on a random draw of it;
the aggregation is whatever the run's is. From the published code: it scores once, before training,
by the untuned model; it cuts each client by its own quantile, which takes too much of noisy clients
and too little of clean ones; it never uses the remainder of a division into stages, and fails with
fewer rounds than stages.

What a client takes for a stage counts as trained on, also where it then fails, or a budget asks for
less of it. A histogram says much: of few samples, each has a bin of its own, so that it is their
scores to 1/32; only secure aggregation, which is not here, would hide it in the clients' sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from fedhds.selection._alignment import ira
from fedhds.selection._budget import apportion
from fedhds.types import (
    Array,
    Arrays,
    ArraySpec,
    Coreset,
    Exchange,
    Memory,
    Schedule,
    SelectionMethod,
    Signals,
    State,
)

BINS = 1024
EDGES = (np.arange(BINS) - BINS // 2) / 32
"""Where the histogram's bins begin, from -16 to just below 16 nats; the ends hold what is beyond.

They are fixed, as histograms can be summed only where all clients' bins are the same; numbers
that are exact, so that both sides agree on what lies above one; and wide, as a model tuned on
prompts may be at a loss without one: of the demo's, an IRA of 13 was seen and a median of 5.
"""

ONLY_STAGE = np.array([1, 1])
"""The stage of a round that names none."""

LEAST = 3
"""A client of fewer samples tells no histogram; the threshold is set without it, but is its too."""

COUNT = ArraySpec("int64", (1,), low=0, high=2**31)


@dataclass(frozen=True)
class FedDQC(SelectionMethod):
    """Choose by alignment of prompt and answer, above one threshold, from easy to hard.

    Attributes
    ----------
    keep : float
        The share of all samples that the stages take together; above 0, at most 1.
    stages : int
        How many, at most one a round.
    """

    keep: float = 0.5
    stages: int = 3

    budget: ClassVar[Literal["optional"]] = "optional"

    def __post_init__(self) -> None:
        """Check the options' ranges."""
        if not 0 < self.keep <= 1:
            raise ValueError("keep must be above 0 and at most 1")
        if self.stages < 1:
            raise ValueError("stages must be at least 1")

    @property
    def steps(self) -> tuple[Exchange, ...]:
        """Histograms up and the threshold down; sizes of the stage's sets up and quotas down."""
        histogram = ArraySpec("int64", (BINS,), low=0, high=2**31)
        threshold = ArraySpec("float64", (1,), low=EDGES[0], high=EDGES[-1])
        return (
            Exchange(
                client=self.score,
                server=self.agree,
                summary={"histogram": histogram, "earlier": COUNT},
                reply={"threshold": threshold},
            ),
            Exchange(
                client=self.take,
                server=self.divide,
                summary={"taken": COUNT, "samples": COUNT},
                reply={"quota": COUNT},
            ),
        )

    @property
    def described_group(self) -> int:
        """Single samples: a bin of the histogram may hold just one, which is its score to 1/32."""
        return 1

    def needs(self) -> tuple[str, ...]:
        """Need both losses, of the model as it is at a stage's start."""
        return ("loss_with_prompt", "loss_uninstructed")

    def schedule(self, round: int, rounds: int) -> Schedule:
        """Divide the rounds into stages as equal as can be; all clients are there at the start."""
        stages = min(self.stages, rounds)
        before, now = ((number - 1) * stages // rounds for number in (round - 1, round))
        starts = now != before  # the round before the first counts as of stage -1
        return Schedule("choose", "all" if starts else "sampled", (now + 1, stages))

    def score(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> tuple[dict[str, Array], Memory]:
        """Score the samples once a stage, and tell how the scores are spread (client).

        Returns
        -------
        summary : dict
            ``histogram`` (`BINS`,) of the scores of what no earlier stage took, and how many
            samples ``earlier`` stages took; nothing of fewer than `LEAST` samples.
        memory : dict
            The ``stage``; ``scores`` (samples,) and whether an ``earlier`` stage took each
            sample; ``order`` (samples,), the best first but those taken earlier last; and how
            many of these are ``taken`` now.
        """
        stage = received.get("stage", ONLY_STAGE)
        if not np.array_equal(memory.get("stage", ()), stage):
            losses = (signals.arrays[need] for need in self.needs())
            memory = _scored(ira(*losses), memory) | {"stage": stage}
        told = ~memory["earlier"] & (signals.samples >= LEAST)
        bins = np.searchsorted(EDGES[1:], memory["scores"][told], side="right")
        earlier = memory["earlier"].sum() if signals.samples >= LEAST else 0
        histogram = np.bincount(bins, minlength=BINS)
        return {"histogram": histogram, "earlier": np.array([earlier])}, memory

    def agree(
        self,
        state: State,
        summaries: Mapping[int, Arrays],
        budget: int | None,
        rng: np.random.Generator,
    ) -> tuple[State, dict[int, dict[str, Array]]]:
        """Set the threshold once a stage (server).

        Returns
        -------
        state : dict
            The ``threshold``, the ``threshold_stage`` it is of, how many samples were ``left``
            then and how many of them ``passed``; and whether all that is ``rescored``.
        replies : dict
            The ``threshold``, the same to every client.
        """
        stage = int(state.get("stage", ONLY_STAGE)[0])
        rescored = stage != int(state.get("threshold_stage", [0])[0])
        if rescored:
            histogram = np.sum([summary["histogram"] for summary in summaries.values()], axis=0)
            earlier = sum(int(summary["earlier"][0]) for summary in summaries.values())
            state = state | self._cut(histogram, earlier) | {"threshold_stage": np.array([stage])}
        state = state | {"rescored": np.array([int(rescored)])}
        return state, {client: {"threshold": state["threshold"]} for client in sorted(summaries)}

    def _cut(self, histogram: Array, earlier: int) -> State:
        """Find the highest edge above which enough is left to keep the share of all.

        At least one sample passes while any is left, as bins are coarse and an earlier stage
        may have taken more than its part.
        """
        passing = np.cumsum(histogram[::-1])[::-1]
        left = int(passing[0])
        goal = min(max(round(self.keep * (left + earlier)) - earlier, 1), left)
        # where nobody told anything, all that there is passes
        edge = np.flatnonzero(passing >= goal)[-1] if left else 0
        return {
            "threshold": EDGES[[edge]],
            "passed": passing[[edge]],
            "left": passing[[0]],
        }

    def take(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> tuple[dict[str, Array], Memory]:
        """Take the stage's part of what lies above the threshold (client).

        Returns
        -------
        summary : dict
            How many samples are ``taken``, and how many ``samples`` there are.
        memory : dict
            As before, with what is ``taken``: the next stage leaves it out.
        """
        stage, stages = memory["stage"].tolist()
        # the lowest bin holds what is below it, too
        above = np.maximum(memory["scores"], EDGES[0]) >= received["threshold"]
        taken = np.array([(above & ~memory["earlier"]).sum() // (stages - stage + 1)])
        return {"taken": taken, "samples": np.array([signals.samples])}, memory | {"taken": taken}

    def divide(
        self,
        state: State,
        summaries: Mapping[int, Arrays],
        budget: int | None,
        rng: np.random.Generator,
    ) -> tuple[State, dict[int, dict[str, Array]]]:
        """Divide the budget over the stage's sets, then over what else there is (server).

        Returns
        -------
        state : dict
            How many samples these clients have ``taken`` for the stage beside what was there.
        replies : dict
            Per client its ``quota``; without a budget all that it has taken.
        """
        clients = sorted(summaries)
        taken, samples = (
            np.array([int(summaries[client][name][0]) for client in clients])
            for name in ("taken", "samples")
        )
        taken = np.minimum(taken, samples)
        quotas = taken
        if budget is not None:
            quotas = apportion(budget, taken)
            quotas += apportion(budget - int(quotas.sum()), (samples - taken).clip(0))
        replies = {c: {"quota": quotas[[place]]} for place, c in enumerate(clients)}
        return state | {"taken": taken.sum(keepdims=True)}, replies

    def pick(
        self, signals: Signals, received: Arrays, memory: Memory, rng: np.random.Generator
    ) -> Coreset:
        """Draw the quota from the stage's set; where that is too small, go on down the order."""
        order, taken, quota = memory["order"], int(memory["taken"][0]), int(received["quota"][0])
        if quota < taken:
            return Coreset.of(rng.choice(order[:taken], quota, replace=False))
        return Coreset.of(order[:quota])

    def remarks(self, state: State) -> tuple[str, ...]:
        """Tell at a stage's start how much passes the threshold, and how much is taken of it."""
        if not state["rescored"][0]:
            return ()
        number, stages = state.get("stage", ONLY_STAGE)
        passed, left, taken = (int(state[name][0]) for name in ("passed", "left", "taken"))
        return (
            f"stage {number} of {stages}: {passed} of the {left} samples left have an IRA of at "
            f"least {state['threshold'][0]:.2f}, and {taken} are taken now",
        )


def _scored(scores: Array, memory: Memory) -> Memory:
    """Rank samples by their scores; what the last stage took is now taken earlier."""
    earlier = memory.get("earlier", np.zeros(len(scores), bool)).copy()
    if "taken" in memory:  # not by a client that dropped out before it knew the threshold
        earlier[memory["order"][: memory["taken"][0]]] = True
    return {"scores": scores, "earlier": earlier, "order": np.lexsort((-scores, earlier))}
