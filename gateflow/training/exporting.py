"""A trained network as a file that is run elsewhere: a program of `torch.export`, ONNX, or plain PyTorch.

What is written takes numbers as they stand in files, (batch, time, channels) of float32, any batch and length, and
prepares them itself. Names of classes and how series are read go with it as JSON: ``gateflow.json`` among the extra
files of a ``.pt2``, the metadata ``gateflow`` of an ``.onnx``, ``FACTS`` in a ``.py``.
"""

from __future__ import annotations

import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from keyword import iskeyword
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import make_fx

from gateflow.errors import InvalidArgument, MissingExtra
from gateflow.files import Output, file_path, write_all
from gateflow.nn.exporting import TracedArithmetic
from gateflow.nn.functional import GATE, WORKING, named
from gateflow.nn.recurrent import Recurrent, Weights
from gateflow.training.folder import FILES
from gateflow.training.trained import Trained, load

ENDINGS = (".pt2", ".onnx", ".py")


def export(run: str | Path | Trained, to: str | Path, *, force: bool = False) -> list[Path]:
    """Write the network of a run, with its preparation, to a file that is run elsewhere.

    Parameters
    ----------
    run : path or Trained
        The folder of a run, or what :func:`gateflow.training.load` gave.
    to : path
        ``.pt2``, a program of `torch.export`, which needs ``gateflow.nn`` to be imported where it is loaded; ``.onnx``,
        which needs nothing of ours or PyTorch's; ``.py``, one module of plain PyTorch, with its weights beside it in
        ``.safetensors``.
    force : bool
        Replace other files.

    Returns
    -------
    list of paths
        What was written.

    Raises
    ------
    InvalidArgument
        The ending is none of these; or the cell has no such form, as one that draws random numbers.

    Examples
    --------
    >>> export("runs/adding", "adding.txt")
    Traceback (most recent call last):
        ...
    gateflow.errors.InvalidArgument: adding.txt must end in .pt2, .onnx, .py
    """
    path = file_path(to)
    if path.suffix not in ENDINGS:
        raise InvalidArgument(f"{path} must end in {', '.join(ENDINGS)}")
    outputs = [Output(path, force=force)]
    if path.suffix == ".py":
        if not path.stem.isidentifier() or iskeyword(path.stem):
            raise InvalidArgument(
                f"{path} is to be imported: its name must be one of letters, digits and _, no keyword"
            )
        outputs.append(Output(path.with_suffix(".safetensors"), force=force))
    if not isinstance(run, Trained):
        for output in outputs:
            if output.path.name in FILES and output.path.parent.resolve() == Path(run).resolve():
                raise InvalidArgument(f"{output.path} is a file of the run; choose another --to")
    trained = run if isinstance(run, Trained) else load(run)
    if getattr(trained.network.cell, "random", False):
        raise InvalidArgument(f"{type(trained.network.cell).__name__} draws random numbers and is not exported")
    write = {".pt2": _program, ".onnx": _onnx, ".py": _plain}[path.suffix]
    return write_all(list(zip(outputs, write(trained), strict=True)))


def _example(trained: Trained) -> tuple[tuple[Tensor], tuple[dict[int, Any], ...]]:
    """An input, and which of its dimensions may be of any size."""
    if trained.facts["tokens"]:
        example = torch.zeros(2, 3, dtype=torch.int64)
    else:
        example = torch.zeros(2, 3, trained.facts["input_size"])
    return (example,), ({0: torch.export.Dim("batch"), 1: torch.export.Dim("time")},)


def _program(trained: Trained) -> list[bytes]:
    inputs, sizes = _example(trained)
    program = torch.export.export(trained.module, inputs, dynamic_shapes=sizes)
    written = io.BytesIO()
    torch.export.save(program, written, extra_files={"gateflow.json": json.dumps(trained.facts)})
    return [written.getvalue()]


def _onnx(trained: Trained) -> list[bytes]:
    try:
        import onnxscript  # noqa: F401
    except ImportError:
        raise MissingExtra("export to ONNX", "onnx") from None
    inputs, sizes = _example(trained)
    with warnings.catch_warnings(), _quiet("torch.onnx"), _quiet("onnxscript"):
        warnings.simplefilter("ignore")  # of PyTorch's exporter, on its own ways
        options: dict[str, Any] = {"dynamo": True, "dynamic_shapes": sizes, "verbose": False}
        program = torch.onnx.export(trained.module, inputs, **options)
    assert program is not None
    proto = program.model_proto
    entry = proto.metadata_props.add()
    entry.key, entry.value = "gateflow", json.dumps(trained.facts)
    return [proto.SerializeToString()]


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Within, a logger reports errors alone."""
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


# --- plain PyTorch ----------------------------------------------------------------------------------------------------


def _plain(trained: Trained) -> list[str | bytes]:
    from safetensors.torch import save

    module = trained.module
    weights = {name: part.detach().clone().contiguous() for name, part in module.state_dict().items()}
    return [_text(trained), save(weights)]


def _text(trained: Trained) -> str:
    network, cell = trained.network, trained.network.cell
    if not isinstance(cell, Recurrent):
        raise InvalidArgument(f"{type(cell).__name__} has no form in plain PyTorch; give .pt2 or .onnx")
    count, names = len(cell.states), [name.removesuffix("_l0") for name in cell._all_weights[0]]

    def weights_of(tensors: Sequence[Tensor]) -> Weights:
        return cell.named_weights(tensors)

    def project(x: Tensor, *tensors: Tensor) -> Tensor:
        return cell.project(x, weights_of(tensors))

    def step(z: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        return cell.step(z, tuple(tensors[:count]), weights_of(tensors[count:]))[0]

    own = [getattr(cell, f"{name}_l0").detach() for name in names]
    x = torch.zeros(3, cell.input_size, dtype=own[0].dtype)
    state = [torch.zeros(3, size, dtype=own[0].dtype) for size in cell.state_sizes()]
    made = {"project": _traced(project, x, *own), "step": _traced(step, project(x, *own).detach(), *state, *own)}
    gates = ", ".join(f"{block} {gate.name}" for block, gate in cell.gates().items())
    rescaled = "answers.double() * w['target_deviation'] + w['target_mean']" if trained.module.rescales else "answers"
    scaled = "((series.double() - w['mean']) / w['deviation']).float()" if trained.module.scales else "series"
    read = "w['network.embedding.weight'][series]" if network.embedding is not None else f"({scaled})"
    about = f"{type(cell).__name__} ({gates}), trained on {trained.settings.task}"
    return _TEMPLATE.format(
        about=about.replace("\\", "/").replace('"', "'"),
        facts=json.dumps(dict(trained.facts)),
        dtype=str(own[0].dtype),
        project=made["project"],
        step=made["step"],
        layers=cell.num_layers,
        names=names,
        sizes=list(cell.state_sizes()),
        read=read,
        last="output" if network.every_step else "output[:, -1]",
        rescaled=rescaled,
    )


def _traced(function: Callable[..., Any], *inputs: Tensor) -> str:
    """What a function of tensors does, as the text of a function of the same name."""
    with torch.no_grad():
        made = make_fx(function, decomposition_table={GATE: _gate}, tracing_mode="symbolic")(*inputs)
    lines = made.code.strip().splitlines()
    if any("self." in line for line in lines):
        raise InvalidArgument("the cell holds tensors that are no weights, and has no form in plain PyTorch")
    head = lines[0].replace("forward(self, ", f"{function.__name__}(")
    return "\n".join([head, *(line.replace("torch.ops.aten.", "aten.") for line in lines[1:])])


def _gate(z: Tensor, gate: str, what: str) -> Tensor:
    """A gate in PyTorch's own operators."""
    x = z.to(WORKING[z.dtype])
    return named(gate).in_operators(x, what, TracedArithmetic(x.dtype)).to(z.dtype)


_TEMPLATE = '''\
"""{about}.

Plain PyTorch: `load()` gives a module that takes series as they stand in files, (batch, time, channels), and answers
with logits of FACTS["classes"], or with values. Its weights are in the file of the same name that ends in .safetensors.
"""

import json
from pathlib import Path

import torch
from torch import device, inf, nan  # noqa: F401

aten = torch.ops.aten
FACTS = json.loads({facts!r})
LAYERS, NAMES, SIZES = {layers}, {names}, {sizes}


{project}


{step}


class Model(torch.nn.Module):
    """The network, with the preparation of its inputs."""

    def __init__(self, weights):
        super().__init__()
        self.weights = weights

    def forward(self, series):
        w = self.weights
        x = {read}.to({dtype})
        for layer in range(LAYERS):
            own = [w[f"network.cell.{{name}}_l{{layer}}"] for name in NAMES]
            state = [x.new_zeros(len(x), size) for size in SIZES]
            z = project(x.flatten(0, 1), *own).unflatten(0, x.shape[:2])
            outputs = []
            for t in range(x.shape[1]):
                state = list(step(z[:, t], *state, *own))
                outputs.append(state[0])
            x = torch.stack(outputs, dim=1)
        output = x
        answers = torch.nn.functional.linear({last}, w["network.readout.weight"], w["network.readout.bias"])
        return {rescaled}


def read(path):
    """The tensors of a safetensors file."""
    data = bytearray(Path(path).read_bytes())
    size = int.from_bytes(data[:8], "little")
    kinds = {{"F64": torch.float64, "F32": torch.float32, "I64": torch.int64}}
    found = {{}}
    for name, part in json.loads(data[8 : 8 + size]).items():
        if name != "__metadata__":
            first, last = (8 + size + n for n in part["data_offsets"])
            found[name] = torch.frombuffer(data[first:last], dtype=kinds[part["dtype"]]).reshape(part["shape"])
    return found


def load(path=None):
    """The trained module."""
    return Model(read(path or Path(__file__).with_suffix(".safetensors"))).eval()
'''
