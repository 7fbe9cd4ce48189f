"""Kohonen's map: units on a grid share out the digits among them, and neighbours come to look alike.

Each digit goes to the unit that is most like it, which moves towards it together with its neighbours in the grid; the
neighbourhood shrinks (Kohonen 1982; here a whole epoch at once, as in his batch map). No label is used. Afterwards each
unit is called by what came to it, and unseen digits by their unit. The bar: the same number of cells on the plane of
the two principal components.
"""

import mielina as mi
import numpy as np
from _common import Run
from mielina.plot import figure, filters, u_matrix
from sklearn.datasets import load_digits

SIDE = 12


def nearest(units, x):
    """The number of the unit that is most like each sample."""
    return mi.cdist(x, units).argmin(1)


def train(x, epochs):
    """Units (SIDE * SIDE, features)."""
    place = mi.cartesian_prod(mi.arange(SIDE), mi.arange(SIDE)).float()
    apart = mi.cdist(place, place) ** 2
    units = x[mi.randperm(len(x))[: len(place)]]
    for epoch in range(epochs):
        radius = SIDE / 3 * (0.6 / (SIDE / 3)) ** (epoch / (epochs - 1))
        near = mi.exp(-apart / (2 * radius**2))[nearest(units, x)]  # (samples, units)
        units = near.T @ x / near.sum(0)[:, None]
    return units


def cells(train, test):
    """The cell of each sample among SIDE * SIDE on the two principal axes, cut so that each holds equally many."""
    mean = train.mean(0)
    axes = np.linalg.svd(train - mean, full_matrices=False)[2][:2].T
    cuts = np.quantile((train - mean) @ axes, np.arange(1, SIDE) / SIDE, axis=0)
    found = [[np.searchsorted(cuts[:, k], ((part - mean) @ axes)[:, k]) for k in (0, 1)] for part in (train, test)]
    return [row * SIDE + column for row, column in found]


def names(cell, labels):
    """What each cell holds most of; -1 where it holds nothing."""
    counts = np.zeros((SIDE * SIDE, 10), int)
    np.add.at(counts, (cell, labels), 1)
    return np.where(counts.any(1), counts.argmax(1), -1)


def main():
    run = Run(__file__, __doc__, full="ten times the epochs, 4 s")
    digits = load_digits()
    x, order = (digits.data / 16).astype(np.float32), np.random.default_rng(run.seed).permutation(len(digits.data))
    data, test = x[order[:1300]], x[order[1300:]]
    labels, true = digits.target[order[:1300]], digits.target[order[1300:]]
    mi.manual_seed(run.seed)
    units = train(mi.tensor(data), run.pick(30, 300))
    called = names(nearest(units, mi.tensor(data)).numpy(), labels)
    accuracy = (called[nearest(units, mi.tensor(test)).numpy()] == true).mean()
    on_data, on_test = cells(data, test)
    plane = (names(on_data, labels)[on_test] == true).mean()

    f = figure(11, 5.2)
    left, right = f.subplots(1, 2, width_ratios=[1, 1.25])
    filters(units.reshape(-1, 1, 8, 8), left, columns=SIDE)
    left.set_title("the units")
    u_matrix(units.reshape(SIDE, SIDE, 64), right)
    for i, name in enumerate(called):
        right.text(i % SIDE, i // SIDE, name if name >= 0 else "", ha="center", va="center", color="white")
    right.set_title("ridges between the digits")
    run.finish(f, "accuracy on 497 unseen digits", accuracy, "cells of two components", plane, run.pick(0.9, 0.9))


if __name__ == "__main__":
    main()
