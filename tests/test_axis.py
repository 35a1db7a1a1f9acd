"""Token axes: lengths that must agree, and finding a token."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from attncore import SelectionError, TokenAxis, TokenError
from attncore.axis_book import AxisBook


def test_positions_are_labelled_with_their_numbers() -> None:
    """When nothing is known about an axis, its labels are 0, 1, 2, … for every batch item."""
    axis = TokenAxis.of_positions("tokens", batch=2, length=3)
    assert axis.labels == (("0", "1", "2"),) * 2
    assert (axis.raw, axis.kind, axis.batch) == (axis.labels, "position", 2)


@pytest.mark.parametrize("field", ["labels", "raw"])
def test_a_row_of_another_length_names_both_numbers_and_the_axis(field: str) -> None:
    """The message gives the axis, its length, the batch item and the number of labels found."""
    rows = {"labels": (("a", "b"), ("c", "d")), field: (("a", "b"), ("c",))}
    with pytest.raises(TokenError, match=r'axis "source" has 2 positions and batch item 1 has 1'):
        TokenAxis(name="source", length=2, **rows)


def test_raw_labels_for_another_batch_are_refused() -> None:
    """Labels and raw labels are for the same batch items."""
    with pytest.raises(TokenError, match=r'axis "source".* 1 .*raw labels.* 2'):
        TokenAxis(name="source", length=1, labels=(("a",),), raw=(("a",), ("b",)))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("padding", np.zeros((1, 3), dtype=bool)),
        ("special", np.zeros(2, dtype=bool)),
        ("segments", np.zeros((2, 2), dtype=np.int64)),
        ("steps", np.zeros(3, dtype=np.int64)),
    ],
)
def test_an_array_of_another_shape_is_refused(field: str, value: Any) -> None:
    """Padding, special, segments and steps must have the shape of the labels."""
    with pytest.raises(TokenError, match=rf'axis "source": {field} has shape'):
        TokenAxis(name="source", length=2, labels=(("a", "b"),), **{field: value})


def test_a_grid_that_does_not_fit_is_refused() -> None:
    """More patches than positions cannot be."""
    with pytest.raises(TokenError, match=r'axis "image".* 2 x 3 .*5 positions'):
        TokenAxis(name="image", length=5, labels=(("",) * 5,), grid=(2, 3))


def test_labels_of_a_batch_item() -> None:
    """Each batch item has labels of its own, and an item that does not exist is refused with the range."""
    axis = TokenAxis("tokens", 2, (("a", "b"), ("c", "d")))
    assert axis.labels_of(1) == axis.labels_of(-1) == ("c", "d")
    with pytest.raises(SelectionError, match=r'axis "tokens" has 2 batch item\(s\) and item 2 .* give 0 to 1'):
        axis.labels_of(2)


def test_padding_is_false_when_unknown() -> None:
    """An axis without a padding mask has no padded positions."""
    axis = TokenAxis.of_positions("tokens", 1, 3)
    assert axis.padding_of(0).tolist() == [False] * 3
    padded = axis.replaced(padding=np.array([[False, True, True]]))
    assert padded.padding_of(0).tolist() == [False, True, True]


def test_a_token_is_found_by_label_or_raw_spelling() -> None:
    """The first position that reads or is spelled so is meant."""
    axis = TokenAxis("tokens", 3, (("the", "cat", "the"),), raw=(("the", "Ġcat", "Ġthe"),))
    assert [axis.find(token) for token in ("the", "cat", "Ġcat", "Ġthe")] == [0, 1, 1, 2]
    with pytest.raises(SelectionError, match=r'no token "dog" in batch item 0; its tokens begin the, cat, the'):
        axis.find("dog")


def test_axes_of_equal_sizes_are_shared_and_others_are_numbered() -> None:
    """A layer of another length counts an axis of its own, and meets it again by its sizes."""
    book = AxisBook()
    names = [book.name_for("tokens", 1, length) for length in (8, 4, 8, 4, 2)]
    assert names == ["tokens", "tokens_2", "tokens", "tokens_2", "tokens_3"]
    assert book.name_for("tokens", 2, 8) == "tokens_4"
    assert {name: axis.length for name, axis in book.axes.items()} == {
        "tokens": 8,
        "tokens_2": 4,
        "tokens_3": 2,
        "tokens_4": 8,
    }
