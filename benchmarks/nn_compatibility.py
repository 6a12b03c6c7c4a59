"""Which of PyTorch's features work with which backend of a layer, and with `torch.nn.LSTM`: each is tried.

    python -m benchmarks.nn_compatibility

prints the table of docs/compatibility.md.
"""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.utils.prune
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacrev, jvp, vmap

from gateflow.nn import LSTM, Int8, TorchLSTM

COLUMNS: dict[str, Callable[[], nn.Module]] = {
    "native": lambda: LSTM(3, 4, backend="native"),
    "torch": lambda: LSTM(3, 4, backend="torch"),
    "reference": lambda: LSTM(3, 4, backend="reference"),
    "TorchLSTM": lambda: TorchLSTM(3, 4),
    "torch.nn.LSTM": lambda: nn.LSTM(3, 4),
}
"""Layers in float32 with sigmoid gates, so that all compute the same."""

SLOW = ("ONNX export, any batch and length", "`torch.func.hessian`", "`vmap` over weights (an ensemble)")
"""What takes seconds."""


def plain(layer: nn.Module) -> LSTM:
    """The loop over time with the same weights, in float64: what every number is compared with."""
    made = LSTM(3, 4, backend="reference", dtype=torch.float64)
    made.load_state_dict(layer.state_dict())
    return made


def same(found: Any, wanted: Any, digits: float = 1e-4) -> None:
    as_double = lambda t: t.detach().double() if isinstance(t, Tensor) else t  # noqa: E731
    parts = (torch.utils._pytree.tree_map(as_double, each) for each in (found, wanted))
    torch.testing.assert_close(*parts, rtol=digits, atol=digits)


def _x(time: int = 5, batch: int = 2) -> Tensor:
    return torch.linspace(-2.0, 2.0, time * batch * 3).view(time, batch, 3)


def _both(layer: nn.Module, of: Callable[[nn.Module, dict[str, Tensor], Tensor], Any]) -> None:
    results = []
    for each, x in ((layer, _x()), (plain(layer), _x().double())):
        results.append(of(each, {name: p.detach() for name, p in each.named_parameters()}, x))
    same(*results)


def _loss(layer: nn.Module) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    return lambda p, x: functional_call(layer, p, (x,))[0].sin().sum()


def _second(layer: nn.Module, _: Any, x: Tensor) -> Any:
    leaves = [x.clone().requires_grad_(), *layer.parameters()]
    first = torch.autograd.grad(layer(leaves[0])[0].sin().sum(), leaves, create_graph=True)
    return torch.autograd.grad(sum(g.cos().sum() for g in first), leaves)  # type: ignore[arg-type]


def _compiled(layer: nn.Module) -> None:
    made, wanted = torch.compile(layer, fullgraph=True, dynamic=True, backend="aot_eager"), plain(layer)
    for shape in ((5, 2), (7, 3)):
        found = torch.autograd.grad(made(_x(*shape))[0].sin().sum(), list(layer.parameters()))
        same(found, torch.autograd.grad(wanted(_x(*shape).double())[0].sin().sum(), list(wanted.parameters())))


def _dims() -> Any:
    return ({0: torch.export.Dim("time"), 1: torch.export.Dim("batch")},)


def _exported(layer: nn.Module) -> None:
    program = torch.export.export(layer, (_x(),), dynamic_shapes=_dims(), strict=False)
    same(program.module()(_x(9, 3)), plain(layer)(_x(9, 3).double()))


def _onnx(layer: nn.Module) -> None:
    import onnxruntime

    file = io.BytesIO()
    program = torch.onnx.export(layer.eval(), (_x(),), dynamo=True, dynamic_shapes=_dims(), verbose=False)
    program.save(file)  # type: ignore[union-attr]
    session = onnxruntime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: _x(9, 3).numpy()})
    same(torch.from_numpy(found[0]), plain(layer)(_x(9, 3).double())[0])


def _checkpointed(layer: nn.Module) -> None:
    def of(each: nn.Module, _: Any, x: Tensor) -> Any:
        found = torch.utils.checkpoint.checkpoint(lambda x: each(x)[0], x, use_reentrant=False)
        return torch.autograd.grad(found.sin().sum(), list(each.parameters()))

    _both(layer, of)


def _autocast(layer: nn.Module) -> None:
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = layer(_x())
    assert output.dtype == torch.bfloat16
    same(output, plain(layer)(_x().double())[0], digits=3e-2)


def _packed(layer: nn.Module) -> None:
    def of(each: nn.Module, _: Any, x: Tensor) -> Any:
        rows = nn.utils.rnn.pack_padded_sequence(x, [5, 3])
        return nn.utils.rnn.pad_packed_sequence(each(rows)[0])[0]

    _both(layer, of)


def _weight_norm(layer: nn.Module) -> None:
    wanted = plain(layer)(_x().double())[0]
    same(nn.utils.parametrizations.weight_norm(layer, "weight_hh_l0")(_x())[0], wanted)


def _loaded(layer: nn.Module) -> None:
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    same(torch.load(file, weights_only=True)(_x()), plain(layer)(_x().double()))


def _quantised(layer: nn.Module) -> None:
    kind, options = type(layer), {} if type(layer) is nn.LSTM else {"mapping": {type(layer): Int8}}
    model = torch.ao.quantization.quantize_dynamic(nn.Sequential(layer), {kind}, dtype=torch.qint8, **options)
    assert kind is nn.LSTM or sum(each.dtype == torch.int8 for each in model.state_dict().values()) == 2
    same(model(_x()), plain(layer)(_x().double()), digits=1e-2)


def _traced(layer: nn.Module) -> None:
    same(torch.jit.trace(layer, (_x(),))(_x()), plain(layer)(_x().double()))  # type: ignore[operator]


class Model(nn.Module):
    """A model that somebody scripts, with a layer in it."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        output, state = self.layer(x)
        output, state = self.layer(output[:, :, :3], state)
        return output


def _scripted(layer: nn.Module) -> None:
    made, wanted, file = torch.jit.script(Model(layer)), Model(plain(layer)), io.BytesIO()
    torch.jit.save(made, file)
    file.seek(0)
    same(torch.jit.load(file)(_x()), wanted(_x().double()))
    found = torch.autograd.grad(made(_x()).sin().sum(), list(made.parameters()))
    same(found, torch.autograd.grad(wanted(_x().double()).sin().sum(), list(wanted.parameters())))


def _pruned(layer: nn.Module) -> None:
    nn.utils.prune.l1_unstructured(layer, "weight_hh_l0", amount=0.5)
    wanted = LSTM(3, 4, backend="reference", dtype=torch.float64)
    wanted.load_state_dict({name: getattr(layer, name).detach() for name in wanted.state_dict()})
    assert not layer.weight_hh_l0.all()  # type: ignore[operator]
    same(layer(_x())[0], wanted(_x().double())[0])


def _copied(layer: nn.Module) -> None:
    for made in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        assert made.weight_hh_l0 is not layer.weight_hh_l0
        same(made(_x()), plain(layer)(_x().double()))


def _in_bfloat16(layer: nn.Module) -> None:
    layer = layer.bfloat16()
    output, _ = layer(_x().bfloat16())
    assert output.dtype == torch.bfloat16
    same(output, plain(layer)(_x().bfloat16().double())[0], digits=3e-2)


def _from_meta(layer: nn.Module) -> None:
    made = copy.deepcopy(layer).to("meta").to_empty(device="cpu")
    made.load_state_dict(layer.state_dict())
    same(made(_x()), plain(layer)(_x().double()))


def _compiled_packed(layer: nn.Module) -> None:
    def run(x: Tensor) -> Tensor:
        rows = nn.utils.rnn.pack_padded_sequence(x, [5, 3])
        return nn.utils.rnn.pad_packed_sequence(layer(rows)[0])[0]

    same(torch.compile(run, fullgraph=True, backend="aot_eager")(_x()), run(_x()))


def _is_lstm(layer: nn.Module) -> None:
    assert isinstance(layer, nn.LSTM)


def _is_rnn(layer: nn.Module) -> None:
    assert isinstance(layer, nn.RNNBase)


ROWS: dict[str, Callable[[nn.Module], None]] = {
    "second derivatives": lambda layer: _both(layer, _second),
    "`torch.func.grad`": lambda layer: _both(layer, lambda each, p, x: grad(_loss(each))(p, x)),
    "`torch.func.jacrev`": lambda layer: _both(layer, lambda each, _, x: jacrev(lambda x: each(x)[0])(x)),
    "`torch.func.vmap` over inputs": lambda layer: _both(
        layer, lambda each, _, x: vmap(lambda x: each(x)[0])(torch.stack([x, -x]))
    ),
    "`vmap` over weights (an ensemble)": lambda layer: _both(
        layer,
        lambda each, p, x: vmap(lambda p: functional_call(each, p, (x,))[0])(
            {name: torch.stack([value, value.flip(0)]) for name, value in p.items()}
        ),
    ),
    "gradients of each sample": lambda layer: _both(
        layer, lambda each, p, x: vmap(grad(_loss(each)), (None, 1))(p, x[:, :, None])
    ),
    "`torch.func.jvp`": lambda layer: _both(layer, lambda each, _, x: jvp(lambda x: each(x)[0], (x,), (x.cos(),))),
    "`torch.func.hessian`": lambda layer: _both(layer, lambda each, p, x: hessian(lambda x: _loss(each)(p, x))(x[:2])),
    "`torch.compile(fullgraph=True)`, any batch and length": _compiled,
    "`torch.export`, any batch and length": _exported,
    "ONNX export, any batch and length": _onnx,
    "activation checkpointing": _checkpointed,
    "autocast to bfloat16": _autocast,
    "weights in bfloat16": _in_bfloat16,
    "packed sequences": _packed,
    "packed sequences in `torch.compile(fullgraph=True)`": _compiled_packed,
    "parametrised weights": _weight_norm,
    "pruned weights (`torch.nn.utils.prune`)": _pruned,
    "`copy.deepcopy` and `pickle`": _copied,
    "made on `meta`, then loaded": _from_meta,
    "`torch.load(weights_only=True)` of the layer": _loaded,
    "`isinstance(layer, torch.nn.RNNBase)`": _is_rnn,
    "`isinstance(layer, torch.nn.LSTM)`": _is_lstm,
    "`torch.jit.trace`": _traced,
    "`torch.jit.script` of a model with the layer": _scripted,
    "dynamic quantisation (`torch.ao.quantization.quantize_dynamic`)": _quantised,
}
"""What is tried: each raises where it does not work, or gives other numbers."""


def works(feature: str, column: str) -> bool:
    """Whether a feature works with a layer."""
    torch._dynamo.reset()
    torch.manual_seed(0)
    layer = COLUMNS[column]()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ROWS[feature](layer)
        except Exception:  # whatever it is, it does not work
            return False
    return True


def row(feature: str) -> str:
    """A line of the table."""
    return f"| {feature} | " + " | ".join("yes" if works(feature, column) else "no" for column in COLUMNS) + " |"


def main() -> None:
    print("| feature | " + " | ".join(f"`{name}`" for name in COLUMNS) + " |")
    print("| --- |" + " --- |" * len(COLUMNS))
    for feature in ROWS:
        print(row(feature), flush=True)


if __name__ == "__main__":
    main()
