"""Sites that are waited for, refuse, do not fit, or return: a deployment's clients."""

import time

import pytest
from flwr.app import Error, Message
from flwr.supercore.run import Run

from fedhds.federation import clients as module
from fedhds.federation.clients import Clients
from fedhds.federation.in_process import InProcessGrid, flower_identity
from fedhds.federation.messages import (
    FAILED,
    HANDSHAKE,
    NOT_SENT,
    REFUSED,
    WORKER_GONE,
    Content,
    pack,
)
from fedhds.types import RunFailed, Silent

RUN = 7
SITES = ("north", "south", "west")


class Nodes(InProcessGrid):
    """Nodes that come and go: each look at who is there is one of a list, the last one for ever.

    ``says`` is what a node answers, by its id: its client's number, an error, or None for never;
    a list is of what it answers one time after the other.
    """

    def __init__(self, looks, says):
        self.looks, self.says = list(looks), says
        self.asked, self.timeouts = [], []
        self._run = Run.create_empty(1)

    def get_node_ids(self):
        return self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]

    def send_and_receive(self, messages, *, timeout=None):
        for message in messages:
            node = message.metadata.dst_node_id
            self.asked.append((node, HANDSHAKE in message.content))
            self.timeouts.append(timeout)
            said = self.says[node]
            if isinstance(said, list):
                said = said.pop(0)
            if isinstance(said, int):
                facts = {"run": RUN, "client": said, "samples": 10 * said, "validation": said}
                said = pack(Content(facts))
            if said is not None:
                yield Message(said, reply_to=message)


class Warned(Silent):
    def __init__(self):
        self.said = []

    def say(self, event, text, **facts):
        self.said.append(text)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "BETWEEN_LOOKS", 0.01)
    with flower_identity():
        yield


def clients(looks, says, **settings):
    return Clients(Nodes(looks, says), Warned(), RUN, **settings)


def test_sites_are_waited_for_and_each_greeted_once():
    found = clients([[], [12], [12, 11], [11, 12, 13]], {11: 0, 12: 1, 13: 2}, handshake={})
    found.gather(SITES, 60.0)
    assert found.nodes == {0: 11, 1: 12, 2: 13}
    assert (found.samples[2], found.validation[2]) == (20, 2)
    assert found.grid.asked == [(12, True), (11, True), (13, True)]


def test_sites_that_are_missing_are_named_when_the_time_is_over():
    started = time.monotonic()
    with pytest.raises(RunFailed) as caught:
        clients([[11]], {11: 1}).gather(SITES, 0.05)
    assert str(caught.value) == "not all sites are there: north, west missing"
    assert 0.05 <= time.monotonic() - started < 5


def test_a_site_that_never_answers_is_not_waited_for_without_end():
    found = clients([[11, 12]], {11: 0, 12: None})
    with pytest.raises(RunFailed, match="not all sites are there: south, west missing"):
        found.gather(SITES, 0.05)
    assert 0 < max(found.grid.timeouts) <= 0.05  # no greeting lasts longer than what is left
    assert [node for node, _ in found.grid.asked].count(12) > 1  # it may answer yet


def test_a_greeting_may_take_as_long_as_any_message():
    found = clients([[11]], {11: 0}, deadline=3.0)
    found.gather(SITES[:1], 60.0)
    assert found.grid.timeouts == [3.0]


def test_nodes_of_one_machine_are_waited_for_however_long_they_load():
    found = clients([[11]], {11: 0}, deadline=3.0)
    found.greet()
    assert found.grid.timeouts == [None]


@pytest.mark.parametrize("code", [WORKER_GONE, NOT_SENT, 3])  # the last is Flower's: it expired
def test_an_error_that_says_nothing_of_the_site_is_asked_about_again(code):
    said = {11: [Error(code, "later"), Error(code, "later"), 0]}
    found = clients([[11]], said)
    found.gather(SITES[:1], 60.0)
    assert found.nodes == {0: 11}
    assert len(found.grid.asked) == 3


def test_a_site_that_refuses_as_two_nodes_is_one_site():
    no = Error(REFUSED, "site 'north' refuses")
    with pytest.raises(RunFailed) as caught:
        clients([[11, 12, 13]], {11: no, 12: no, 13: 1}).gather(SITES, 0.05)
    wish = "not all sites are there: north, west missing (site 'north' refuses)"
    assert str(caught.value) == wish


def test_a_site_that_refused_and_comes_back_is_asked_anew():
    no = Error(REFUSED, "site 'north' refuses")
    found = clients([[11, 12], [12], [12, 13]], {11: no, 12: 1, 13: 0})
    found.gather(SITES[:2], 60.0)
    assert found.refusals == {11: "site 'north' refuses"}
    found.refresh()
    assert found.refusals == {}
    found.refresh()
    assert found.nodes == {0: 13, 1: 12}


def test_a_site_that_does_not_fit_ends_the_run_at_once():
    found = clients([[11], [11, 12]], {11: 0, 12: Error(FAILED, "this site has another prompt")})
    with pytest.raises(RunFailed) as caught:
        found.gather(SITES, 60.0)
    wish = "a site does not fit: this site has another prompt (one of south, west)"
    assert str(caught.value) == wish


def test_two_of_one_name_end_the_run():
    with pytest.raises(RunFailed, match="a site does not fit: two clients say that they are cl"):
        clients([[11, 12]], {11: 1, 12: 1}).gather(SITES, 60.0)


def test_a_site_whose_policy_refuses_takes_no_part_and_the_others_go_on():
    found = clients([[11, 12, 13]], {11: 0, 12: Error(REFUSED, "site 'south' refuses"), 13: 2})
    found.gather(SITES, 60.0)
    assert found.numbers == [0, 2]
    assert found.refusals == {12: "site 'south' refuses"}
    assert found.progress.said == ["warning: a client takes no part: site 'south' refuses"]


def test_why_some_refused_is_told_with_who_is_missing():
    found = clients([[11, 12]], {11: 0, 12: Error(REFUSED, "site 'south' refuses")})
    with pytest.raises(RunFailed) as caught:
        found.gather(SITES, 0.05)
    wish = "not all sites are there: south, west missing (site 'south' refuses)"
    assert str(caught.value) == wish


def test_a_run_that_all_refuse_fails():
    refused = {11 + n: Error(REFUSED, f"{site} says no") for n, site in enumerate(SITES)}
    reasons = r"north says no; south says no; west says no"
    with pytest.raises(RunFailed, match=rf"^every client refuses \({reasons}\)$"):
        clients([[11, 12, 13]], refused).gather(SITES, 60.0)


def test_a_site_that_returns_as_another_node_is_found():
    found = clients([[11, 12, 13], [11, 13], [11, 13, 14]], {11: 0, 12: 1, 13: 2, 14: 1})
    found.gather(SITES, 60.0)
    found.refresh()
    assert found.nodes[1] == 12  # it is away, and may come back
    found.refresh()
    assert found.nodes == {0: 11, 1: 14, 2: 13}
    assert found.progress.said == []


def test_a_site_that_returns_before_its_old_node_is_off_the_list_is_found_later():
    looks = [[11, 12, 13], [11, 12, 13, 14], [11, 13, 14]]
    found = clients(looks, {11: 0, 12: 1, 13: 2, 14: 1})
    found.gather(SITES, 60.0)
    found.refresh()
    assert found.nodes[1] == 12
    assert found.progress.said == [
        "warning: a client that is new does not fit: two clients say that they are client 1"
    ]
    found.refresh()
    assert found.nodes[1] == 14
    assert len(found.progress.said) == 1


def test_who_is_new_and_does_not_fit_is_told_and_not_asked_again():
    found = clients([[11], [11, 12]], {11: 0, 12: Error(FAILED, "another\nprompt")})
    found.gather(SITES[:1], 60.0)
    for _ in range(3):
        found.refresh()
    assert found.progress.said == ["warning: a client that is new does not fit: another?prompt"]
    assert found.nodes == {0: 11}
