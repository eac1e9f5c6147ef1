from fedhds.data.texts import text_of
from fedhds.types import Example


def test_text_of_a_sample_leaves_out_what_is_empty() -> None:
    assert text_of(Example("do", "this", "done", "t", ())) == "do\nthis\ndone"
    assert text_of(Example("do", "", "done", "t", ())) == "do\ndone"
    assert text_of(Example("", "", "", "t", ())) == ""
