"""Every flow that a simulation may run, as flat arrays.

A *batch* is the set of flows that start together and are waited for together (one collective of one group, one send).
The table is registered once, before time begins; running a batch again costs no construction. Flow ``f`` crosses
``link_ids[link_ptr[f]:link_ptr[f + 1]]``; batch ``b`` holds the flows ``batch_ptr[b]:batch_ptr[b + 1]``.

Shares, sizes, caps and weights are most often one number for all. Such a column takes that number: it is kept as a view
of one element (stride 0), so that equal flows cost no memory for it; `Column` is how kernels read either kind.

Left out: when anything starts (`netsim.network.fluid`), and latency, which is paid outside the network.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from netsim.network.maxmin import check_incidence, extremes

_NUMBERS = ("link_share", "unit_share", "rate_cap", "weight")
_DTYPES = {"link_ptr": np.int64, "link_ids": np.int32, "batch_ptr": np.int64}


class Column(NamedTuple):
    """Numbers as kernels read them: entry i is ``values[i * step]``, with one value and step 0 when all are one."""

    values: NDArray[np.float64]
    step: int


def column(values: NDArray[np.float64]) -> Column:
    """A column of a `FlowTable` for a kernel.

    >>> column(np.broadcast_to(2.0, (3,))), column(np.arange(2.0))
    (Column(values=array([2.]), step=0), Column(values=array([0., 1.]), step=1))
    """
    return Column(values[:1], 0) if values.size > 1 and values.strides == (0,) else Column(values, 1)


@dataclass(frozen=True)
class FlowTable:
    """Flows grouped in batches, CSR over links; read-only once made. A column of numbers may be one number for all.

    Parameters
    ----------
    link_ptr : (n_flows + 1,) first incidence of each flow
    link_ids : (nnz,) links crossed
    link_share : (nnz,) bytes on that link per byte of the flow
    batch_ptr : (n_batches + 1,) first flow of each batch
    unit_share : (n_flows,) bytes of a flow per byte of the unit that its batch is started with
    rate_cap : (n_flows,) bytes/s, ``inf`` for none
    weight : (n_flows,) max-min weight

    Raises
    ------
    ValueError
        when the arrays do not fit together, or a number is negative or NaN.

    Examples
    --------
    >>> table = FlowTable.from_batches([([[0, 1], [1]], 8.0), ([[0]], 4.0)])
    >>> table.n_batches, table.n_flows, table.unit_share.tolist()
    (2, 3, [8.0, 8.0, 4.0])
    """

    link_ptr: NDArray[np.int64]
    link_ids: NDArray[np.int32]
    link_share: NDArray[np.float64]
    batch_ptr: NDArray[np.int64]
    unit_share: NDArray[np.float64]
    rate_cap: NDArray[np.float64]
    weight: NDArray[np.float64]

    def __post_init__(self) -> None:
        for name, dtype in _DTYPES.items():
            view = np.ascontiguousarray(getattr(self, name), dtype).view()
            view.flags.writeable = False
            object.__setattr__(self, name, view)
        for name in _NUMBERS:
            count = self.link_ids.size if name == "link_share" else max(self.n_flows, 0)
            object.__setattr__(self, name, _numbers(getattr(self, name), count))
        check_incidence(None, self.link_ptr, self.link_ids, self.link_share, self.weight, self.rate_cap)
        ptr, size = self.batch_ptr, self.unit_share
        if ptr.size == 0 or ptr[0] != 0 or ptr[-1] != self.n_flows or (ptr[1:] < ptr[:-1]).any():
            raise ValueError(f"batch_ptr must rise from 0 to the number of flows ({self.n_flows})")
        if size.size != self.n_flows:
            raise ValueError(f"{size.size} sizes for {self.n_flows} flows")
        low, high = extremes(size)
        if not (low >= 0 and high < np.inf):
            raise ValueError(f"unit_share must be >= 0 and finite, found {low} to {high}")

    @property
    def n_flows(self) -> int:
        return self.link_ptr.size - 1

    @property
    def n_batches(self) -> int:
        return self.batch_ptr.size - 1

    @staticmethod
    def from_batches(batches: Sequence[tuple[Sequence[Sequence[int]], ArrayLike]]) -> "FlowTable":
        """A table from ``(paths, sizes)`` per batch: a list of link ids per flow, and bytes per flow or one for all."""
        builder = FlowTableBuilder()
        for paths, sizes in batches:
            ptr = np.concatenate(([0], np.cumsum([len(path) for path in paths]))).astype(np.int64)
            ids = np.array([link for path in paths for link in path], np.int32)
            builder.add(ptr, ids, sizes)
        return builder.build()


def _numbers(values: ArrayLike, count: int) -> NDArray[np.float64]:
    """A read-only column; one number stands for `count` of them without taking their memory."""
    array = np.asarray(values, np.float64)
    if array.ndim == 0:
        return np.broadcast_to(array, (count,))
    if column(array).step:
        array = np.ascontiguousarray(array).view()
        array.flags.writeable = False
    return array


class FlowTableBuilder:
    """Collects batches piece by piece and concatenates them once.

    Examples
    --------
    >>> builder = FlowTableBuilder()
    >>> builder.add(link_ptr=[0, 2, 3], link_ids=[0, 1, 1], unit_share=10.0)
    0
    >>> builder.build().link_ids.tolist()
    [0, 1, 1]
    """

    def __init__(self) -> None:
        self._pieces: dict[str, list[NDArray[np.float64]]] = {field.name: [] for field in fields(FlowTable)}
        self._n_batches = 0

    def add(
        self,
        link_ptr: ArrayLike,
        link_ids: ArrayLike,
        unit_share: ArrayLike,
        link_share: ArrayLike = 1.0,
        rate_cap: ArrayLike = np.inf,
        weight: ArrayLike = 1.0,
    ) -> int:
        """Append one batch and return its number; scalars stand for the same value in every flow or incidence."""
        ptr, ids = np.asarray(link_ptr, np.int64), np.asarray(link_ids, np.int32)
        n_flows = ptr.size - 1
        if n_flows < 0 or ptr[0] != 0 or ptr[-1] != ids.size:
            raise ValueError("link_ptr must rise from 0 to len(link_ids)")
        piece = {
            "link_ptr": np.diff(ptr),
            "link_ids": ids,
            "link_share": np.broadcast_to(np.asarray(link_share, np.float64), ids.shape),
            "batch_ptr": np.array([n_flows]),
            "unit_share": np.broadcast_to(np.asarray(unit_share, np.float64), (n_flows,)),
            "rate_cap": np.broadcast_to(np.asarray(rate_cap, np.float64), (n_flows,)),
            "weight": np.broadcast_to(np.asarray(weight, np.float64), (n_flows,)),
        }
        for name, array in piece.items():
            self._pieces[name].append(array)
        self._n_batches += 1
        return self._n_batches - 1

    def build(self) -> FlowTable:
        """The table of all batches added so far."""
        arrays = {
            name: np.concatenate([np.empty(0, _DTYPES.get(name, np.float64)), *pieces])
            for name, pieces in self._pieces.items()
        }
        for name in ("link_ptr", "batch_ptr"):
            arrays[name] = np.concatenate(([0], np.cumsum(arrays[name])))
        return FlowTable(**arrays)
