"""Batches of sequences of several lengths: padded, or packed time step by time step without the padding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ... import _core
from ...devices import made_on
from ...tensor import Tensor


class PackedSequence(NamedTuple):
    """data: the elements at time 0 of all sequences, longest first, then at time 1, ...; batch_sizes[t]: how many."""

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None = None
    unsorted_indices: Tensor | None = None


def indices(values: Any) -> Tensor:
    """An int64 tensor of the values."""
    return _core.clone(_core.from_numpy(np.asarray(values, dtype=np.int64)))  # type: ignore[no-any-return]


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes this one: y[permutation[i]] = i; None for None."""
    return None if permutation is None else indices(np.argsort(permutation.numpy(), kind="stable"))


def pack_padded_sequence(
    input: Tensor, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Packs (T, N, ...) or, with batch_first, (N, T, ...). RuntimeError for lengths that are not positive, or not
    falling while enforce_sorted is set."""
    from ...ops import index_select

    n = np.asarray(lengths.numpy() if isinstance(lengths, Tensor) else lengths, dtype=np.int64)
    batch, time = (0, 1) if batch_first else (1, 0)
    if n.ndim != 1 or len(n) != input.shape[batch]:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(n)} (batch_size={input.shape[batch]})"
        )
    if (n <= 0).any():
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if n.max() > input.shape[time]:
        raise RuntimeError(f"Expected lengths of at most {input.shape[time]}, got {n.max()}")
    order = np.argsort(-n, kind="stable")
    if enforce_sorted and (np.diff(n) > 0).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this requirement"
        )
    batch_sizes = (n[order][None, :] > np.arange(n.max())[:, None]).sum(1)
    steps = np.repeat(np.arange(len(batch_sizes)), batch_sizes)
    which = np.concatenate([order[:b] for b in batch_sizes])
    rows = which * input.shape[1] + steps if batch_first else steps * input.shape[1] + which
    data = index_select(input.reshape(-1, *input.shape[2:]), 0, indices(rows))
    if enforce_sorted:
        return PackedSequence(data, indices(batch_sizes))
    return PackedSequence(data, indices(batch_sizes), indices(order), indices(np.argsort(order, kind="stable")))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Tensor, Tensor]:
    """The inverse of pack_padded_sequence: (T, N, ...) or (N, T, ...), and the lengths."""
    from ...ops import cat, index_select

    sizes = sequence.batch_sizes.numpy()
    time = len(sizes)
    if total_length is not None:
        if total_length < time:
            raise ValueError(
                f"Expected total_length to be at least the length of the longest sequence in input, but got "
                f"total_length={total_length} and max sequence length being {time}"
            )
        time = total_length
    batch = int(sizes[0])
    lengths = (sizes[None, :] > np.arange(batch)[:, None]).sum(1)
    rows = np.full((time, batch), len(sequence.data))  # padding is the row behind the data
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    for t, (start, size) in enumerate(zip(starts, sizes)):
        rows[t, :size] = start + np.arange(size)
    if sequence.unsorted_indices is not None:
        order = sequence.unsorted_indices.numpy()
        rows, lengths = rows[:, order], lengths[order]
    if batch_first:
        rows = rows.T
    pad = made_on(sequence.data, _core.empty, (1, *sequence.data.shape[1:]), sequence.data.dtype)
    _core.fill_(pad, padding_value)
    data = index_select(cat([sequence.data, pad], 0), 0, indices(rows.ravel()))
    return data.reshape(*rows.shape, *sequence.data.shape[1:]), indices(lengths)


def pad_sequence(
    sequences: Tensor | Sequence[Tensor],
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stacks sequences (L_i, ...) as (L, N, ...) or (N, L, ...), shorter ones filled up with padding_value."""
    from ...ops import cat, stack

    if not isinstance(sequences, (list, tuple)):
        if not isinstance(sequences, Iterable):
            raise RuntimeError(
                f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences).__name__}"
            )
        sequences = list(sequences)
    if padding_side not in ("left", "right"):
        raise ValueError(f"padding_side should be 'left' or 'right', got {padding_side!r}")
    longest = max(s.shape[0] for s in sequences)
    rows = []
    for s in sequences:
        if s.shape[0] < longest:
            pad = made_on(s, _core.empty, (longest - s.shape[0], *s.shape[1:]), s.dtype)
            _core.fill_(pad, padding_value)
            s = cat([s, pad] if padding_side == "right" else [pad, s], 0)
        rows.append(s)
    return stack(rows, 0 if batch_first else 1)  # type: ignore[no-any-return]


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences of a padded batch, each without its padding."""
    time = 0
    return [
        padded_sequences.select(0 if batch_first else 1, i).narrow(time, 0, int(n))
        for i, n in enumerate(lengths.tolist())
    ]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Packs a list of sequences (L_i, ...)."""
    return pack_padded_sequence(pad_sequence(sequences), [s.shape[0] for s in sequences], enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The inverse of pack_sequence."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
