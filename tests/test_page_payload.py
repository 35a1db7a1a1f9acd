"""The numbers on a page, decoded here from the description of the format and compared with the trace's own."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from page_decoder import Array, DecodedPage, numbers, page_in

from attncore import AttentionTrace, OptionError
from attncore.renderers._page_describe import Start
from attncore.renderers._page_encode import fits_log8, log8
from attncore.renderers._page_overview import Overview
from attncore.renderers._page_payload import payload_of
from attncore.renderers._page_top import TopRows
from attncore.testing import example_cross_trace, example_trace
from attncore.weights import DenseWeights

# Half a step of the logarithmic codes, 2 ** (16 / 254 / 2), and what float32 adds.
LOG8 = 1.0222
# Halfway between the codes 1 and 2; code 1 stands for anything below.
LEAST = 2 ** ((1.5 - 255) * 16 / 254)
TINY = 2.0**-20


def assert_log8(found: Array, expected: Array) -> None:
    """Each value within 2.2 %; a weight too small for that is small and not 0, and only 0 is 0."""
    assert (found[expected == 0] == 0).all()
    assert (found[(expected > 0) & (expected < 0.999 * LEAST)] == TINY).all()
    large = expected > 1.001 * LEAST
    assert (np.maximum(found[large] / expected[large], expected[large] / found[large]) < LOG8).all()


def test_small_weights_are_float16() -> None:
    """Up to 2 MB every weight is written, within float16's rounding."""
    trace = example_trace(batch=2, padding=3)
    page = page_in(trace)
    assert page.info["precision"] == {
        "kind": "float16",
        "top": None,
        "sentence": "float16: each weight within 0.05 %",
        "decimals": 3,
        "significant": 3,
        "least": 0.0,
    }
    for place, layer in enumerate(trace):
        np.testing.assert_allclose(page.weights(place), np.asarray(layer.weights), rtol=2**-11, atol=2**-25)
        assert page.info["layers"][place]["kept"] is None


@given(hnp.arrays(np.float32, st.integers(0, 200), elements=st.floats(0, 1, width=32)))
def test_log8_gives_each_weight_back_within_two_per_cent(weights: Array) -> None:
    """0 stays 0, 1 stays 1, and everything between is within half a step."""
    assert fits_log8(weights)
    found = numbers("log8", log8(weights).tobytes())
    assert_log8(found, weights.astype(np.float64))
    assert (found[weights == 1] == 1).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -1e-9, 1.01])
def test_log8_has_no_code_for_what_no_softmax_gives(value: float) -> None:
    """NaN, infinity, negative weights and weights above 1 must be written otherwise; rounding just above 1 need not."""
    assert not fits_log8(np.array([0.5, value], dtype=np.float32))
    assert fits_log8(np.array([0.5, np.nextafter(np.float32(1), np.float32(2))], dtype=np.float32))


def test_larger_weights_are_log8() -> None:
    """Beyond 2 MB all weights are written in 8 bits, while they fit."""
    trace = example_trace(n_layers=2, n_heads=8, n_tokens=256, lazy=True)
    page = page_in(trace)
    assert page.info["precision"]["kind"] == "log8"
    assert "2.2 %" in page.info["precision"]["sentence"]
    for place, layer in enumerate(trace):
        assert_log8(page.weights(place), np.asarray(layer.weights, dtype=np.float64))


def test_weights_that_repeat_from_query_to_query_are_written_as_steps() -> None:
    """Whichever is shorter: real queries have keys in common, random ones have not."""
    random = np.random.default_rng(0).dirichlet(np.full(200, 0.5), (2, 10, 200))
    alike = np.broadcast_to(random[:, :, :1], random.shape) * np.linspace(0.9, 1, 200)[:, None]
    lengths = {}
    for encoding, weights in (("log8", random), ("log8-steps", alike)):
        page = page_in(AttentionTrace.from_arrays([weights.astype(np.float32)]))
        assert page.info["blocks"]["weights-0"] == {"encoding": encoding}
        assert page.info["precision"]["kind"] == "log8"
        assert_log8(page.weights(0), weights.astype(np.float32).astype(np.float64))
        lengths[encoding] = len(page.blocks["weights-0"])
    assert lengths["log8-steps"] < lengths["log8"] / 4


def top_page(trace: AttentionTrace, room: int) -> DecodedPage:
    """A page whose budget leaves room for some keys of each query only."""
    page = page_in(trace, room)
    assert page.info["precision"]["kind"] == "top"
    return page


def assert_top(page: DecodedPage, place: int, weights: Array) -> None:
    """The largest of each row are held, to the precision of log8."""
    k = page.info["blocks"][f"weights-{place}"]["top"]
    assert k == page.info["precision"]["top"]
    found, rows = page.weights(place).reshape(-1, weights.shape[-1]), weights.reshape(-1, weights.shape[-1])
    held = found > 0
    assert (held.sum(axis=1) == np.minimum(k, (rows >= LEAST).sum(axis=1))).all()
    assert_log8(found[held], rows[held])
    smallest_held = np.where(held, rows, np.inf).min(axis=1)
    assert (np.where(held, 0, rows).max(axis=1) <= np.maximum(smallest_held, LEAST)).all()


@pytest.mark.parametrize("lazy", [True, False])
def test_beyond_the_budget_the_top_keys_of_each_query_are_held(lazy: bool) -> None:
    """As many as fit; and the share of the attention that they are is measured for each head."""
    trace = example_trace(n_layers=3, n_heads=8, n_tokens=256, lazy=lazy)
    page = top_page(trace, 500_000)
    for place, layer in enumerate(trace):
        weights = np.asarray(layer.weights, dtype=np.float64)
        assert_top(page, place, weights)
        held = page.weights(place) > 0
        shares = (weights * held).sum(axis=-1).mean(axis=-1)
        np.testing.assert_allclose(page.info["layers"][place]["kept"], shares, atol=1e-5)
    mean = np.mean([layer["kept"] for layer in page.info["layers"]])
    top = page.info["precision"]["top"]
    assert page.info["precision"]["sentence"].startswith(f"top {top} keys of each query: {mean:.1%}"[:-3])


def test_the_overview_knows_what_was_left_out() -> None:
    """Each of its cells is the largest weight of its block, also where the top keys of each query do not reach."""
    trace = example_trace(n_layers=2, n_heads=8, n_tokens=250)
    page = top_page(trace, 500_000)
    for place, layer in enumerate(trace):
        reading = page.info["blocks"][f"overview-{place}"]
        rows, columns = reading["row_step"], reading["column_step"]
        padded = np.zeros((1, 8, -(-250 // rows) * rows, -(-250 // columns) * columns))
        padded[:, :, :250, :250] = np.asarray(layer.weights)
        cells = padded.reshape(1, 8, padded.shape[2] // rows, rows, -1, columns).max(axis=(3, 5))
        assert max(cells.shape) <= 128
        assert_log8(page.overview(place), cells)
        assert (page.weights(place).max() <= LOG8 * cells.max(axis=(2, 3))).any()


def test_an_overview_may_be_made_in_parts_that_share_a_cell() -> None:
    """Some heads and some rows at a time, whose borders are not those of the cells."""
    weights = np.random.default_rng(0).random((1, 4, 10, 7), dtype=np.float32)
    overview = Overview.empty(weights.shape, 3)
    for heads in (slice(0, 3), slice(3, 4)):
        for rows in (slice(0, 1), slice(1, 6), slice(6, 10)):
            overview.put((0, heads, rows), weights[0, heads, rows])
    assert (overview.row_step, overview.column_step) == (4, 3)
    padded = np.pad(weights, ((0, 0), (0, 0), (0, 2), (0, 2)))
    expected = padded.reshape(1, 4, 3, 4, 3, 3).max(axis=(3, 5))
    np.testing.assert_array_equal(overview.cells, expected)


@pytest.mark.parametrize("room", [300_000, 500_000, 900_000])
def test_the_room_is_kept_and_used(room: int) -> None:
    """`page_in` asserts that a page is not longer; here, that it is not much shorter than it may be."""
    trace = example_trace(n_layers=4, n_heads=8, n_tokens=250, lazy=True)
    payload = payload_of(trace, Start(), room=room, vectors=False)
    assert 0.85 * room < payload.length() <= room
    page_in(trace, room)


def test_too_little_room_is_refused_with_what_is_needed() -> None:
    """The message says what there is, and the bytes that it asks for suffice."""
    trace = example_trace(n_layers=4, n_heads=8, n_tokens=400, lazy=True)
    with pytest.raises(OptionError, match=r"4 layer\(s\) of 8 heads x 400 queries x 400 keys .*layers=") as raised:
        page_in(trace, 120_000)
    needed = int(str(raised.value).split("max_bytes=")[1].split(" ")[0].split(";")[0])
    assert page_in(trace, needed).info["precision"]["kind"] == "top"
    with pytest.raises(OptionError, match="the tokens and names of this trace alone take"):
        page_in(trace, 1_000)


def changed(trace: AttentionTrace, change: Any) -> AttentionTrace:
    """The trace with the weights of each layer changed in place by ``change``."""
    layers = []
    for layer in trace:
        weights = np.array(layer.weights, dtype=np.float32)
        change(weights)
        layers.append(layer.replaced(stored_weights=DenseWeights(weights)))
    return AttentionTrace(tuple(layers), trace.axes)


@pytest.mark.parametrize(("tokens", "room"), [(12, 16_000_000), (256, 16_000_000), (256, 600_000)])
@pytest.mark.parametrize("value", [np.nan, np.inf, -0.25, 1.5])
def test_weights_that_no_softmax_gives_are_written_as_they_are(value: float, tokens: int, room: int) -> None:
    """In float16, whatever the other layers are written in."""

    def spoil(array: Array) -> None:
        array[0, 1, 5, 3] = value

    trace = changed(example_trace(n_layers=2, n_heads=8, n_tokens=tokens), spoil)
    page = page_in(trace, room)
    reading = page.info["blocks"]["weights-0"]
    assert reading.get("values", reading["encoding"]) == "float16"
    assert page.weights(0)[0, 1, 5, 3] == pytest.approx(value, nan_ok=True)
    if reading["encoding"] == "top":
        step = page.info["blocks"]["overview-0"]["row_step"]
        corner = page.overview(0)[0, 1, 5 // step, 0]
        assert value < 0 or corner == pytest.approx(value, nan_ok=True)
        assert np.isfinite(page.info["layers"][0]["kept"]).all()


def test_rows_without_attention_have_nothing_to_lose() -> None:
    """Rows of zeros are held as such, and count for no share."""

    def blank(array: Array) -> None:
        array[:, :, 200:] = 0
        array[:, 3] = 0

    trace = changed(example_trace(n_layers=2, n_heads=8, n_tokens=256), blank)
    page = top_page(trace, 200_000)
    weights = np.asarray(trace[0].weights, dtype=np.float64)
    assert_top(page, 0, weights)
    kept = np.array(page.info["layers"][0]["kept"])
    held = page.weights(0)[:, :, :200] > 0
    shares = (weights[:, :, :200] * held).sum(axis=-1).mean(axis=-1)
    shares[:, 3] = 1
    np.testing.assert_allclose(kept, shares, atol=1e-5)


def test_padded_queries_count_for_no_share() -> None:
    """What a padded query attends to is not attention that could be lost."""
    trace = example_trace(n_layers=1, n_heads=8, n_tokens=256, batch=2, padding=100)
    page = top_page(trace, 400_000)
    held, weights = page.weights(0) > 0, np.asarray(trace[0].weights, dtype=np.float64)
    shares = (weights * held).sum(axis=-1)
    expected = np.stack([shares[0].mean(axis=-1), shares[1, :, :-100].mean(axis=-1)])
    np.testing.assert_allclose(page.info["layers"][0]["kept"], expected, atol=1e-5)
    assert np.abs(expected[1] - shares[1].mean(axis=-1)).max() > 1e-3, "the padding makes no difference to this trace"


def test_layers_with_few_keys_are_held_in_full() -> None:
    """Where the top keys would be most of them, all are written; both kinds stand beside each other."""
    trace = example_cross_trace(n_layers=1, n_heads=8, n_source=12, n_target=400)
    page = top_page(trace, 500_000)
    kinds = [page.info["blocks"][f"weights-{place}"]["encoding"] for place in range(3)]
    assert kinds[1] == "top"
    assert {kinds[0], kinds[2]} <= {"log8", "log8-steps"}
    for place in (0, 2):
        assert_log8(page.weights(place), np.asarray(trace[place].weights, dtype=np.float64))
        assert page.info["layers"][place]["kept"] is None
    assert_top(page, 1, np.asarray(trace[1].weights, dtype=np.float64))
    assert page.weights(2).shape == (1, 8, 400, 12)


def test_the_position_of_a_key_may_need_32_bits() -> None:
    """More than 65,535 keys; the keys of each row come back in order."""
    random = np.random.default_rng(0)
    weights = random.random((2, 3, 70_000), dtype=np.float32)
    top = TopRows.empty((1, 2, 3), 5, 70_000)
    top.put((0, slice(None), slice(0, 3)), weights)
    values, index, data = top.shrunk(3).encoded()
    assert (values, index) == ("log8", "uint32")
    reading = {"encoding": "top", "top": 3, "values": values, "index": index}
    found = DecodedPage({}, {})._top(reading, data, (1, 2, 3, 70_000))[0]
    expected = np.sort(np.argsort(weights, axis=-1)[..., -3:], axis=-1)
    assert (np.argwhere(found > 0)[:, -1].reshape(2, 3, 3) == expected).all()


def test_reading_a_trace_twice_gives_the_same_bytes() -> None:
    """Layers are worked on side by side, and nothing depends on which is ready first."""
    trace = example_trace(n_layers=6, n_heads=8, n_tokens=200, lazy=True)
    first, second = (payload_of(trace, Start(), room=900_000, vectors=False) for _ in range(2))
    assert first.blocks == second.blocks
    assert first.json_text() == second.json_text()


@pytest.mark.parametrize("k", [1, 3, 6])
def test_the_largest_of_rows_with_equal_weights_are_the_first(k: int) -> None:
    """As sorting finds them, row by row; NaN is always held, and what is next to nothing never."""
    random = np.random.default_rng(k)
    weights = random.integers(0, 5, (2, 40, 9)).astype(np.float32) / 8
    weights[0, 3, 4] = np.nan
    weights[1, 5, 2] = -0.75
    weights[1, 6] = LEAST / 2
    top = TopRows.empty((1, 2, 40), k, 9)
    top.put((0, slice(0, 2), slice(0, 40)), weights)
    narrower = top.shrunk(max(1, k - 2))
    for held, of in ((top, k), (narrower, max(1, k - 2))):
        for head, query in np.ndindex(2, 40):
            row = weights[head, query]
            size = np.where(np.isnan(row), np.inf, np.abs(row))
            expected = sorted(place for place in np.argsort(-size, kind="stable")[:of] if size[place] >= LEAST)
            found = held.positions[0, head, query]
            assert found[found < 9].tolist() == expected
            assert (found[len(expected) :] == 9).all()
            np.testing.assert_array_equal(held.values[0, head, query][: len(expected)], row[expected])
            assert (held.values[0, head, query][len(expected) :] == 0).all()


def test_the_first_picture_comes_first() -> None:
    """The layer that a page opens with, then what is small enough of the other weights; vectors last; nothing twice."""
    payload = payload_of(example_trace(n_layers=3, lazy=True), Start("head", layer=2), room=5_000_000, vectors=True)
    soon, later = payload.in_order()
    assert [block.name for block in soon] == ["weights-2", "weights-0", "weights-1"]
    assert [block.name for block in later] == ["vectors-0", "vectors-1", "vectors-2"]
    large = tuple(replace(block, text=block.text * 3_000) for block in payload.blocks)
    soon, later = replace(payload, blocks=large).in_order()
    assert [block.name for block in soon] == ["weights-2"]
    assert sorted(block.name for block in (*soon, *later)) == sorted(block.name for block in payload.blocks)
