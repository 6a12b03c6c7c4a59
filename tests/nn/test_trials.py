"""What computes a layer is tried on the machine at hand before it is chosen: planted faults are found."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch

from gateflow.errors import InvalidArgument
from gateflow.nn import GRU, JANET, LSTM, RefineLSTM, operators, trials
from gateflow.nn.kernels import native, trust
from gateflow.nn.kernels.triton import launch, lstm

Kept = dict[str, bytes]

needs_compiler = pytest.mark.skipif(not native.available(torch.float32), reason="no C compiler on this machine")
needs_triton = pytest.mark.skipif(not launch.installed(), reason="no Triton on this machine: its kernels were not run")


def forget_outcomes() -> None:
    """What a new process does not know."""
    for memory in (trust._known, trials._on_gpus, native._warned):
        memory.clear()
    operators.declared.cache_clear()


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The interpreter is slow."""
    monkeypatch.setattr(trials, "ROWS", lstm.ROWS + 1)
    monkeypatch.setattr(trials, "STEPS", 2)


@pytest.fixture
def kept(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    """Files of the cache, in place of those of the user; nothing was tried before."""
    found: Kept = {}
    monkeypatch.setattr(trust.compiler, "recalled", found.get)
    monkeypatch.setattr(trust.compiler, "keep", found.__setitem__)
    forget_outcomes()
    yield found
    forget_outcomes()


def wrong(run: Callable[..., Any], place: int, by: float = 1.001) -> Callable[..., Any]:
    """The same function, one of whose results is a little off."""

    def changed(*args: Any, **options: Any) -> tuple[Any, ...]:
        found = list(run(*args, **options))
        found[place] = found[place] * by
        return tuple(found)

    return changed


def raising(*_: Any, **__: Any) -> Any:
    raise RuntimeError("illegal instruction\nand a long trace")


def warned(run: Callable[[], Any]) -> list[str]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        run()
    return [str(each.message) for each in found]


X = torch.linspace(-2, 2, 24).view(4, 2, 3)


@needs_compiler
@pytest.mark.parametrize("make", [LSTM, JANET, GRU, RefineLSTM])
def test_right_code_is_trusted_and_tried_once(make: Any, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make(3, 4).backend_for(X) == "native"
    assert len(kept) == 1
    forget_outcomes()
    monkeypatch.setattr(trials, "_error", raising)  # what is known is not tried again
    assert make(3, 4).backend_for(X) == "native"


@needs_compiler
@pytest.mark.parametrize(("name", "place"), [("forward", 0), ("backward", 0), ("backward", 1), ("backward", 4)])
def test_code_that_computes_something_else_is_not_chosen_and_one_line_says_so(
    name: str, place: int, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, name, wrong(getattr(native, name), place))
    layer, plain = LSTM(3, 4, forget_gate="fast"), LSTM(3, 4, forget_gate="fast", backend="reference")
    plain.load_state_dict(layer.state_dict())
    (line,) = warned(lambda: (layer(X), layer(X)))
    assert line.startswith("recurrent layers run without compiled kernels: compiled code for lstm in float32 is off")
    torch.testing.assert_close(layer(X)[0], plain(X)[0])
    assert layer.backend_for(X) == "torch"
    forget_outcomes()
    monkeypatch.undo()  # the next process knows, though its code may be right
    monkeypatch.setattr(trust.compiler, "recalled", kept.get)
    with pytest.warns(RuntimeWarning, match="is off its reference"):
        assert LSTM(3, 4, forget_gate="fast").backend_for(X) == "torch"


@needs_compiler
def test_code_that_does_not_run_is_tried_again_by_the_next_process(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(native, "forward", raising)
        for backend in ("auto", "native"):
            forget_outcomes()
            with pytest.warns(RuntimeWarning, match="does not run on this machine: RuntimeError: illegal instruction$"):
                assert LSTM(3, 4, forget_gate="fast", backend=backend).backend_for(X) == "torch"
    assert not kept
    forget_outcomes()
    assert LSTM(3, 4, forget_gate="fast").backend_for(X) == "native"


@needs_compiler
@pytest.mark.xdist_group("compiler")
def test_a_trial_is_outside_of_what_is_traced_transformed_or_cast(kept: Kept) -> None:
    layer, x = LSTM(3, 4, forget_gate="fast"), X.clone().requires_grad_()
    before = torch.get_rng_state()
    contexts: list[Callable[[], Any]] = [
        lambda: torch.func.grad(lambda t: layer(t)[0].sum())(X),
        lambda: torch.func.vmap(lambda t: layer(t)[0])(X[None]),
        lambda: torch.autocast("cpu").__call__(lambda: layer(X)[0])(),
        lambda: torch.inference_mode()(lambda: layer(X)[0])(),
        lambda: torch.no_grad()(lambda: layer(X)[0])(),
        lambda: torch.autograd.grad(layer(x)[0].sum(), x),
        lambda: torch.export.export(layer, (X,), strict=False),
    ]
    for run in contexts:
        kept.clear()
        forget_outcomes()
        assert not warned(run), run
        assert len(kept) == 1
        assert layer.backend_for(X) == "native"
    assert before.equal(torch.get_rng_state())


# --- on GPUs, by the interpreter --------------------------------------------------------------------------------------


def swapped(gates: Any) -> dict[str, Any]:
    """The gates in the wrong places."""
    i, f, o = gates
    return _right(gates=(i, o, f))


_right = lstm._constants

FAULTS: dict[str, dict[str, Any]] = {
    "gates in the wrong places": {"_constants": lambda gates: swapped(gates)},
    "a wrong last state": {"_whole_forward": wrong(lstm._whole_forward, 1, 1.01)},
    "a wrong gradient of c": {"_whole_backward": wrong(lstm._whole_backward, 2, 1.01)},
    "a launch that fails": {"launch": raising},
}


@needs_triton
def test_kernels_for_gpus_are_tried_once_for_gates_size_and_type(kept: Kept, small: None) -> None:
    for _ in range(2):
        LSTM(3, 4, forget_gate="fast", backend="triton")(X)
    assert len(kept) == 1
    LSTM(3, 5, forget_gate="fast", backend="triton")(X)
    LSTM(3, 5, forget_gate="softsign", backend="triton", dtype=torch.bfloat16)(X.bfloat16())
    assert len(kept) == 3


@needs_triton
@pytest.mark.parametrize("fault", FAULTS)
def test_kernels_with_a_fault_are_refused_where_asked_for_and_left_by_auto(
    fault: str, kept: Kept, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in FAULTS[fault].items():
        monkeypatch.setattr(lstm, name, value)
    says = "does not run on this" if "launch" in fault else "is off its reference on this"
    with pytest.raises(InvalidArgument, match=f"LSTM with sigmoid and fast, 4 units, float32 {says} machine.*auto"):
        LSTM(3, 4, forget_gate="fast", backend="triton")(X)
    assert len(kept) == (0 if "launch" in fault else 1)
    monkeypatch.setattr(LSTM, "_in_c", lambda *_: False)  # as for tensors on a GPU
    monkeypatch.setattr(LSTM, "_on_gpu_for", lambda *_: True)
    layer, plain = LSTM(3, 4, forget_gate="fast"), LSTM(3, 4, forget_gate="fast", backend="reference")
    plain.load_state_dict(layer.state_dict())
    (line,) = warned(lambda: (layer(X), layer(X)))
    assert says in line
    assert "\n" not in line
    torch.testing.assert_close(layer(X)[0], plain(X)[0])


@needs_triton
def test_auto_takes_kernels_for_gpus_that_agree(kept: Kept, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LSTM, "_in_c", lambda *_: False)  # as for tensors on a GPU
    monkeypatch.setattr(LSTM, "_on_gpu_for", lambda *_: True)
    assert not warned(lambda: LSTM(3, 4, forget_gate="fast")(X))
    assert LSTM(3, 4, forget_gate="fast").backend_for(X) == "triton"
    assert len(kept) == 1


@needs_triton
def test_nothing_is_tried_while_a_graph_is_recorded(kept: Kept, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    cell, device = LSTM(3, 4, forget_gate="fast").declare(), torch.device("cuda")
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    reason = trials.reason_against_triton(cell, device, torch.float32, 4)
    assert reason is not None
    assert "while a graph is recorded" in reason
    assert not kept
    assert not trials._on_gpus
