"""LSTM layers on a GPU, for any gates: the kernels. :mod:`gateflow.nn.kernels.triton.lstm` launches them.

The forward pass stores how far each gradient passes each place of a step, and the backward pass then knows no gate and
no transcendental function. With the blocks i, f, g, o::

    through_i = g i'       through_f = c_prev f'       through_g = i (1 - g**2)       through_o = tanh(c) o'
    into_c = o (1 - tanh(c)**2)                        keep = f

    dc += dh into_c        dz_b = dc through_b, b = i, f, g        dz_o = dh through_o
    dh_prev = dz U         dc_prev = dc keep

With a tied input gate, ``i = 1 - f``, there is no block i and ``through_f = (c_prev - g) f'``. ``keep`` is always
float32: in bfloat16 an f above .998 would be 1, and a gradient would pass any number of steps undiminished.

Two ways. In `whole_forward` and `whole_backward` a program owns some rows of the batch for all times and keeps the
recurrent weights on chip; programs never wait for each other. In `step_forward` and `step_backward` a library has done
the step's matrix product, and the kernel does all else. Both compute a step by `_step` and `_back`.

Everything is computed in float32; products take operands of the type OPERAND. Triton's interpreter would multiply the
bits of bfloat16 as integers, so there OPERAND is float32, after rounding to the tensors' own type: the same products,
for those of bfloat16 are exact in float32.
"""

from __future__ import annotations

try:
    import triton as triton
    import triton.language as tl
except ImportError:
    from gateflow.errors import MissingExtra

    raise MissingExtra("GPU kernels", "gpu") from None

from gateflow.codegen.tritonmath import tanh


@triton.jit
def _step(z_i, z_f, z_g, z_o, c, INPUT: tl.constexpr, FORGET: tl.constexpr, OUTPUT: tl.constexpr, TIED: tl.constexpr):
    """One step: h, c, and the factors of its gradients."""
    f, f_c, df = FORGET(z_f)
    o, _o_c, do = OUTPUT(z_o)
    g = tanh(z_g)
    if TIED:
        i = f_c
        through_i = z_f
        through_f = (c - g) * df
    else:
        i, _i_c, di = INPUT(z_i)
        through_i = g * di
        through_f = c * df
    c = f * c + i * g
    t = tanh(c)
    return o * t, c, through_i, through_f, i * (1.0 - g * g), t * do, o * (1.0 - t * t), f


@triton.jit
def _get(base, at, mask):
    return tl.load(base + at, mask=mask, other=0.0).to(tl.float32)


@triton.jit
def _corners(at, mask, STRIDE: tl.constexpr, COUNT: tl.constexpr):
    """Places of COUNT numbers, at most 4, for each place, with two more axes of length 2."""
    a = tl.arange(0, 2)[None, None, :, None] * 2 + tl.arange(0, 2)[None, None, None, :]
    return at[:, :, None, None] + a * STRIDE, mask[:, :, None, None] & (a < COUNT)


@triton.jit
def _get_blocks(base, at, mask, STRIDE: tl.constexpr, TIED: tl.constexpr):
    """Pre-activations i, f, g, o, or what has their places; for a tied input gate f stands in for i and is not used.

    Read together, they change places between a processor's threads together: every such change makes all of them wait.
    """
    at4, mask4 = _corners(at, mask, STRIDE, 3 if TIED else 4)
    even, odd = tl.split(_get(base, at4, mask4))
    first, third = tl.split(even)
    second, fourth = tl.split(odd)
    if TIED:
        return first, first, second, third
    return first, second, third, fourth


@triton.jit
def _put_blocks(base, at, mask, i, f, g, o, STRIDE: tl.constexpr, TIED: tl.constexpr):
    at4, mask4 = _corners(at, mask, STRIDE, 3 if TIED else 4)
    if TIED:
        together = tl.join(tl.join(f, o), tl.join(g, o))
    else:
        together = tl.join(tl.join(i, g), tl.join(f, o))
    tl.store(base + at4, together.to(base.dtype.element_ty), mask=mask4)


@triton.jit
def _back(dh, dc, i, f, g, o, into_c, keep):
    """One step backwards from the gradients of its h and c: those of the four pre-activations and of the last c."""
    dc += dh * into_c
    return dc * i, dc * f, dc * g, dh * o, dc * keep


# --- whole sequences --------------------------------------------------------------------------------------------------

# Tiles are transposed, (hidden, batch): matrix units take 16 rows or more of the first factor, which are then those of
# the weights, and as few as 8 columns of the second, so that a batch spreads over more of the processors.


@triton.jit
def _weights(
    hh, BLOCK: tl.constexpr, SIZE: tl.constexpr, WIDTH: tl.constexpr, OPERAND: tl.constexpr, BACK: tl.constexpr
):
    """A block of the recurrent weights: (out, in), or (in, out) for the way back; zeros outside."""
    a = tl.arange(0, WIDTH)
    mask = (a[:, None] < SIZE) & (a[None, :] < SIZE)
    if BACK:
        at = (BLOCK * SIZE + a[None, :]) * SIZE + a[:, None]
    else:
        at = (BLOCK * SIZE + a[:, None]) * SIZE + a[None, :]
    return tl.load(hh + at, mask=mask, other=0.0).to(OPERAND)


@triton.jit(do_not_specialize=["time", "batch"])
def whole_forward(
    x, hh, h0, c0, hs, c_last, through, into_c, keep, time, batch,
    INPUT: tl.constexpr, FORGET: tl.constexpr, OUTPUT: tl.constexpr, TIED: tl.constexpr, SIZE: tl.constexpr,
    WIDTH: tl.constexpr, ROWS: tl.constexpr, OPERAND: tl.constexpr, PRECISION: tl.constexpr, STORE: tl.constexpr,
):  # fmt: skip
    """All times of some rows. x and through: (time, batch, blocks * SIZE); the others (time, batch, SIZE)."""
    BLOCKS: tl.constexpr = 3 if TIED else 4
    FIRST: tl.constexpr = 0 if TIED else 1
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[None, :]
    cols = tl.arange(0, WIDTH)[:, None]
    mask = (rows < batch) & (cols < SIZE)
    narrow = rows * SIZE + cols
    wide = rows * (BLOCKS * SIZE) + cols
    w_i = _weights(hh, 0, SIZE, WIDTH, OPERAND, False)
    w_f = _weights(hh, FIRST, SIZE, WIDTH, OPERAND, False)
    w_g = _weights(hh, FIRST + 1, SIZE, WIDTH, OPERAND, False)
    w_o = _weights(hh, FIRST + 2, SIZE, WIDTH, OPERAND, False)
    h = tl.load(h0 + narrow, mask=mask, other=0.0)
    c = tl.load(c0 + narrow, mask=mask, other=0.0).to(tl.float32)
    z_i, z_f, z_g, z_o = _get_blocks(x, wide, mask, SIZE, TIED)
    for t in range(time):
        # asked for a step ahead, the input is there when it is needed
        x += batch * (BLOCKS * SIZE)
        n_i, n_f, n_g, n_o = _get_blocks(x, wide, mask & (cols * 0 + t + 1 < time), SIZE, TIED)
        a = h.to(OPERAND)
        if not TIED:
            z_i = tl.dot(w_i, a, z_i, input_precision=PRECISION)
        z_f = tl.dot(w_f, a, z_f, input_precision=PRECISION)
        z_g = tl.dot(w_g, a, z_g, input_precision=PRECISION)
        z_o = tl.dot(w_o, a, z_o, input_precision=PRECISION)
        h_new, c, f_i, f_f, f_g, f_o, f_c, f = _step(z_i, z_f, z_g, z_o, c, INPUT, FORGET, OUTPUT, TIED)
        h = h_new.to(h.dtype)
        tl.store(hs + narrow, h, mask=mask)
        hs += batch * SIZE
        if STORE:
            _put_blocks(through, wide, mask, f_i, f_f, f_g, f_o, SIZE, TIED)
            tl.store(into_c + narrow, f_c, mask=mask)
            tl.store(keep + narrow, f, mask=mask)
            through += batch * (BLOCKS * SIZE)
            into_c += batch * SIZE
            keep += batch * SIZE
        z_i, z_f, z_g, z_o = n_i, n_f, n_g, n_o
    tl.store(c_last + narrow, c, mask=mask)


@triton.jit(do_not_specialize=["time", "batch"])
def whole_backward(
    hh, grad_hs, grad_c, through, into_c, keep, dz, dh0, dc0, time, batch,
    TIED: tl.constexpr, SIZE: tl.constexpr, WIDTH: tl.constexpr, ROWS: tl.constexpr,
    OPERAND: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """All times of some rows, from the last to the first."""
    BLOCKS: tl.constexpr = 3 if TIED else 4
    FIRST: tl.constexpr = 0 if TIED else 1
    rows = tl.program_id(0) * ROWS + tl.arange(0, ROWS)[None, :]
    cols = tl.arange(0, WIDTH)[:, None]
    mask = (rows < batch) & (cols < SIZE)
    narrow = rows * SIZE + cols
    wide = rows * (BLOCKS * SIZE) + cols
    w_i = _weights(hh, 0, SIZE, WIDTH, OPERAND, True)
    w_f = _weights(hh, FIRST, SIZE, WIDTH, OPERAND, True)
    w_g = _weights(hh, FIRST + 1, SIZE, WIDTH, OPERAND, True)
    w_o = _weights(hh, FIRST + 2, SIZE, WIDTH, OPERAND, True)
    dc = tl.load(grad_c + narrow, mask=mask, other=0.0).to(tl.float32)
    dh = tl.zeros((WIDTH, ROWS), tl.float32)
    last = (time - 1).to(tl.int64) * batch
    grad_hs += last * SIZE
    into_c += last * SIZE
    keep += last * SIZE
    through += last * (BLOCKS * SIZE)
    dz += last * (BLOCKS * SIZE)
    n_i, n_f, n_g, n_o = _get_blocks(through, wide, mask, SIZE, TIED)
    n_h = _get(grad_hs, narrow, mask)
    n_c = _get(into_c, narrow, mask)
    n_k = _get(keep, narrow, mask)
    for t in range(time):
        f_i, f_f, f_g, f_o = n_i, n_f, n_g, n_o
        dh += n_h
        f_c, f = n_c, n_k
        grad_hs -= batch * SIZE
        into_c -= batch * SIZE
        keep -= batch * SIZE
        through -= batch * (BLOCKS * SIZE)
        more = mask & (cols * 0 + t + 1 < time)
        n_i, n_f, n_g, n_o = _get_blocks(through, wide, more, SIZE, TIED)
        n_h = _get(grad_hs, narrow, more)
        n_c = _get(into_c, narrow, more)
        n_k = _get(keep, narrow, more)
        dz_i, dz_f, dz_g, dz_o, dc = _back(dh, dc, f_i, f_f, f_g, f_o, f_c, f)
        # rounded once, so that the weights' gradients and the way back see the same numbers
        b_i, b_f = dz_i.to(dz.dtype.element_ty), dz_f.to(dz.dtype.element_ty)
        b_g, b_o = dz_g.to(dz.dtype.element_ty), dz_o.to(dz.dtype.element_ty)
        _put_blocks(dz, wide, mask, b_i, b_f, b_g, b_o, SIZE, TIED)
        dz -= batch * (BLOCKS * SIZE)
        dh = tl.dot(w_f, b_f.to(OPERAND), input_precision=PRECISION)
        if not TIED:
            dh = tl.dot(w_i, b_i.to(OPERAND), dh, input_precision=PRECISION)
        dh = tl.dot(w_g, b_g.to(OPERAND), dh, input_precision=PRECISION)
        dh = tl.dot(w_o, b_o.to(OPERAND), dh, input_precision=PRECISION)
    tl.store(dh0 + narrow, dh, mask=mask)
    tl.store(dc0 + narrow, dc, mask=mask)


# --- one step ---------------------------------------------------------------------------------------------------------

# Addresses of the sequences' tensors come from a table in memory and the time from a counter there: a graph of
# launches, captured once, then serves every call. LIKE is any tensor of the sequences' type.


@triton.jit(do_not_specialize=["k"])
def step_forward(
    table, counter, z, h, c, k, count,
    LIKE: tl.constexpr, INPUT: tl.constexpr, FORGET: tl.constexpr, OUTPUT: tl.constexpr, TIED: tl.constexpr,
    SIZE: tl.constexpr, STORE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The step ``counter + k`` after ``z = h U``; count is batch times SIZE. Changes h and c in place."""
    BLOCKS: tl.constexpr = 3 if TIED else 4
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[:, None]
    mask = n < count
    wide = (n // SIZE) * (BLOCKS * SIZE) + n % SIZE
    past = (tl.load(counter) + k) * count
    x = tl.load(table).to(tl.pointer_type(LIKE)) + past * BLOCKS
    hs = tl.load(table + 1).to(tl.pointer_type(LIKE)) + past
    through = tl.load(table + 2).to(tl.pointer_type(LIKE)) + past * BLOCKS
    into_c = tl.load(table + 3).to(tl.pointer_type(LIKE)) + past
    keep = tl.load(table + 4).to(tl.pointer_type(tl.float32)) + past
    x_i, x_f, x_g, x_o = _get_blocks(x, wide, mask, SIZE, TIED)
    z_i, z_f, z_g, z_o = _get_blocks(z, wide, mask, SIZE, TIED)
    z_i, z_f, z_g, z_o = x_i + z_i, x_f + z_f, x_g + z_g, x_o + z_o
    before = tl.load(c + n, mask=mask, other=0.0)
    h_new, after, f_i, f_f, f_g, f_o, f_c, f = _step(z_i, z_f, z_g, z_o, before, INPUT, FORGET, OUTPUT, TIED)
    tl.store(c + n, after, mask=mask)
    tl.store(h + n, h_new, mask=mask)
    tl.store(hs + n, h_new, mask=mask)
    if STORE:
        _put_blocks(through, wide, mask, f_i, f_f, f_g, f_o, SIZE, TIED)
        tl.store(into_c + n, f_c, mask=mask)
        tl.store(keep + n, f, mask=mask)


@triton.jit(do_not_specialize=["k"])
def step_backward(
    table, counter, dz_step, dh, dc, k, count,
    LIKE: tl.constexpr, TIED: tl.constexpr, SIZE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """The step ``counter - k`` on the way back, dh from the matrix product of the step after it. Changes dc."""
    BLOCKS: tl.constexpr = 3 if TIED else 4
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)[:, None]
    mask = n < count
    wide = (n // SIZE) * (BLOCKS * SIZE) + n % SIZE
    past = (tl.load(counter) - k) * count
    grad_hs = tl.load(table).to(tl.pointer_type(LIKE)) + past
    through = tl.load(table + 1).to(tl.pointer_type(LIKE)) + past * BLOCKS
    into_c = tl.load(table + 2).to(tl.pointer_type(LIKE)) + past
    keep = tl.load(table + 3).to(tl.pointer_type(tl.float32)) + past
    dz = tl.load(table + 4).to(tl.pointer_type(LIKE)) + past * BLOCKS
    f_i, f_f, f_g, f_o = _get_blocks(through, wide, mask, SIZE, TIED)
    f_c = _get(into_c, n, mask)
    f = _get(keep, n, mask)
    dh_now = _get(dh, n, mask) + _get(grad_hs, n, mask)
    dc_now = tl.load(dc + n, mask=mask, other=0.0)
    dz_i, dz_f, dz_g, dz_o, before = _back(dh_now, dc_now, f_i, f_f, f_g, f_o, f_c, f)
    _put_blocks(dz, wide, mask, dz_i, dz_f, dz_g, dz_o, SIZE, TIED)
    _put_blocks(dz_step, wide, mask, dz_i, dz_f, dz_g, dz_o, SIZE, TIED)
    tl.store(dc + n, before, mask=mask)
