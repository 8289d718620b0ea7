"""How the parts of the kernel see the state: one pointer, `s`, whose attributes are the arrays of `State`.

Passing the arrays themselves would push some hundred words on the stack at every call, and each part would be compiled
for all of them. So the loop is given a table of addresses and shapes, and `s.ports` is an array made from it on the
spot. None of the parts is called from Python, which saves most of the time that compiling takes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import from_dtype, types
from numba.core.imputils import lower_getattr_generic
from numba.core.typing.templates import AttributeTemplate
from numba.extending import infer_getattr, intrinsic, models, register_model
from numpy.typing import NDArray

from netsim.congestion.state import LAYOUT, State
from netsim.kernels import njit

#: for all but the loop itself
part = njit(cache=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
#: words of the table for an array: address and two extents
WORDS = 3


def table(state: State) -> NDArray[np.int64]:
    """Where the arrays of a state lie; they must outlive it.

    Raises TypeError for an array that is not as `LAYOUT` says, or not contiguous.
    """
    words = np.zeros((len(LAYOUT), WORDS), np.int64)
    for n, (name, (dtype, dimensions)) in enumerate(LAYOUT.items()):
        array = getattr(state, name)
        if array.dtype != dtype or array.ndim != dimensions or not array.flags.c_contiguous:
            raise TypeError(
                f"{name}: {array.dtype}, {array.ndim} dimensions, must be {dtype} and {dimensions}"
            )
        words[n, 0] = array.ctypes.data
        words[n, 1 : 1 + dimensions] = array.shape
    return words.ravel()


class Handle(types.Type):  # type: ignore[misc]
    """The type of `s`."""

    def __init__(self) -> None:
        super().__init__(name="netsim.congestion.Handle")


HANDLE = Handle()
register_model(Handle)(models.OpaqueModel)


@intrinsic
def handle(typing: Any, address: Any) -> Any:
    """`s` from the address of a table."""

    def make(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(HANDLE))

    return HANDLE(types.intp), make


@infer_getattr
class _Typed(AttributeTemplate):  # type: ignore[misc]
    key = Handle

    def generic_resolve(self, handle: Handle, name: str) -> Any:
        return _array_type(name) if name in LAYOUT else None


def _array_type(name: str) -> Any:
    dtype, dimensions = LAYOUT[name]
    return types.Array(from_dtype(np.dtype(dtype)), dimensions, "C")


@lower_getattr_generic(Handle)
def _lowered(context: Any, builder: Any, kind: Handle, value: Any, name: str) -> Any:
    """An array from its words in the table: no owner, so nothing is counted."""
    from numba.core import cgutils
    from numba.np.arrayobj import make_array, populate_array

    array_type = _array_type(name)
    array = make_array(array_type)(context, builder)
    word = context.get_value_type(types.intp)
    first = list(LAYOUT).index(name) * WORDS
    base = builder.bitcast(value, word.as_pointer())

    def load(n: int) -> Any:
        return builder.load(cgutils.gep_inbounds(builder, base, first + n))

    shape = [load(1 + n) for n in range(array_type.ndim)]
    size = context.get_abi_sizeof(context.get_data_type(array_type.dtype))
    strides = [context.get_constant(types.intp, size)]
    if array_type.ndim == 2:
        strides = [builder.mul(shape[1], strides[0]), *strides]
    data = builder.inttoptr(load(0), array.data.type)
    populate_array(
        array,
        data=data,
        shape=shape,
        strides=strides,
        itemsize=context.get_constant(types.intp, size),
        meminfo=None,
    )
    return array._getvalue()
