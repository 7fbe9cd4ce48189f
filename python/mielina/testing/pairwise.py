"""Pairwise covering: few rows, yet every pair of values of two axes stands in some row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, product
from typing import Any


def pairwise(*axes: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Rows (one value an axis) that cover every value and every pair of values of two different axes.

    Greedy: each row starts from an uncovered pair and takes, axis by axis, the value that covers most new pairs with
    the values already chosen. About as many rows as the two longest axes have pairs. Source: Cohen et al. 1997 (AETG).
    """
    if len(axes) < 2:
        yield from product(*axes)
        return
    # A dict keeps the order of insertion, so that the rows are the same on every run.
    uncovered = {
        ((i, a), (j, b)): None
        for i, j in combinations(range(len(axes)), 2)
        for a, b in product(range(len(axes[i])), range(len(axes[j])))
    }
    while uncovered:
        row = dict(next(iter(uncovered)))
        for axis in range(len(axes)):
            if axis not in row:
                gains = [
                    sum(tuple(sorted([(axis, value), other])) in uncovered for other in row.items())
                    for value in range(len(axes[axis]))
                ]
                row[axis] = gains.index(max(gains))
        for pair in combinations(sorted(row.items()), 2):
            uncovered.pop(pair, None)
        yield tuple(axes[axis][row[axis]] for axis in range(len(axes)))
