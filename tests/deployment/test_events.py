"""What a run tells, read while it is told."""

import threading

from fedhds.deployment.events import EventFile, EventReader


def test_what_was_told_is_read_once_and_in_order(tmp_path):
    path = tmp_path / "events.jsonl"
    told, reader = EventFile(path), EventReader(path)
    assert list(reader.new()) == []  # it is not there yet
    told.say("round", "round 1\nof 2, é", round=1, loss=float("nan"))
    told.say("metric", "")
    assert list(reader.new()) == [
        ("round", "round 1\nof 2, é", {"round": 1, "loss": None}),
        ("metric", "", {}),
    ]
    assert list(reader.new()) == []
    told.say("round", "round 2")
    assert list(reader.new()) == [("round", "round 2", {})]


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path):
    path = tmp_path / "events.jsonl"
    whole = '{"event": "a", "text": "é", "facts": {}}\n'.encode()
    reader = EventReader(path)
    for length in range(len(whole)):
        path.write_bytes(whole + whole[:length])
        assert len(list(reader.new())) == (length == 0)
    path.write_bytes(2 * whole)
    assert list(reader.new()) == [("a", "é", {})]


def test_a_reader_that_stops_in_the_middle_goes_on_there(tmp_path):
    path = tmp_path / "events.jsonl"
    for name in "abc":
        EventFile(path).say(name, "")
    reader = EventReader(path)
    assert next(reader.new())[0] == "a"
    assert [event for event, _, _ in reader.new()] == ["b", "c"]


def test_nothing_is_lost_between_a_writer_and_a_reader(tmp_path):
    path, count, read = tmp_path / "events.jsonl", 300, []
    told, reader = EventFile(path), EventReader(path)
    writing = threading.Thread(target=lambda: [told.say("n", "é" * n, n=n) for n in range(count)])
    writing.start()
    while writing.is_alive():
        read += reader.new()
    read += reader.new()
    assert [facts["n"] for _, _, facts in read] == list(range(count))


def test_flowers_log_has_what_is_told_with_a_file_or_without(tmp_path, capsys):
    for path in (None, tmp_path / "events.jsonl"):
        EventFile(path).say("round", "round 1")
        EventFile(path).say("metric", "")
        assert capsys.readouterr().out == "round 1\n"
    assert list(EventFile(None).track("ab", "letters", 2)) == ["a", "b"]


def test_a_run_goes_on_when_whoever_followed_is_gone(tmp_path, capsys):
    EventFile(tmp_path / "gone" / "events.jsonl").say("round", "round 1")
    assert capsys.readouterr().out == "round 1\n"
