import io

import numpy as np
import pytest
from flwr.app import Array as FlowerArray
from flwr.app import ArrayRecord, ConfigRecord, MetricRecord, RecordDict
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedhds.federation.messages import (
    ADAPTER,
    COUNT_LIMIT,
    EVALUATE,
    FACTS,
    HANDSHAKE,
    KINDS,
    SELECT,
    SELECTION,
    TRAIN,
    BadMessage,
    Content,
    Fact,
    Part,
    pack,
    pack_all,
    read_facts,
    told,
    unpack,
)
from fedhds.types import ArraySpec

PART = Part(
    {"count": Fact(), "loss": Fact(whole=False)}, required=(SELECTION,), optional=(ADAPTER,)
)
SCHEMAS = {
    SELECTION: {
        "centroids": ArraySpec("float32", ("groups", 2), low=-5, high=5, longest=10),
        "sizes": ArraySpec("int64", ("groups",), low=0),
    },
    ADAPTER: {"w": ArraySpec("float32", (3,))},
}


def content(**changed):
    arrays = {"centroids": np.zeros((4, 2), np.float32), "sizes": np.arange(4), **changed}
    return Content({"count": 3, "loss": 0.5}, {SELECTION: arrays})


def test_what_is_packed_comes_out_again():
    sent = content(centroids=np.arange(8, dtype=np.float32).reshape(4, 2) - 4)
    received = unpack(pack(sent), PART, SCHEMAS)
    assert received.facts == sent.facts
    assert np.array_equal(
        received.arrays[SELECTION]["centroids"], sent.arrays[SELECTION]["centroids"]
    )


@given(
    arrays(
        np.float32, st.integers(0, 10).map(lambda n: (n, 2)), elements=st.floats(-5, 5, width=32)
    )
)
def test_any_array_within_the_schema_passes_unchanged(centroids):
    sent = content(centroids=centroids, sizes=np.zeros(len(centroids), np.int64))
    received = unpack(pack(sent), PART, SCHEMAS)
    assert np.array_equal(received.arrays[SELECTION]["centroids"], centroids)


@pytest.mark.parametrize(
    ("changed", "complaint"),
    [
        ({"centroids": np.zeros((4, 2))}, "float64"),
        ({"centroids": np.zeros((4, 3), np.float32)}, "shape"),
        ({"centroids": np.zeros(8, np.float32)}, "axes"),
        ({"centroids": np.zeros((5, 2), np.float32)}, "shape"),  # sizes has 4
        ({"centroids": np.full((4, 2), np.nan, np.float32)}, "out of range"),
        ({"centroids": np.full((4, 2), 6, np.float32)}, "out of range"),
        ({"sizes": np.array([0, 1, 2, -1])}, "out of range"),
        ({"centroids": np.zeros((11, 2), np.float32), "sizes": np.arange(11)}, "11 groups"),
        ({"texts": np.zeros(1)}, "'texts' is unknown"),
    ],
)
def test_arrays_outside_the_schema_are_refused(changed, complaint):
    with pytest.raises(BadMessage, match=complaint):
        unpack(pack(content(**changed)), PART, SCHEMAS)


def test_a_client_has_no_more_groups_than_samples():
    assert unpack(pack(content()), PART, SCHEMAS, held=4).facts == content().facts
    with pytest.raises(BadMessage, match="has 4 groups, of which 3 are possible"):
        unpack(pack(content()), PART, SCHEMAS, held=3)


@pytest.mark.parametrize(
    ("facts", "complaint"),
    [
        ({"count": 3}, "'loss' is missing"),
        ({"count": 3, "loss": 0.5, "name": 1}, "'name' is unknown"),
        ({"count": 2.5, "loss": 0.5}, "whole"),
        ({"count": 7.0, "loss": 0.5}, "whole"),  # it would be folded into names as 7.0
        ({"count": [3], "loss": 0.5}, "out of range"),
        ({"count": COUNT_LIMIT, "loss": 0.5}, "out of range"),
        ({"count": -1, "loss": 0.5}, "out of range"),
        ({"count": 3, "loss": float("nan")}, "out of range"),
        ({"count": 3, "loss": [0.5, 0.25]}, "out of range"),
    ],
)
def test_facts_outside_the_table_are_refused(facts, complaint):
    records = pack(content())
    records[FACTS] = MetricRecord(facts)
    with pytest.raises(BadMessage, match=complaint):
        unpack(records, PART, SCHEMAS)


@pytest.mark.parametrize("kind", [SELECT, TRAIN, EVALUATE])
@pytest.mark.parametrize("round", [10**6, -1, 1.0])
def test_a_round_is_a_small_whole_number(kind, round):
    facts = dict.fromkeys(KINDS[kind].down.facts, 0)
    read_facts(RecordDict({FACTS: MetricRecord(facts | {"round": 10**6 - 1})}), KINDS[kind].down)
    with pytest.raises(BadMessage, match="the fact 'round' is"):
        read_facts(RecordDict({FACTS: MetricRecord(facts | {"round": round})}), KINDS[kind].down)


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (MetricRecord({"run": 7}), 7),
        (MetricRecord({"run": COUNT_LIMIT - 1}), COUNT_LIMIT - 1),
        (MetricRecord({"run": COUNT_LIMIT}), 0),
        (MetricRecord({"run": -1}), 0),
        (MetricRecord({"run": 7.5}), 0),
        (MetricRecord({"run": [7]}), 0),
        (MetricRecord({"round": 7}), 0),
        (ConfigRecord({"run": "../../etc"}), 0),
    ],
    ids=str,
)
def test_what_a_message_says_it_is_of_is_a_number_whatever_it_says(record, expected):
    assert told(RecordDict({FACTS: record}), "run") == expected


def test_what_says_nothing_is_of_no_run():
    assert told(RecordDict(), "run") == 0


def test_missing_group_is_refused():
    with pytest.raises(BadMessage, match="'selection' is missing"):
        unpack(pack(Content({"count": 3, "loss": 0.5})), PART, SCHEMAS)


def test_text_finds_no_place_in_a_message():
    records = pack(content())
    records["note"] = ConfigRecord({"instruction": "private"})
    with pytest.raises(BadMessage, match="does not belong"):
        unpack(records, PART, SCHEMAS)


def test_shape_that_the_bytes_do_not_keep_is_refused():
    honest = FlowerArray(np.zeros((400, 2), np.float32))
    lying = FlowerArray("float32", (4, 2), honest.stype, honest.data)
    records = pack(content())
    records[SELECTION] = ArrayRecord({"centroids": lying, "sizes": FlowerArray(np.arange(4))})
    with pytest.raises(BadMessage, match="cannot be read"):
        unpack(records, PART, SCHEMAS)


@pytest.mark.parametrize(
    ("honest", "forged"),
    [(b"", b"patient 17 has flu"), (b"(4, 2), }", b"(4, 2)}#flu")],
    ids=["behind", "in the header"],
)
def test_text_around_an_array_is_refused(honest, forged):
    packed = FlowerArray(np.zeros((4, 2), np.float32))
    data = packed.data.replace(honest, forged) if honest else packed.data + forged
    assert data != packed.data
    smuggled = FlowerArray("float32", (4, 2), packed.stype, data)
    records = pack(content())
    records[SELECTION] = ArrayRecord({"centroids": smuggled, "sizes": FlowerArray(np.arange(4))})
    with pytest.raises(BadMessage, match="cannot be read"):
        unpack(records, PART, SCHEMAS)


def test_bytes_that_are_no_array_are_refused():
    broken = FlowerArray("float32", (4, 2), "numpy.ndarray", b"\x80\x04pickled")
    records = pack(content())
    records[SELECTION] = ArrayRecord({"centroids": broken, "sizes": FlowerArray(np.arange(4))})
    with pytest.raises(BadMessage, match="cannot be read"):
        unpack(records, PART, SCHEMAS)


ADAPTED = Part(required=(ADAPTER,))

ADAPTER_SCHEMA = {
    "b": ArraySpec("float32", (2, 2)),
    "a": ArraySpec("int8", (2,), low=-9, high=9),
    "c": ArraySpec("float32", (1,), low=0),
    "d": ArraySpec("int8", (0, 3)),
}
"""Two types, bounds of their own, and an array without elements."""


def adapter_of(**changed):
    numbers = {"b": [[1, 2], [3, 4]], "a": [-9, 7], "c": [5], "d": np.zeros((0, 3))} | changed
    types = {name: spec.dtype for name, spec in ADAPTER_SCHEMA.items()}
    arrays = {n: np.array(a, types.get(n, "float32")) for n, a in numbers.items() if a is not None}
    return Content(arrays={ADAPTER: arrays})


def received(records):
    return unpack(records, ADAPTED, {ADAPTER: ADAPTER_SCHEMA}).arrays[ADAPTER]


def test_adapters_travel_as_one_vector_of_each_type_and_come_out_by_name():
    sent = adapter_of()
    records = pack(sent)
    vectors = {array.dtype: array.numpy().tolist() for array in records[ADAPTER].values()}
    assert vectors == {"float32": [1, 2, 3, 4, 5], "int8": [-9, 7]}  # by name
    assert len(records[ADAPTER]) == 2
    for name, array in sent.arrays[ADAPTER].items():
        assert received(records)[name].dtype == array.dtype
        assert np.array_equal(received(records)[name], array)


def test_order_of_an_adapters_names_is_nothing():
    backwards = dict(reversed(adapter_of().arrays[ADAPTER].items()))
    assert np.array_equal(received(pack(Content(arrays={ADAPTER: backwards})))["a"], [-9, 7])


@pytest.mark.parametrize(
    "changed",
    [
        {"b": [1, 2, 3, 4]},
        {"c": [5, 5]},
        {"c": None},
        {"a": None, "d": None},
        {"e": [1]},
        dict.fromkeys("abcd"),
    ],
    ids=["shape", "length", "missing", "missing type", "unknown", "empty"],
)
def test_adapters_of_other_parameters_are_refused(changed):
    with pytest.raises(BadMessage, match="other parameters"):
        received(pack(adapter_of(**changed)))


@pytest.mark.parametrize(
    ("forged", "complaint"),
    [
        (np.zeros(4, np.float32), "shape"),
        (np.zeros(5), "float64"),
        (np.zeros((1, 5), np.float32), "axes"),
    ],
)
def test_vectors_that_are_not_what_their_name_says_are_refused(forged, complaint):
    records = pack(adapter_of())
    records[ADAPTER] = ArrayRecord(
        {n: FlowerArray(forged) if a.dtype == "float32" else a for n, a in records[ADAPTER].items()}
    )
    with pytest.raises(BadMessage, match=complaint):
        received(records)


@pytest.mark.parametrize(
    "changed",
    [{"b": [[1, np.nan], [0, 0]]}, {"c": [np.inf]}, {"c": [-1]}, {"a": [-10, 0]}],
    ids=str,
)
def test_adapters_with_numbers_out_of_range_are_refused(changed):
    with pytest.raises(BadMessage, match="out of range"):
        received(pack(adapter_of(**changed)))


def test_one_adapter_for_many_clients_is_packed_once():
    same, other = adapter_of(), adapter_of()
    records = list(pack_all([same, same, other]))
    assert records[0][ADAPTER] is records[1][ADAPTER]
    assert records[0][ADAPTER] is not records[2][ADAPTER]


@pytest.mark.parametrize(
    "array",
    [np.zeros((0, 2), np.float32), np.array(3), np.arange(6).reshape(2, 3).T, np.array([True])],
    ids=["empty", "number", "transposed", "truth"],
)
def test_arrays_are_flowers_own(array):
    (packed,) = pack(Content(arrays={SELECTION: {"x": array}}))[SELECTION].values()
    assert packed == FlowerArray(np.asarray(array, order="C"))


def test_an_array_in_columns_is_refused_as_nobody_of_ours_packs_one():
    columns = np.asfortranarray(np.arange(8, dtype=np.float32).reshape(4, 2) - 4)
    records = pack(content())
    records[SELECTION] = ArrayRecord(
        {"centroids": FlowerArray(columns), "sizes": FlowerArray(np.arange(4))}
    )
    with pytest.raises(BadMessage, match="cannot be read"):
        unpack(records, PART, SCHEMAS)


def test_no_kind_of_message_has_a_place_for_text():
    records = {
        name
        for kind in KINDS.values()
        for p in (kind.down, kind.up)
        for name in (*p.required, *p.optional)
    }
    assert records == {ADAPTER, SELECTION, HANDSHAKE}


def test_empty_contents_survive_the_trip():
    assert unpack(pack(Content()), Part(), {}) == Content()


def test_size_counts_a_groups_bytes():
    # 4 * 2 float32 and 4 int64
    assert content().size(SELECTION) == 32 + 32
    assert content().size(ADAPTER) == 0


def test_records_are_flowers_own():
    assert isinstance(pack(content()), RecordDict)


def test_single_numbers_keep_their_shape():
    part, schemas = Part(required=(SELECTION,)), {SELECTION: {"k": ArraySpec("int64", ())}}
    sent = Content(arrays={SELECTION: {"k": np.array(3)}})
    assert unpack(pack(sent), part, schemas).arrays[SELECTION]["k"].shape == ()


def test_an_archive_in_place_of_an_array_is_refused():
    buffer = io.BytesIO()
    np.savez(buffer, x=np.zeros((4, 2), np.float32))
    archive = FlowerArray("float32", (4, 2), "numpy.ndarray", buffer.getvalue())
    records = pack(content())
    records[SELECTION] = ArrayRecord({"centroids": archive, "sizes": FlowerArray(np.arange(4))})
    with pytest.raises(BadMessage, match="cannot be read"):
        unpack(records, PART, SCHEMAS)
