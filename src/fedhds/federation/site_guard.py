"""What keeps a site's policy, whatever the server asks for: every rule is enforced here.

`Guard.admit` before a message is unpacked and anything is loaded for it, `Guard.check_tuning` and
`Guard.check_scores` before samples are described, the `Clock` while the site works,
`Guard.check_departure` and `Guard.keep` before a reply leaves. A refusal travels as its reason,
which is made of the policy's words, counts of samples and sizes of messages alone.

What a policy cannot do: rounds are numbered by the server, so seconds are of what it calls one; a
step of selection is not interrupted; a message is in memory before its size is known; and the
seconds of a message that the site died over are lost.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from fedhds.federation.ledger import Ledger, entry_of, error_entry, size
from fedhds.federation.messages import BadMessage
from fedhds.federation.policy import Asked, Policy, counted, refusal
from fedhds.types import Progress

if TYPE_CHECKING:
    from flwr.app import RecordDict

T = TypeVar("T")


class Refused(Exception):
    """A site does not do what it was asked to; one sentence of ours, which travels."""


class Guard:
    """A site without a policy: all is allowed, and nothing is written down."""

    def admit(self, records: RecordDict, round: int, started: float) -> Clock | None:
        """Let a message in, before it is unpacked and the site opened.

        Parameters
        ----------
        round : int
            That the server says the message is of.
        started : float
            When it came, by `time.perf_counter`.

        Returns
        -------
        Clock or None
            Until when the site may work for it; None if that is not limited.

        Raises
        ------
        Refused
            If it is too large, the policy does not allow the run, or the round's time is over.
        """
        return None

    def check_tuning(self, samples: int, round: int) -> None:
        """Refuse to tune on so many samples more in a round, or on so few at all."""

    def check_trained(self, samples: int) -> None:
        """Refuse to send an adapter that so few samples changed that it tells of them."""

    def check_scores(self, samples: int) -> None:
        """Refuse to tell sums of scores over too few samples."""

    def tellable(self, samples: int) -> int:
        """Return how many validation samples there are to be asked for: none if too few."""
        return samples

    def check_departure(self, records: RecordDict) -> None:
        """Refuse to send a reply that is too large."""

    def keep(
        self, outcome: RecordDict | Refused | str, kind: str, round: int, seconds: float
    ) -> None:
        """Write down what is about to leave: a reply, or the reason why there is none.

        Raises
        ------
        OSError
            If it cannot be written down; then it must not leave.
        """


@dataclass(frozen=True)
class PolicyGuard(Guard):
    """A site's policy, what a run asks of the site, and the run's ledger."""

    policy: Policy
    asked: Asked
    ledger: Ledger

    def admit(self, records: RecordDict, round: int, started: float) -> Clock | None:
        """See `Guard.admit`."""
        self._check_size(records, "the message to it")
        if reason := refusal(self.policy, self.asked):
            raise self._refused(reason)
        most = self.policy.seconds_per_round
        if most is None:
            return None
        end = started + most - self.ledger.seconds(round)
        clock = Clock(end, self._refused(f"the round took its {most:g} seconds"))
        clock.check()
        return clock

    def check_tuning(self, samples: int, round: int) -> None:
        """See `Guard.check_tuning`; a round that is played again counts twice."""
        most = self.policy.samples_per_round
        if most is not None and (all_in_all := samples + self.ledger.samples(round)) > most:
            raise self._refused(
                f"the round was to tune on {counted(all_in_all)}, of {most:,} allowed"
            )
        self._check_enough(samples, "an adapter of")

    def check_trained(self, samples: int) -> None:
        """See `Guard.check_trained`."""
        self._check_enough(samples, "an adapter of")

    def check_scores(self, samples: int) -> None:
        """See `Guard.check_scores`."""
        self._check_enough(samples, "scores of")

    def tellable(self, samples: int) -> int:
        """See `Guard.tellable`."""
        return samples if samples >= self.policy.smallest_group else 0

    def check_departure(self, records: RecordDict) -> None:
        """See `Guard.check_departure`."""
        self._check_size(records, "its reply")

    def keep(
        self, outcome: RecordDict | Refused | str, kind: str, round: int, seconds: float
    ) -> None:
        """See `Guard.keep`."""
        if isinstance(outcome, Refused | str):
            entry = error_entry(str(outcome), isinstance(outcome, Refused), kind, round, seconds)
        else:
            entry = entry_of(outcome, kind, round, seconds)
        self.ledger.keep(entry)

    def _check_size(self, records: RecordDict, what: str) -> None:
        most, found = self.policy.largest_message, size(records)
        if most is not None and found > most:
            raise self._refused(f"{what} has {found:,} bytes, of {most:,} allowed")

    def _check_enough(self, samples: int, what: str) -> None:
        least = self.policy.smallest_group
        if 0 < samples < least:
            raise self._refused(
                f"{what} {counted(samples)} would tell of them; its policy asks for {least}"
            )

    def _refused(self, reason: str) -> Refused:
        return Refused(f"site '{self.policy.site}' refuses: {reason}")


@dataclass(frozen=True)
class ClosedGuard(Guard):
    """A site whose policy cannot be read: nothing is let in, and that is written down."""

    reason: str
    ledger: Ledger

    def admit(self, records: RecordDict, round: int, started: float) -> Clock | None:
        """Refuse whatever it is, as a mistake of the site's and not by its policy."""
        raise BadMessage(self.reason)

    def keep(
        self, outcome: RecordDict | Refused | str, kind: str, round: int, seconds: float
    ) -> None:
        """See `Guard.keep`."""
        self.ledger.keep(error_entry(str(outcome), False, kind, round, seconds))


UNGUARDED = Guard()
"""The guard of a site in a run that has one process, or one machine, alone."""


@dataclass(frozen=True)
class Clock:
    """When a site is to stop working for a round, by `time.perf_counter`."""

    end: float
    refused: Refused

    def check(self) -> None:
        """Raise `Refused` if the time is over."""
        if time.perf_counter() >= self.end:
            raise self.refused


@dataclass(frozen=True)
class TimedProgress:
    """Progress that stops the work it is told of, between two items, when the time is over."""

    progress: Progress
    clock: Clock

    def track(self, items: Iterable[T], description: str, total: int) -> Iterator[T]:
        """Yield ``items``, looking at the clock before each is worked on."""
        for item in self.progress.track(items, description, total):
            self.clock.check()
            yield item

    def say(self, event: str, text: str, **facts: Any) -> None:
        """Pass on what is said."""
        self.progress.say(event, text, **facts)
