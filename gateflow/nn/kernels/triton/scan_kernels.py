"""The scan ``h_t = a_t h_(t-1) + b_t`` as Triton kernels, with a decay given as it is, as its logarithm or as a gate.

A program takes BLOCK columns through one stretch of time; a column is a sequence's own. Columns of few sequences would
leave most of a GPU idle: their time is cut into stretches, each of which `sums` goes through from 0, so that all can
then begin where the one before ends.

A decay is ``scale + rest`` with a scale of 1, 0 or -1, so that no digit of 1 - a is lost, and the state keeps what its
rounding loses: both are float32 throughout.
"""

from __future__ import annotations

try:
    import triton as triton
    import triton.language as tl
except ImportError:
    from gateflow.errors import MissingExtra

    raise MissingExtra("GPU kernels", "gpu") from None

from gateflow.codegen.tritonmath import expm1


@triton.jit
def _decay(x, GATE: tl.constexpr, GIVEN: tl.constexpr):
    """The scale and the rest of a, and its slope in what it is given as: 0 for a, 1 for log a, 2 for a gate's z."""
    if GIVEN == 0:
        scale = tl.where(x >= 0.5, 1.0, tl.where(x <= -0.5, -1.0, 0.0))
        rest = x - scale
        slope = x * 0.0 + 1.0
    elif GIVEN == 1:
        a = tl.exp(tl.where(x > 0.0, float("nan"), x))  # no decay, and no number
        scale = tl.where(x > -0.5, 1.0, 0.0)
        rest = tl.where(x > 0.0, a, tl.where(x > -0.5, expm1(x), a))
        slope = a
    else:
        phi, phi_c, slope = GATE(x)
        scale = tl.where(phi < 0.5, 0.0, 1.0)
        rest = tl.where(phi < 0.5, phi, -phi_c)
    return scale, rest, slope


@triton.jit
def _times(scale, rest, high, low):
    """a h, as the part of it that is exact, and the rest."""
    return scale * high, rest * high + scale * low


@triton.jit
def _add(a, b):
    """``a + b`` and what its rounding loses, for a b that is smaller; else as if b had been rounded once more."""
    total = a + b
    return total, b - (total - a)


@triton.jit
def _place(steps, inner, columns, length, BLOCK: tl.constexpr):
    """Columns, which of them there are, the stretch, its first step, and where that of each column is."""
    blocks = tl.cdiv(columns, BLOCK)
    c = (tl.program_id(0) % blocks) * BLOCK + tl.arange(0, BLOCK)
    stretch = tl.program_id(0) // blocks
    first = stretch * length
    at = (c // inner).to(tl.int64) * steps * inner + c % inner + first.to(tl.int64) * inner
    return c, c < columns, stretch, first, at


@triton.jit
def _get(base, at, mask):
    return tl.load(base + at, mask=mask, other=0.0).to(tl.float32)


@triton.jit(do_not_specialize=["steps", "length"])
def scan_forward(
    decay, input, starts, result, steps, inner, columns, length,
    GATE: tl.constexpr, GIVEN: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The states; starts: (stretches, columns), those before each stretch."""
    c, mask, stretch, first, at = _place(steps, inner, columns, length, BLOCK)
    high = _get(starts, stretch * columns + c, mask)
    low = high * 0.0
    count = tl.minimum(length, steps - first)
    x, b = _get(decay, at, mask), _get(input, at, mask)
    for t in range(count):
        # asked for a step ahead, they are there when they are needed
        more = mask & (c * 0 + t + 1 < count)
        next_x, next_b = _get(decay, at + inner, more), _get(input, at + inner, more)
        scale, rest, _slope = _decay(x, GATE, GIVEN)
        exact, small = _times(scale, rest, high, low)
        high, low = _add(exact, small + b)
        tl.store(result + at, high.to(result.dtype.element_ty), mask=mask)
        at += inner
        x, b = next_x, next_b


@triton.jit(do_not_specialize=["steps", "length"])
def scan_backward(
    grad, decay, output, start, after, grad_decay, grad_input, grad_start, steps, inner, columns, length,
    GATE: tl.constexpr, GIVEN: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The gradients, from the last step to the first; after: (stretches, columns), what each stretch gets from later.

    start and grad_start are of the first step.
    """
    c, mask, stretch, first, at = _place(steps, inner, columns, length, BLOCK)
    high = _get(after, stretch * columns + c, mask)
    low = high * 0.0
    begin = _get(start, c, mask)
    count = tl.minimum(length, steps - first)
    at += (count - 1).to(tl.int64) * inner
    x, g = _get(decay, at, mask), _get(grad, at, mask)
    h = tl.where(first + count > 1, _get(output, at - inner, mask & (c * 0 + first + count > 1)), begin)
    for back in range(count):
        t = first + count - 1 - back
        more = mask & (c * 0 + back + 1 < count)
        next_x, next_g = _get(decay, at - inner, more), _get(grad, at - inner, more)
        next_h = tl.where(t > 1, _get(output, at - 2 * inner, more & (c * 0 + t > 1)), begin)
        scale, rest, slope = _decay(x, GATE, GIVEN)
        to, low = _add(high, g + low)
        exact, small = _times(scale, rest, to, low)
        high, low = _add(exact, small)
        tl.store(grad_input + at, to.to(grad_input.dtype.element_ty), mask=mask)
        tl.store(grad_decay + at, (to * slope * h).to(grad_decay.dtype.element_ty), mask=mask)
        at -= inner
        x, g, h = next_x, next_g, next_h
    tl.store(grad_start + c, high.to(grad_start.dtype.element_ty), mask=mask & (c * 0 + stretch == 0))


@triton.jit(do_not_specialize=["steps", "length"])
def scan_sums(
    decay, other, products, ends, steps, inner, columns, length,
    GATE: tl.constexpr, GIVEN: tl.constexpr, BACK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Of each stretch the product of all decays and the end of the state from 0, or, BACK, of what comes back."""
    c, mask, stretch, first, at = _place(steps, inner, columns, length, BLOCK)
    high = tl.zeros((BLOCK,), tl.float32)
    low = high
    p_high = high + 1.0
    p_low = high
    count = tl.minimum(length, steps - first)
    if BACK:
        at += (count - 1).to(tl.int64) * inner
    for _t in range(count):
        scale, rest, _slope = _decay(_get(decay, at, mask), GATE, GIVEN)
        b = _get(other, at, mask)
        exact, small = _times(scale, rest, p_high, p_low)
        p_high, p_low = _add(exact, small)
        if BACK:
            high, low = _add(high, b + low)
            exact, small = _times(scale, rest, high, low)
            high, low = _add(exact, small)
            at -= inner
        else:
            exact, small = _times(scale, rest, high, low)
            high, low = _add(exact, small + b)
            at += inner
    to = stretch * columns + c
    tl.store(products + to, p_high.to(tl.float64) + p_low.to(tl.float64), mask=mask)
    tl.store(ends + to, high.to(tl.float64) + low.to(tl.float64), mask=mask)
