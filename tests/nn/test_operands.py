"""What a layer is given and what it holds: types, devices, layouts and shapes, beside ``torch.nn.LSTM``."""

from __future__ import annotations

import ctypes
import gc
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.utils import parametrizations, parametrize, prune
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from gateflow.codegen import compiler as compiled
from gateflow.errors import InvalidTensor
from gateflow.nn import CELLS, GRU, LSTM
from gateflow.nn.kernels import workspace
from gateflow.nn.recurrent import Recurrent

LAYERS = [(LSTM, {}), (LSTM, {"forget_gate": "fast"}), (GRU, {}), (GRU, {"update_gate": "fast"})]
BACKENDS = ("auto", "reference", "torch", *(("native",) if compiled.available() else ()))
X = torch.randn(6, 4, 3, generator=torch.Generator().manual_seed(0))
H = torch.zeros(1, 4, 5)
HAS_BFLOAT16 = pytest.mark.skipif(
    not torch.ops.mkldnn._is_mkldnn_bf16_supported(),
    reason="on a processor without products of bfloat16 torch.nn.LSTM raises under autocast, or answers in float32",
)


def both(state: torch.Tensor, other: torch.Tensor | None = None) -> Callable[[int], Any]:
    """A state for a layer with so many parts."""
    return lambda parts: state if parts == 1 else (state, state if other is None else other)


def packed(data: torch.Tensor, sizes: list[int]) -> PackedSequence:
    return PackedSequence(data, torch.tensor(sizes))


def quantised(x: torch.Tensor) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.quantize_per_tensor(x, 0.1, 0, torch.qint8)


WRONG: dict[str, tuple[dict[str, Any], Any, Callable[[int], Any] | None]] = {
    "float32 input": ({"dtype": torch.float64}, X, None),
    "float32 state": ({"dtype": torch.float64}, X.double(), both(H)),
    "float64 input": ({}, X.double(), None),
    "float64 state": ({}, X, both(H.double())),
    "half input": ({}, X.half(), None),
    "whole input": ({}, X.long(), None),
    "whole state": ({}, X, both(H.long())),
    "truth values": ({}, X > 0, None),
    "complex input": ({}, X.to(torch.complex64), None),
    "complex state": ({}, X, both(H.to(torch.complex64))),
    "meta input": ({}, X.to("meta"), None),
    "meta state": ({}, X, both(H.to("meta"))),
    "meta layer": ({"device": "meta"}, X, None),
    "meta layer and input": ({"device": "meta"}, X.to("meta"), both(H)),
    "sparse input": ({}, X.to_sparse(), None),
    "sparse state": ({}, X, both(H.to_sparse())),
    "quantised input": ({}, quantised(X), None),
    "1 dimension": ({}, X[0, 0], None),
    "4 dimensions": ({}, X[None], None),
    "features": ({}, X[..., :2], None),
    "no features": ({}, X[..., :0], None),
    "no steps": ({}, X[:0], None),
    "state of 2 dimensions": ({}, X, both(H[0])),
    "state of another batch": ({}, X, both(H[:, :3])),
    "state of a batch of 1": ({}, X, both(H[:, :1])),
    "state of another size": ({}, X, both(H[..., :4])),
    "state of two layers": ({}, X, both(torch.cat([H, H]))),
    "state with a batch": ({}, X[:, 0], both(H[:, :1])),
    "packed float64": ({}, packed(X[:2, 0].double(), [1, 1]), None),
    "packed rows": ({}, packed(X[:3, 0], [1, 1]), None),
    "packed rising": ({}, packed(X[:3, 0], [1, 2]), None),
    "packed negative": ({}, packed(X[:1, 0], [2, -1]), None),
    "packed int32": ({}, PackedSequence(X[:2, 0], torch.tensor([1, 1], dtype=torch.int32)), None),
    "packed features": ({}, packed(X[:2, 0, :2], [1, 1]), None),
    "packed state": ({}, pack_padded_sequence(X, [6, 3, 2, 2]), both(H[:, :2])),
}


def raised(make: Callable[[], Any]) -> Exception:
    with pytest.raises(Exception) as caught:  # noqa: PT011
        make()
    return caught.value


@pytest.mark.parametrize("name", WRONG)
def test_what_pytorch_refuses_is_refused_with_its_kind_of_error(name: str) -> None:
    made, x, state = WRONG[name]
    for cell, options in LAYERS:
        theirs = getattr(torch.nn, cell.__name__)(3, 5, **made)
        try:
            theirs(x, state and state(1 if cell is GRU else 2))
        except Exception as error:
            kind = type(error)
        else:
            assert name.startswith("packed")  # it takes what is no sequence
            kind = InvalidTensor
        for backend in BACKENDS:
            ours = cell(3, 5, backend=backend, **options, **made)
            error = raised(lambda: ours(x, state and state(len(ours.states))))  # noqa: B023
            assert isinstance(error, kind)
            assert isinstance(error, InvalidTensor)
            assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize("name", CELLS)
def test_every_cell_looks_at_what_it_is_given(name: str) -> None:
    layer = CELLS[name](3, 5)
    for made, x, state in WRONG.values():
        if not made:
            raised_error = raised(lambda: layer(x, None if state is None else state(len(layer.states))))  # noqa: B023
            assert isinstance(raised_error, InvalidTensor)


MALFORMED = (5, "hc", {}, (), (H,), (H, H, H), (None, None), (H, None), ((H, H),), (0.0, 0.0), [[H]])


@pytest.mark.parametrize("hx", MALFORMED)
def test_malformed_states_are_told_in_a_line(hx: Any) -> None:
    for cell, options in LAYERS:
        for backend in BACKENDS:
            error = raised(lambda: cell(3, 5, backend=backend, **options)(X, hx))  # noqa: B023
            assert isinstance(error, InvalidTensor)
            assert "state" in str(error) or "initial" in str(error)


def _replaced(name: str, change: Callable[[torch.Tensor], torch.Tensor | None]) -> Callable[[Recurrent], None]:
    def edit(layer: Recurrent) -> None:
        value = change(getattr(layer, name).detach())
        setattr(layer, name, None if value is None else torch.nn.Parameter(value, value.is_floating_point()))

    return edit


EDITS: dict[str, Callable[[Recurrent], None]] = {
    "one float64 bias": _replaced("bias_hh_l1", torch.Tensor.double),
    "one float64 weight": _replaced("weight_hh_l1", torch.Tensor.double),
    "a meta weight": _replaced("weight_hh_l1", lambda w: w.to("meta")),
    "a short weight": _replaced("weight_hh_l0", lambda w: w[:-1].clone()),
    "a wide weight": _replaced("weight_ih_l0", lambda w: torch.zeros(len(w), 7)),
    "a vector": _replaced("weight_hh_l0", lambda w: w[0].clone()),
    "no bias": _replaced("bias_ih_l0", lambda b: None),
    "whole numbers": _replaced("weight_hh_l0", torch.Tensor.long),
    "complex numbers": _replaced("weight_hh_l0", lambda w: w.to(torch.complex64)),
    "a sparse weight": _replaced("weight_hh_l0", torch.Tensor.to_sparse),
    "a weight gone": lambda layer: delattr(layer, "weight_hh_l0"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
def test_weights_that_do_not_fit_are_told_in_a_line(edit: Callable[[Recurrent], None]) -> None:
    for cell in CELLS.values():
        layer = cell(3, 5, num_layers=2)
        edit(layer)
        error = raised(lambda: layer(X))  # noqa: B023
        assert isinstance(error, InvalidTensor)
        assert "_l" in str(error)


VIEWS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "turned": lambda t: t.clone().movedim(0, -1).contiguous().movedim(-1, 0),
    "every other": lambda t: torch.stack([t, t], -1).flatten(-2)[..., ::2],
    "offset": lambda t: torch.cat([t.flatten()[:1], t.flatten()])[1:].view(t.shape),
    "to be negated": lambda t: torch.complex(torch.zeros_like(t), -t).conj().imag,
    "flipped": lambda t: t.flip(0).flip(0),
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.sampled(5)
def test_views_hold_the_numbers_they_show(view: Callable[[torch.Tensor], torch.Tensor], backend: str) -> None:
    layer = LSTM(3, 5, forget_gate="fast", backend=backend)
    state = (torch.randn(1, 4, 5), torch.randn(1, 4, 5))
    wanted = layer(X, state)[0]
    assert view(X).equal(X)
    torch.testing.assert_close(layer(view(X), tuple(view(s) for s in state))[0], wanted)
    grad = torch.randn(6, 4, 5)
    weights = list(layer.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(layer(X)[0], weights, view(grad)), torch.autograd.grad(layer(X)[0], weights, grad)
    )
    for name, parameter in layer.named_parameters():
        with torch.no_grad():
            setattr(layer, name, torch.nn.Parameter(view(parameter)))
    torch.testing.assert_close(layer(X, state)[0], wanted)


# --- weights that are computed ----------------------------------------------------------------------------------------


class Doubled(torch.nn.Module):
    def forward(self, w: torch.Tensor) -> torch.Tensor:
        return 2 * w


def _tied(layer: Recurrent) -> None:
    layer.weight_hh_l1 = layer.weight_hh_l0


def _extra(layer: Recurrent) -> None:
    layer.scale = torch.nn.Parameter(torch.ones(3))  # type: ignore[assignment]


COMPUTED: dict[str, Callable[[Recurrent], Any]] = {
    "pruned": lambda layer: prune.random_unstructured(layer, "weight_hh_l0", 0.5),
    "doubled": lambda layer: parametrize.register_parametrization(layer, "weight_hh_l0", Doubled()),
    "weight norm": lambda layer: parametrizations.weight_norm(layer, "weight_ih_l1"),
    "spectral norm": lambda layer: parametrizations.spectral_norm(layer, "weight_hh_l0").eval(),
    "orthogonal": lambda layer: parametrizations.orthogonal(layer, "weight_hh_l1"),
    "tied": _tied,
    "a parameter more": _extra,
}


@pytest.mark.parametrize("backend", ["auto", "framework", "reference", "torch"])
@pytest.mark.parametrize("compute", COMPUTED.values(), ids=COMPUTED)
@pytest.mark.parametrize("cell", [LSTM, GRU])
@pytest.mark.sampled(11)
def test_computed_weights_are_those_that_count(
    cell: type[Recurrent], compute: Callable[[Recurrent], Any], backend: str
) -> None:
    layer = cell(3, 5, num_layers=2, backend=backend)
    compute(layer)
    theirs = getattr(torch.nn, cell.__name__)(3, 5, num_layers=2)
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            parameter.copy_(getattr(layer, name))
    torch.testing.assert_close(layer(X)[0], theirs(X)[0], rtol=1e-5, atol=1e-6)
    layer(X)[0].sum().backward()
    used = [p for name, p in layer.named_parameters() if name != "scale"]
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in used)


@pytest.mark.parametrize("low", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("cell", "options"), LAYERS)
def test_autocast_gives_pytorchs_types(cell: type[Recurrent], options: dict[str, Any], low: torch.dtype) -> None:
    layer, theirs = cell(3, 5, **options), getattr(torch.nn, cell.__name__)(3, 5)
    wanted = layer(X)[0]
    for x in (X, X.to(low)):
        with torch.autocast("cpu", dtype=low):
            output, final = layer(x)
            try:
                kinds = [t.dtype for t in (theirs(x)[0], *(theirs(x)[1] if cell is LSTM else (theirs(x)[1],)))]
            except RuntimeError:  # its own LSTM has no float16 from float32
                continue
            finally:
                torch.testing.assert_close(output.float(), wanted, rtol=0.05, atol=0.03)
            assert [output.dtype, *(t.dtype for t in (final if cell is LSTM else (final,)))] == kinds
        output.float().sum().backward()
        assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in layer.parameters())
    with torch.autocast("cpu", dtype=low):
        assert isinstance(raised(lambda: layer(X.double())), InvalidTensor)


@pytest.mark.skipif(compiled.available() is None, reason="there is no C compiler")
@HAS_BFLOAT16
@pytest.mark.parametrize("weight", [torch.float16, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("given", [torch.float16, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("state", [torch.float16, torch.float32, torch.bfloat16])
def test_autocast_mixes_types_as_pytorch_does(weight: torch.dtype, given: torch.dtype, state: torch.dtype) -> None:
    x, hx = torch.ones(4, 3, 2, dtype=given), (torch.zeros(1, 3, 5, dtype=state),) * 2
    ours, theirs = LSTM(2, 5, forget_gate="fast", dtype=weight), torch.nn.LSTM(2, 5, dtype=weight)
    for grad in (True, False):  # float16 has kernels of PyTorch's own without gradients, where the processor has them
        with torch.autocast("cpu", torch.bfloat16), torch.set_grad_enabled(grad):
            assert ours(x, hx)[0].dtype == theirs(x, hx)[0].dtype


@pytest.mark.skipif(compiled.available() is None, reason="there is no C compiler")
@HAS_BFLOAT16
@pytest.mark.parametrize("lengths", [[4, 4, 4], [4, 2, 1], [1, 1, 1]], ids=str)
@pytest.mark.parametrize("given", [torch.float16, torch.float32, torch.bfloat16])
def test_types_of_packed_sequences_and_of_none_are_pytorchs(lengths: list[int], given: torch.dtype) -> None:
    ours, theirs = LSTM(2, 5, forget_gate="fast"), torch.nn.LSTM(2, 5)
    packed = pack_padded_sequence(torch.ones(4, 3, 2, dtype=given), lengths)
    with torch.autocast("cpu", torch.bfloat16):
        for state in (None, torch.float32, torch.bfloat16):
            for x, batch in ((packed, 3), (torch.ones(4, 0, 2, dtype=given), 0)):
                hx = None if state is None else (torch.zeros(1, batch, 5, dtype=state),) * 2
                for grad in (True, False):
                    with torch.set_grad_enabled(grad):
                        found, wanted = (layer(x, hx)[0] for layer in (ours, theirs))
                    assert getattr(found, "data", found).dtype == getattr(wanted, "data", wanted).dtype


def test_autocast_takes_the_fast_way() -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert LSTM(3, 5, forget_gate="fast").backend_for(X) == "native"
        try:
            torch.nn.LSTM(3, 5)(X)
            wanted = "framework"
        except RuntimeError:  # a processor without such products
            wanted = "native"
        assert LSTM(3, 5).backend_for(X) == wanted


def test_half_precision_is_computed_on_the_cpu() -> None:
    for low in (torch.bfloat16, torch.float16):
        for cell, options in LAYERS:
            layer = cell(3, 5, **options)
            wanted = layer(X)[0]
            assert (layer.to(low)(X.to(low))[0].float() - wanted).abs().max() < 0.03


def test_meta_tensors_give_shapes() -> None:
    for cell in CELLS.values():
        output, _ = cell(3, 5, device="meta")(X.to("meta"))
        assert output.is_meta
        assert output.shape == (6, 4, 5)


def test_dropout_in_a_single_layer_is_told() -> None:
    with pytest.warns(UserWarning, match="between layers"):
        LSTM(3, 5, dropout=0.5)
    assert raised(lambda: LSTM(3, 5, 2, dropout=True))


# --- memory without gradients -----------------------------------------------------------------------------------------

STATUS, RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def in_memory(word: str) -> int:
    """KiB of this process: VmRSS now, VmHWM at most since it was reset."""
    return int(next(line for line in STATUS.read_text().splitlines() if line.startswith(word)).split()[1])


def peak(layer: torch.nn.Module, x: torch.Tensor) -> int:
    """KiB that a pass takes at most, its result among them."""
    workspace.clear()
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # else a pass may live in what earlier ones left in the heap
    RESET.write_text("5")
    before = in_memory("VmRSS")
    layer(x)
    return in_memory("VmHWM") - before


@pytest.mark.skipif(not RESET.exists(), reason="this system does not tell the largest size of a process")
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("backend", [backend for backend in BACKENDS if backend in ("native", "torch")])
@pytest.mark.sampled(5)
def test_without_gradients_nothing_is_kept(backend: str, mode: Callable[[], Any]) -> None:
    x = torch.zeros(400 if backend == "native" else 100, 64, 1)
    layer, theirs = LSTM(1, 128, forget_gate="fast", backend=backend), torch.nn.LSTM(1, 128)
    for one in (layer, theirs):  # what is made once
        one(x[:2])
    trained = peak(layer, x)
    with mode():
        wanted, found = peak(theirs, x), peak(layer, x)
    if backend == "native":  # the other projects the input of all times at once, and holds that in either mode
        assert found <= wanted + 3000  # a block is of whole large pages
        assert found < trained / 2
    assert found < trained, (found, trained, wanted)


def test_the_operator_of_a_layer_asks_for_every_part_of_a_state():
    layer = LSTM(3, 4)
    with pytest.raises(InvalidTensor, match="has 2 parts"):
        torch.ops.gateflow.layer(
            torch.zeros(2, 1, 3), [torch.zeros(1, 4)], [*layer.parameters()], None, False, '{"cell":"LSTM"}', "native",
            False,
        )  # fmt: skip
