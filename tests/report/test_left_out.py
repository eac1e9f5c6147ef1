"""What was dropped, failed or warned of."""

from pages import group, made

from fedhds.report._left_out import left_out


def told(*groups):
    return {(e.kind, e.what): (e.often, e.where) for e in left_out(groups)}


def test_equal_things_of_several_runs_are_told_once():
    found = told(group(made(), made(seed=1)), group(made("full"), made("full", 1)))
    assert found["data left out", "over per client"] == ("286", "in every run")
    assert found["warning", "the data are <small>"] == ("1", "in every run")
    assert found["client that failed in a round", "client 1: ValueError"] == ("1", "in every run")
    dropped = "reply that was dropped", "evaluation, client 0: no reply arrived within 5 s"
    assert found[dropped] == ("1", "in every run")


def test_runs_that_did_not_finish_say_how_far_they_got_and_why():
    found = told(
        group(made(), made(seed=1, status="failed")), group(made("full", status="unfinished"))
    )
    failed = ("run that failed", "after 3 rounds: every client failed twice: <b>no memory</b>")
    assert found[failed] == ("1", "fedhds, seed 1")
    assert found["run that is not finished", "after 3 rounds"] == ("1", "full, seed 0")
    assert found["data left out", "over per client"] == ("286", "fedhds, seed 0")


def test_runs_that_ended_come_first_and_remarks_last():
    kinds = [entry.kind for entry in left_out([group(made(), made(seed=1, status="failed"))])]
    assert kinds[0] == "run that failed"
    assert kinds[-1] == "remark of a round"
