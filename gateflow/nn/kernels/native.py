"""Gated layers over whole sequences in C, for any gates: recurrent.c compiled on this machine, called from autograd.

Threads take shares of the batch, each through all time, so that they meet once a pass; the number is PyTorch's own.
"""

from __future__ import annotations

import ctypes
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gateflow.codegen import compiler as compiled
from gateflow.errors import InvalidArgument, NoCompiler
from gateflow.formula.vocabulary import Z
from gateflow.gates.gate import Gate
from gateflow.nn.functional import GateFunction, untraced
from gateflow.nn.kernels import threads, workspace
from gateflow.nn.kernels.layout import Layout
from gateflow.nn.kernels.tables import BREAKS, ZONES, GateTable, table

DTYPES = {torch.float32: ctypes.c_float, torch.float64: ctypes.c_double}

CELLS = ("lstm", "tied lstm", "janet", "gru", "refine", "tied refine")
"""In the order of recurrent.c."""

BLOCKS, GATES = 5, 4
"""The most of a cell; as in recurrent.c."""

LINE = 64
"""Bytes of a line of cache, at which a gate's table begins; as in gates.h."""

CHUNK = 128
"""Rows, of batch and time, whose gradients of weights are taken together."""

TILE = 64
"""Rows of the batch that go through time together in one thread."""

MOST_KEPT = 1 << 31
"""Bytes that a forward pass may keep for the backward pass; past it, that one computes the factors again."""

SEGMENT = 1 << 24
"""Bytes of the factors that are computed again together, in each thread."""

CACHED = 1 << 22
"""Bytes of factors that may stay in the caches until the backward pass; more go past them."""


# --- the library ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=4)
def _gate_type(real: Any) -> type[ctypes.Structure]:
    whole = {ctypes.c_float: ctypes.c_int32, ctypes.c_double: ctypes.c_int64}[real]
    fields: list[tuple[str, Any]] = [(name, whole * ZONES) for name in ("shift", "base", "narrow")]
    fields += [(name, ctypes.c_void_p) for name in ("phi", "complement")]
    fields += [(name, ctypes.c_int64) for name in ("negative", "grain", "first", "breaks")]
    fields += [(name, real * BREAKS) for name in ("at", "near", "anchor")]
    return type("Gate", (ctypes.Structure,), {"_fields_": fields})


@lru_cache(maxsize=4)
def _run_type(real: Any) -> type[ctypes.Structure]:
    words = lambda text, kind: [(name, kind) for name in text.split()]  # noqa: E731
    one, many, number = ctypes.c_void_p, ctypes.c_void_p * BLOCKS, ctypes.c_int64
    fields = [
        *words("cell blocks factors hidden inputs steps batch reverse threads", number),
        *words("h_first h_last x_first x_last from_output chunk tile segment stream", number),
        ("shift", real),
        ("gate", ctypes.c_void_p * GATES),
        *words("sizes offsets", one),
        *words("weight_x weight_h bias_1 bias_2", many),
        *words("x h_start c_start output h_end c_end packed kept marks scratch", one),
        *words("grad_output grad_h_end grad_c_end grad_x grad_h_start grad_c_start packed_h packed_x sums", one),
        *words("grad_weight_x grad_weight_h grad_bias", many),
    ]
    return type("Run", (ctypes.Structure,), {"_fields_": fields})


class Precision(NamedTuple):
    """The type of a layer's numbers, and whether its products are of bfloat16, summed in float32."""

    dtype: torch.dtype
    short: bool = False

    def __str__(self) -> str:
        numbers = str(self.dtype).removeprefix("torch.")
        return f"{numbers} with products of bfloat16" if self.short else numbers


def shortens(dtype: torch.dtype) -> bool:
    """Whether products are to be of bfloat16: PyTorch's switch allows it, and this processor has instructions for them.

    The switch is ``torch.set_float32_matmul_precision("medium")``, or "bf16" as ``fp32_precision`` of
    ``torch.backends.mkldnn.matmul``, of ``torch.backends.mkldnn.rnn``, or of ``torch.backends.mkldnn``. What is said of
    ``rnn`` alone goes first.

    Examples
    --------
    >>> shortens(torch.float32)
    False
    """
    if dtype != torch.float32:
        return False
    mkldnn: Any = torch.backends.mkldnn
    said = mkldnn.rnn.fp32_precision
    return (mkldnn.matmul.fp32_precision if said == "none" else said) == "bf16" and has_short()


@compiled.compiled_once
def has_short() -> bool:
    """Whether this processor multiplies bfloat16: AVX512-BF16; without a compiler it is not asked."""
    try:
        return compiled.defines("__AVX512BF16__", compiled.native())
    except NoCompiler:
        return False


@compiled.compiled_once
def library(dtype: torch.dtype, short: bool = False) -> ctypes.CDLL:
    """The kernels for one type of numbers, or of products (see `Precision`), compiled if they have not been.

    Raises
    ------
    NoCompiler
    """
    return _declare(compiled.library(_source(), flags=_flags(dtype, short), name="recurrent"), dtype)


def _flags(dtype: torch.dtype, short: bool) -> tuple[str, ...]:
    kind = ("-DDOUBLE",) if dtype == torch.float64 else ("-DSHORT",) if short else ()
    return ("-ffp-contract=fast", *compiled.native(), *kind)


def fingerprint(precision: Precision) -> str:
    """All that decides the bytes of :func:`library`.

    Raises
    ------
    NoCompiler
    """
    return compiled.fingerprint(_source(), _flags(*precision))


def source(*names: str) -> str:
    """C source texts of this package, one behind the other."""
    return "".join(files("gateflow.nn.kernels").joinpath(name).read_text(encoding="utf-8") for name in names)


@lru_cache(maxsize=1)
def _source() -> str:
    return source("gates.h", "recurrent.c")


def _declare(found: ctypes.CDLL, dtype: torch.dtype) -> ctypes.CDLL:
    for name in ("units", "run", "packed", "packed_h", "packed_x", "sums", "forward", "backward"):
        getattr(found, f"{name}_size" if name != "units" else name).restype = ctypes.c_int64
    found.kept_row.restype = found.multiply_adds.restype = ctypes.c_int64
    found.multiply_adds.argtypes = [ctypes.c_int64, ctypes.c_void_p]
    for work in (found.forward, found.backward):
        work.restype, work.argtypes = None, [ctypes.c_void_p, *[ctypes.c_int64] * 3]
    found.share.restype = None
    found.share.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64]
    if found.run_size() != ctypes.sizeof(_run_type(DTYPES[dtype])):
        raise NoCompiler("the C compiler lays out structures in a way of its own")
    return found


_warned: set[str] = set()


def warn_once(what: str, reason: object) -> None:
    """Say why something runs without compiled kernels; the same words once."""
    if (said := f"{what} run without compiled kernels: {reason}") not in _warned:
        _warned.add(said)
        warnings.warn(said, RuntimeWarning, stacklevel=3)


def available(dtype: torch.dtype, cell: CompiledCell | None = None) -> bool:
    """Whether there are kernels for this type, and for this cell's gates; a reason against it is a warning, once."""
    if dtype not in DTYPES:
        return False
    try:
        library(dtype)
        if cell is not None:
            cell.tables(dtype)
    except (NoCompiler, InvalidArgument) as reason:
        warn_once("recurrent layers", reason)
        return False
    return True


@lru_cache(maxsize=128)
def _fill(found: GateTable) -> ctypes.Structure:
    """The table as gates.h has it, at an address that it takes; it points to the table's rows."""
    kind = _gate_type(DTYPES[found.phi.dtype])
    memory = (ctypes.c_char * (ctypes.sizeof(kind) + LINE))()
    to: Any = kind.from_buffer(memory, -ctypes.addressof(memory) % LINE)
    both = torch.cat([found.phi.flatten(), found.complement.flatten()])  # rows of both, counted from one place
    to.phi, to.complement = both.data_ptr(), both.data_ptr() + both.nbytes // 2
    to.negative, to.grain, to.first, to.breaks = found.negative, found.grain, found.first, len(found.breaks)
    for n, zone in enumerate(found.zones):
        to.shift[n], to.base[n], to.narrow[n] = zone.shift, zone.base, zone.narrow
    for n, broken in enumerate(found.breaks):
        to.at[n], to.near[n], to.anchor[n] = broken.at, broken.near, broken.anchor
    to.table = both
    return to


def table_of(gate: GateFunction, dtype: torch.dtype) -> GateTable | None:
    """The gate's table; None for the logistic function, which the kernels know."""
    return None if is_sigmoid(gate.gate) else table(gate, dtype)


def is_sigmoid(gate: Gate) -> bool:
    """Whether a gate is the plain logistic function."""
    return gate.is_profile and gate.formulas.u == Z


# --- one pass ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class CompiledCell:
    """What does not change from pass to pass: the layout, the gates in the order of recurrent.c, JANET's shift."""

    layout: Layout
    gates: tuple[GateFunction, ...]
    shift: float = 0.0
    trusted: dict[Precision, bool] = field(default_factory=dict, repr=False)
    """What it was tried in on this machine (`gateflow.nn.trials`), and whether it passed."""
    _tables: dict[torch.dtype, list[Any]] = field(default_factory=dict, repr=False)

    def is_ready(self, precision: Precision, device: torch.device) -> bool:
        """Whether there are tables for such an input, and the code was tried and passed."""
        return self.trusted.get(precision, False) and precision.dtype in self._tables and device.type == "cpu"

    def precision(self, dtype: torch.dtype) -> Precision:
        """What it computes in: with products of bfloat16 where they are allowed and were not found wrong here."""
        short = Precision(dtype, True)
        return short if shortens(dtype) and self.trusted.get(short, True) else Precision(dtype)

    def tables(self, dtype: torch.dtype) -> list[Any]:
        """Each gate's table as recurrent.c takes it; None for the logistic function, which it knows."""
        if dtype not in self._tables:
            found = [table_of(gate, dtype) for gate in self.gates]
            with untraced():
                self._tables[dtype] = [None if each is None else _fill(each) for each in found]
        return self._tables[dtype]


@dataclass(frozen=True, eq=False)
class TimeAxis:
    """How many rows live at each time, and whether time runs backwards."""

    sizes: list[int]
    reverse: bool

    @cached_property
    def counts(self) -> Tensor:
        return torch.tensor(self.sizes, dtype=torch.int64, device="cpu")

    @cached_property
    def offsets(self) -> Tensor:
        return torch.cumsum(self.counts, 0) - self.counts

    def shares(self, threads: int) -> list[int]:
        """Where to divide the batch so that each thread has about as many rows of batch and time."""
        batch = self.sizes[0]
        threads = max(1, min(threads, batch))
        if threads == 1:
            return [0, batch]
        living = self.counts.new_zeros(batch + 1)
        living.index_add_(0, self.counts, torch.ones_like(self.counts))
        work = living.flip(0).cumsum(0).flip(0)[1:].cumsum(0)
        ideal = work[-1] * torch.arange(1, threads, device="cpu") // threads
        cuts = torch.searchsorted(work, ideal, right=False) + 1
        return [0, *cuts.clamp(max=batch).tolist(), batch]


@lru_cache(maxsize=64)
def padded(steps: int, batch: int, reverse: bool) -> TimeAxis:
    """The time of sequences that are all as long."""
    return TimeAxis([batch] * steps, reverse)


def forward(
    cell: CompiledCell, precision: Precision, time: TimeAxis, given: Sequence[Tensor | None], keep: bool
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Output after every step, last state, and what a backward pass needs, of a layer in one direction.

    Parameters
    ----------
    cell : CompiledCell
    precision : Precision
        Its type is that of all that is given.
    time : TimeAxis
    given : sequence
        The input, (time, batch, inputs), or its rows grouped by time, (rows, inputs); h and c, (batch, hidden), before
        the first step, None for a part that the cell does not have; both weights and both bias vectors, or None.
    keep : bool
        Whether there will be a backward pass; if not, nothing is kept.
    """
    given = list(map(workspace.dense, given))
    output, h_end, c_end, kept, marks = _Pass(cell, precision, time, given, keep).forward(keep)
    return output, [t for t in (h_end, c_end) if t is not None], [t for t in (kept, marks) if t is not None]


def backward(
    cell: CompiledCell,
    precision: Precision,
    time: TimeAxis,
    given: Sequence[Tensor | None],
    output: Tensor,
    kept: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    of_input: bool,
) -> tuple[Tensor | None, ...]:
    """Gradients of all that was given to :func:`forward`, whose output and kept tensors these are."""
    kept = list(map(_aligned, kept))
    shares = next((round(_last(t).value) for t in kept if t.dim() == 1), None)
    pass_ = _Pass(cell, precision, time, list(map(workspace.dense, given)), keep=True, shares=shares)
    names = ("marks",) if pass_.again and cell.layout.has_cell else () if pass_.again else ("kept",)
    pass_.point({"output": workspace.dense(output), **dict(zip(names, kept, strict=True))})
    return pass_.backward(grads, of_input)


def kept_like(cell: CompiledCell, steps: int, rows: int, h: Tensor) -> list[tuple[int, ...]]:
    """Shapes of what :func:`forward` keeps: c now and then, or all factors and behind them the number of shares.

    Factors lie share by share, and whoever comes back may have other threads than who went.
    """
    batch, hidden = h.shape
    row = _kept_row(cell, h.dtype, hidden)
    segment = _segment(steps, rows, batch, row * h.dtype.itemsize)
    if segment is None:
        return [(rows * row + _behind(h.dtype),)]
    return [(-(-steps // segment), batch, hidden)] if cell.layout.has_cell else []


def _aligned(kept: Tensor) -> Tensor:
    """What was kept, where vectors are read from it at once: a batch of such, cut up again, may lie otherwise."""
    if workspace.is_dense(kept) and kept.data_ptr() % LINE == 0:
        return kept
    return workspace.tensor(kept.shape, kept.dtype).copy_(kept)


def _behind(dtype: torch.dtype) -> int:
    """Numbers behind the factors: a line, so that in a batch the next factors begin one too."""
    return LINE // dtype.itemsize


def _last(kept: Tensor) -> Any:
    """The last number of a vector, as it lies in memory: a tensor's own would be read behind a tracer's back."""
    return DTYPES[kept.dtype].from_address(kept.data_ptr() + kept.nbytes - kept.itemsize)


def _kept_row(cell: CompiledCell, dtype: torch.dtype, hidden: int) -> int:
    """Numbers that are kept of one row, with those that fill its blocks up."""
    units = _units(dtype)
    return -(-hidden // units) * units * cell.layout.factors


@lru_cache(maxsize=4)
def _units(dtype: torch.dtype) -> int:
    return library(dtype).units()


def _segment(steps: int, rows: int, batch: int, row: int) -> int | None:
    """How many steps have their factors computed again together; None where all are kept. A row has ``row`` bytes."""
    if rows * row <= MOST_KEPT:
        return None
    segment = min(max(1, SEGMENT // (min(TILE, batch) * row)), steps)
    return segment if segment < steps else None


class _Form:
    """What passes of one shape have in common: the structure without its pointers to tensors, and sizes of arrays."""

    def __init__(
        self, cell: CompiledCell, precision: Precision, time: TimeAxis, inputs: int, hidden: int, threads: int,
        segment: int, tile: int,
    ) -> None:  # fmt: skip
        dtype = precision.dtype
        layout, size = cell.layout, hidden * dtype.itemsize
        self.library, self.structure = library(*precision), _run_type(DTYPES[dtype])
        self.parts, self.time = time.shares(threads), time
        self.run = run = self.structure()
        run.cell, run.blocks, run.factors = CELLS.index(layout.kernel), len(layout.blocks), layout.factors
        run.hidden, run.inputs, run.steps = hidden, inputs, len(time.sizes)
        run.batch, run.reverse, run.shift = time.sizes[0], int(time.reverse), cell.shift
        (run.h_first, run.h_last), (run.x_first, run.x_last) = layout.span("h"), layout.span("x")
        run.from_output = -1 if layout.from_output is None else layout.from_output
        run.tile, run.segment, run.threads = tile, segment, len(self.parts) - 1
        run.chunk = max(CHUNK, min(tile, run.batch))
        run.sizes, run.offsets = time.counts.data_ptr(), time.offsets.data_ptr()
        self.tables = cell.tables(dtype)
        for place, filled in enumerate(self.tables):
            if filled is not None:
                run.gate[place] = ctypes.addressof(filled)
        self.sizes = {}
        for name in ("packed", "packed_h", "packed_x", "sums", "forward", "backward"):
            numbers = getattr(self.library, f"{name}_size")(ctypes.byref(run))
            self.sizes[name] = numbers * (run.threads if name in ("sums", "forward", "backward") else 1)
        self.blocks = {}
        for which in ("x", "h"):
            found = ((n, getattr(block, which)) for n, block in enumerate(layout.blocks))
            self.blocks[which] = [(n, place * size) for n, place in found if place is not None]
        self.blocks["all"] = [(n, n * size) for n in range(len(layout.blocks))]


_form = lru_cache(maxsize=128)(_Form)


class _Pass:
    """One call's structure, filled in, and the tensors it points to."""

    def __init__(
        self,
        cell: CompiledCell,
        precision: Precision,
        time: TimeAxis,
        given: Sequence[Any],
        keep: bool,
        shares: int | None = None,
    ) -> None:
        x, self.h, self.c, self.ih, self.hh, self.bias_ih, self.bias_hh = given
        self.layout, self.lead, self.inputs = cell.layout, x.shape[:-1], x.shape[-1]
        self.dtype, self.size, self.rows, steps = x.dtype, self.h.shape[1], self.lead.numel(), len(time.sizes)
        self.kept_row = _kept_row(cell, self.dtype, self.size)
        segment = _segment(steps, self.rows, time.sizes[0], self.kept_row * self.dtype.itemsize) if keep else None
        shares = shares or max(1, min(torch.get_num_threads(), time.sizes[0]))
        self.again, sizes = segment is not None, (self.inputs, self.size, shares)
        self.form = form = _form(cell, precision, time, *sizes, segment or steps, TILE)
        self.run = form.structure.from_buffer_copy(form.run)
        self.reference, self.alive = ctypes.byref(self.run), []
        self.point({"x": x, "h_start": self.h, "c_start": self.c})
        self._point_blocks("weight_x", "x", self.ih)
        self._point_blocks("weight_h", "h", self.hh)
        self._point_blocks("bias_1", "x", self.bias_ih)
        self._point_blocks("bias_2", "h", self.bias_hh)

    def forward(self, keep: bool) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None, Tensor | None]:
        """Output, last state, and what a backward pass needs of this one: all factors, or c now and then."""
        output, h_end = self._new(*self.lead, self.size), torch.empty_like(self.h)
        c_end = None if self.c is None else torch.empty_like(self.c)
        kept = marks = None
        if self.again and self.c is not None:
            marks = self._new(-(-self.run.steps // self.run.segment), *self.c.shape)
        elif keep and not self.again:
            kept = self._new((numbers := self.rows * self.kept_row) + _behind(self.dtype))
            kept[numbers:] = self.run.threads
            self.run.stream = int(numbers * self.dtype.itemsize > CACHED)
        self._allot("packed", scratch="forward")
        self.form.library.pack(self.reference)
        self.point({"output": output, "h_end": h_end, "c_end": c_end, "kept": kept, "marks": marks})
        self._share("forward")
        return output, h_end, c_end, kept, marks

    def backward(self, grads: Sequence[Tensor | None], of_input: bool) -> tuple[Tensor | None, ...]:
        """Gradients of the input, the first state and the weights."""
        names = ("grad_output", "grad_h_end", "grad_c_end")
        self.point({name: None if g is None else self._whole(g) for name, g in zip(names, grads, strict=False)})
        dx = self._new(*self.lead, self.inputs) if of_input else None
        dh, dc = torch.empty_like(self.h), None if self.c is None else torch.empty_like(self.c)
        d_ih, d_hh = self._new(*self.ih.shape), self._new(*self.hh.shape)
        d_biases = self._new(len(self.layout.blocks) * self.size)
        self.point({"grad_x": dx, "grad_h_start": dh, "grad_c_start": dc})
        self._point_blocks("grad_weight_x", "x", d_ih)
        self._point_blocks("grad_weight_h", "h", d_hh)
        self._point_blocks("grad_bias", "all", d_biases)
        of_x = ("packed_x",) if of_input else ()
        self._allot("packed_h", "sums", *of_x, *(("packed",) if self.again else ()), scratch="backward")
        if self.again:
            self.form.library.pack(self.reference)
        self.form.library.pack_backward(self.reference)
        self._share("backward")
        self.form.library.finish(self.reference)
        if self.bias_ih is None:
            return dx, dh, dc, d_ih, d_hh, None, None
        # two tensors: whoever clips gradients scales each of them in place
        of_x, of_h = self.layout.rows("x", d_biases), self.layout.rows("h", d_biases)
        return dx, dh, dc, d_ih, d_hh, of_x, of_h.clone() if of_h is of_x else of_h

    # --- memory and pointers ---

    def _new(self, *shape: int) -> Tensor:
        return workspace.tensor(shape, self.dtype)

    def _whole(self, t: Tensor) -> Tensor:
        """The tensor with its numbers in order."""
        return t if workspace.is_dense(t) else self._new(*t.shape).copy_(t)

    def _allot(self, *names: str, scratch: str) -> None:
        """Memory for the arrays of these names, and for what each thread needs on its way forward or backward."""
        sizes = self.form.sizes
        self.alive.append(room := self._new(sum(sizes[name] for name in names) + sizes[scratch]))
        place = room.data_ptr()
        for name in names:
            setattr(self.run, name, place)
            place += sizes[name] * self.dtype.itemsize
        self.run.scratch = place

    def point(self, places: dict[str, Tensor | None]) -> None:
        """Let the structure point to tensors, which live as long as this."""
        for name, value in places.items():
            if value is not None:
                self.alive.append(value)
                setattr(self.run, name, value.data_ptr())

    def _point_blocks(self, name: str, which: str, value: Tensor | None) -> None:
        """Each block's rows of a weight, or of a vector."""
        if value is None:
            return
        self.alive.append(value)
        array, start, row = getattr(self.run, name), value.data_ptr(), value.shape[-1] if value.dim() == 2 else 1
        for n, offset in self.form.blocks[which]:
            array[n] = start + offset * row

    def _share(self, work: str) -> None:
        """All shares of the batch, "forward" or "backward". Their memory lives as long as ``self`` does."""
        team, made, parts = threads.team(), self.form.library, self.form.parts
        if team is None:
            one = getattr(made, work)
            threads.in_pool(lambda *job: one(self.reference, *job), parts)
        else:
            cuts = (ctypes.c_int64 * len(parts))(*parts)
            back, most = int(work == "backward"), torch.get_num_threads()
            made.share(self.reference, cuts, back, ctypes.byref(team), most)
