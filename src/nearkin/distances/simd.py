"""Vectors of 16 float32 as a numba type, so that a kernel says which numbers share an instruction.

A value is LLVM's ``<16 x float>``, which LLVM splits into whatever the machine has (one AVX-512,
two AVX or four NEON registers); nothing here names an instruction set. Addresses are offsets in
elements into C-contiguous one-dimensional float32 arrays, and nothing checks them. The functions
exist only inside compiled code: with ``NUMBA_DISABLE_JIT=1`` kernels must take another path.
numba's cache watches the file of the kernel alone: after a change here, touch kernels.py.
"""

from __future__ import annotations

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

WIDTH = 16
"""Numbers in a vector."""

_FLOATS = ir.VectorType(ir.FloatType(), WIDTH)
_INDEX = ir.IntType(32)
_ALIGNMENT = 4  # bytes that loads and stores may count on: that of one float


class Vector(types.Type):
    """The numba type of a vector."""

    def __init__(self):
        super().__init__(name=f"float32x{WIDTH}")


vector = Vector()


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager, frontend_type):
        super().__init__(manager, frontend_type, _FLOATS)


def _address(context, builder, array_type, array, offset):
    data = cgutils.create_struct_proxy(array_type)(context, builder, array).data
    return builder.gep(data, [offset])


def _call(builder, name, arguments):
    """Call an LLVM intrinsic that maps vectors to a vector."""
    name = f"{name}.v{WIDTH}f32"
    function = builder.module.globals.get(name)
    if function is None:
        kind = ir.FunctionType(_FLOATS, [_FLOATS] * len(arguments))
        function = ir.Function(builder.module, kind, name)
    return builder.call(function, arguments)


def _repeat(builder, value):
    undefined = ir.Constant(_FLOATS, ir.Undefined)
    first = builder.insert_element(undefined, value, _INDEX(0))
    zeros = ir.Constant(ir.VectorType(_INDEX, WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, undefined, zeros)


@intrinsic
def load(typing_context, array, offset):
    """Return the vector that starts at `offset`."""

    def generate(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], *arguments)
        value = builder.load(builder.bitcast(address, _FLOATS.as_pointer()))
        value.align = _ALIGNMENT
        return value

    return vector(array, types.intp), generate


@intrinsic
def store(typing_context, array, offset, value):
    """Write a vector from `offset` on."""

    def generate(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], *arguments[:2])
        done = builder.store(arguments[2], builder.bitcast(address, _FLOATS.as_pointer()))
        done.align = _ALIGNMENT
        return context.get_dummy_value()

    return types.void(array, types.intp, value), generate


@intrinsic
def spread(typing_context, array, offset):
    """Return a vector of which every lane is the one number at `offset`."""

    def generate(context, builder, signature, arguments):
        address = _address(context, builder, signature.args[0], *arguments)
        return _repeat(builder, builder.load(address))

    return vector(array, types.intp), generate


@intrinsic
def fill(typing_context, value):
    """Return a vector of which every lane is `value`."""

    def generate(context, builder, signature, arguments):
        return _repeat(builder, arguments[0])

    return vector(types.float32), generate


def _binary(operation):
    def typer(typing_context, x, y):
        def generate(context, builder, signature, arguments):
            return operation(builder, *arguments)

        return vector(x, y), generate

    return intrinsic(typer)


def _chosen(relation):
    def operation(builder, x, y):
        return builder.select(builder.fcmp_ordered(relation, x, y), x, y)

    return operation


add = _binary(lambda builder, x, y: builder.fadd(x, y))
subtract = _binary(lambda builder, x, y: builder.fsub(x, y))
multiply = _binary(lambda builder, x, y: builder.fmul(x, y))
minimum = _binary(_chosen("<"))
maximum = _binary(_chosen(">"))


@intrinsic
def multiply_add(typing_context, x, y, z):
    """Return ``x * y + z``, rounded once where the machine can, twice where that would be slow."""

    def generate(context, builder, signature, arguments):
        return _call(builder, "llvm.fmuladd", arguments)

    return vector(x, y, z), generate


@intrinsic
def square_root(typing_context, x):
    """Return the correctly rounded square root of every lane."""

    def generate(context, builder, signature, arguments):
        return _call(builder, "llvm.sqrt", arguments)

    return vector(x), generate
