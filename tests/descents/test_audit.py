"""Checkpoints with published starts pass the audit; those of public faults are flagged."""

from __future__ import annotations

import codecs
import collections
import json
import math
import os
import zipfile

import numpy as np
import pytest

from gateflow.cli import main
from gateflow.descents import audit as module
from gateflow.descents.audit import audit
from gateflow.errors import FormulaError, InvalidArgument
from gateflow.plots._audit import RED, audited

RNG = np.random.default_rng(5)
TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2"}


def written(path, tensors, form="F32"):
    """A safetensors file, made by hand."""
    header: dict[str, object]
    header, body = {"__metadata__": {"format": "pt"}}, b""
    for name, values in tensors.items():
        values = np.asarray(values, dtype=np.float32 if form == "BF16" else TYPES[form])
        data = (values.view(np.uint32) >> 16).astype("<u2").tobytes() if form == "BF16" else values.tobytes()
        header[name] = {"dtype": form, "shape": list(values.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)
    return path


def inverse_softplus(dt):
    return dt + np.log(-np.expm1(-dt))


def steps(size):
    return np.exp(RNG.uniform(math.log(1e-3), math.log(1e-1), size))


A_LOG = np.tile(np.log(np.arange(1, 17)), (64, 1))

REFERENCES = {
    "mamba": {"layers.0.mixer.A_log": A_LOG, "layers.0.mixer.dt_proj.bias": inverse_softplus(steps(64))},
    "mamba-2": {"mixer.A_log": np.log(RNG.uniform(1, 16, 24)), "mixer.dt_bias": inverse_softplus(steps(24))},
    "rwkv": {"blocks.3.att.time_decay": -5 + 8 * (np.arange(64) / 63) ** 1.35},
    "rg-lru": {"rg_lru.recurrent_param": np.log(np.expm1(-np.log(RNG.uniform(0.81, 0.998, 64)) / 2))},
    "lru": {"nu_log": np.log(-0.5 * np.log(RNG.uniform(0.9**2, 0.999**2, 64)))},
    "xlstm": {"mlstm_cell.fgate.bias": np.linspace(3, 6, 4)},
    "lstm-2": {
        "rnn.bias_ih_l0": RNG.uniform(-0.1, 0.1, 32),
        "rnn.bias_hh_l0": np.repeat([0.0, 1.0, 0.0, 0.0], 8),
        "rnn.weight_hh_l0": np.zeros((32, 3)),
        "rnn.weight_hr_l0": np.zeros((3, 8)),
    },
    "gla": {"attn.gk_proj.1.bias": np.zeros(32)},
    "lstm": {
        "rnn.bias_ih_l0": RNG.uniform(-0.1, 0.1, 32),
        "rnn.bias_hh_l0": RNG.uniform(-0.1, 0.1, 32),
        "rnn.weight_hh_l0": np.zeros((32, 8)),
    },
}
"""As the authors' code starts."""

FAULTS = {
    "athms/mad-lab 3: all linear layers drawn anew, biases 0": (
        {"m.A_log": A_LOG, "m.dt_proj.bias": np.zeros(64)},
        "nearly alike",
    ),
    "huggingface/transformers 43717: dt_bias stays at 1 in a layer alone": (
        {"m.A_log": np.log(np.arange(1, 25)), "m.dt_bias": np.ones(24)},
        "outside the published start",
    ),
    "fla-org/flash-linear-attention 380: nothing but what memory held": (
        {"m.A_log": np.full((64, 16), -3.0), "m.dt_proj.bias": inverse_softplus(steps(64))},
        "A_log is",
    ),
    "kmheckel/spyx 42: dt in place of its logarithm": (
        {"m.A_log": A_LOG, "m.dt_proj.bias": inverse_softplus(steps(64) ** 2)},
        "outside the published start",
    ),
    "fla-org/flash-linear-attention 739: A counts the heads": (
        {"m.A_log": np.log(np.arange(1, 65)), "m.dt_bias": inverse_softplus(steps(64))},
        "A is outside [1, 16] in most heads",
    ),
    "fla-org/flash-linear-attention 739: and dt_bias is 1": (
        {"m.A_log": np.log(np.arange(1, 65)), "m.dt_bias": np.ones(64)},
        "all 64 are nearly alike",
    ),
    "proger/hippogriff 5: Lambda evenly spaced, where the decay is to be uniform": (
        {"hawk.forget_base": np.linspace(-4.323, -9, 96)},
        "half of them lie above 95% of the published start",
    ),
    "fla-org/flame 42: both are 0 on several devices": (
        {"m.A_log": np.zeros(24), "m.dt_bias": np.zeros(24)},
        "outside the published start",
    ),
    "google-research/flood-forecasting 278, 289: the forget bias is set in the first layer only": (
        {
            **{f"lstm.weight_hh_l{n}": np.zeros((32, 8)) for n in (0, 1)},
            **{f"lstm.bias_ih_l{n}": RNG.uniform(-0.3, 0.3, 32) for n in (0, 1)},
            "lstm.bias_hh_l0": np.where(np.arange(32) // 8 == 1, 3.0, RNG.uniform(-0.3, 0.3, 32)),
            "lstm.bias_hh_l1": RNG.uniform(-0.3, 0.3, 32),
        },
        "lstm.bias_hh_l0 starts at a bias of 3, this one does not",
    ),
    "the same in the other of the two biases": (
        {
            **{f"lstm.weight_hh_l{n}": np.zeros((32, 8)) for n in (0, 1)},
            **{f"lstm.bias_hh_l{n}": RNG.uniform(-0.3, 0.3, 32) for n in (0, 1)},
            "lstm.bias_ih_l0": np.where(np.arange(32) // 8 == 1, 1.0, RNG.uniform(-0.3, 0.3, 32)),
            "lstm.bias_ih_l1": RNG.uniform(-0.3, 0.3, 32),
        },
        "lstm.bias_ih_l0 starts at a bias of 1, this one does not",
    ),
    "time_decay drawn as any weight": ({"att.time_decay": RNG.normal(0, 0.02, 64)}, "nearly alike"),
}
"""Public faults, rebuilt: the thread, tensors, and what the audit says."""


@pytest.mark.parametrize("name", REFERENCES)
def test_published_starts_pass(name, tmp_path):
    found = audit(written(tmp_path / "one.safetensors", REFERENCES[name]))
    (layer,) = found.layers
    assert layer.flags == ()
    assert layer.model == name.removesuffix("-2")
    assert not found.flagged


@pytest.mark.parametrize("fault", FAULTS)
def test_overwritten_starts_are_flagged(fault, tmp_path):
    tensors, said = FAULTS[fault]
    found = audit(written(tmp_path / "one.safetensors", tensors))
    assert found.flagged
    assert said in "; ".join(flag for layer in found.layers for flag in layer.flags)


def test_time_constants_and_slopes_are_those_of_the_closed_forms(tmp_path):
    z = np.linspace(-2, 4, 41)
    tensors = {"time_decay": -z, "rnn.bias_ih_l0": np.repeat([9, 1, 9, 9], 2), "rnn.bias_hh_l0": np.full(8, 0.5)}
    path = written(tmp_path / "one.safetensors", tensors | {"rnn.weight_hh_l0": np.zeros((8, 2))}, "F64")
    lstm, rwkv = audit(path).layers
    np.testing.assert_allclose(rwkv.times, np.quantile(np.exp(z), (0.02, 0.5, 0.98)), rtol=1e-12)
    np.testing.assert_allclose(lstm.times, 1 / math.log1p(math.exp(-1.5)), rtol=1e-12)
    s = 1 / (1 + math.exp(-1.5))
    assert (lstm.units, lstm.slope) == (2, pytest.approx(s * (1 - s), rel=1e-12))
    mamba = {"A_log": np.log([[1, 2], [1, 2]]), "dt_proj.bias": inverse_softplus(np.array([0.01, 0.05]))}
    (layer,) = audit(written(path, mamba, "F64")).layers
    np.testing.assert_allclose(layer.times, np.quantile([100, 50, 20, 10], (0.02, 0.5, 0.98)), rtol=1e-12)


def test_what_a_format_cannot_move_and_cannot_hold(tmp_path):
    """An ulp of bfloat16 at 6 is 1/32; a time constant past 2**8 rounds to 1 where a is handed on."""
    z = -np.concatenate([np.full(10, 6.0), np.full(30, 0.01)])
    tensors = {"a_param": z}
    (layer,) = audit(written(tmp_path / "one.safetensors", tensors, "BF16"), lr=1e-3).layers
    assert layer.unmoved == 0.25
    assert audit(tmp_path / "one.safetensors", lr=1e-6).layers[0].unmoved == 1
    (layer,) = audit(written(tmp_path / "one.safetensors", {"a_param": np.full(8, -7.0)}, "BF16")).layers
    assert layer.beyond == 1  # 2**8 steps, and 1096/4
    (layer,) = audit(written(tmp_path / "one.safetensors", {"a_param": np.full(8, -7.0)}, "F32")).layers
    assert layer.beyond == 0


@pytest.mark.parametrize("lr", [2.0**-12, 2.0**-9, 2.0**-8, 3 * 2.0**-10, 0.25])
@pytest.mark.parametrize("form", ["float16", "bfloat16", "float32"])
def test_what_a_step_does_not_move_is_what_pytorch_does_not_move(form, lr, tmp_path):
    """Ties go to even, below a power of two floats are closer, and the two biases of an LSTM are moved one by one."""
    torch = pytest.importorskip("torch")
    x = (
        torch.tensor([[0.0, 1.0, -1.0, 2.0, 4.0, 1.0078125, 3.3, -60.0, 1e-6, 512.0]])
        .repeat(10, 1)
        .to(getattr(torch, form))
    )
    stuck = (x + lr == x) & (x - lr == x)
    first, second = x.flatten(), x.T.flatten()
    zeros = torch.zeros(100, dtype=x.dtype)
    state = {f"bias_{side}": torch.cat([zeros, each, zeros, zeros]) for side, each in (("ih", first), ("hh", second))}
    torch.save({"nu_log": x, **state, "weight_hh": torch.zeros(400, 100)}, tmp_path / "one.pt")
    lstm, lru = audit(tmp_path / "one.pt", lr=lr).layers
    assert lru.unmoved == stuck.double().mean()
    assert lstm.unmoved == (stuck & stuck.T).double().mean()


def test_a_projected_lstm_has_the_units_of_its_cell(tmp_path):
    torch = pytest.importorskip("torch")
    rnn = torch.nn.LSTM(3, 8, num_layers=2, proj_size=5)
    with torch.no_grad():
        for each in (rnn.bias_ih_l0, rnn.bias_hh_l0):
            each.copy_(torch.arange(32) / 64)
    torch.save(rnn.state_dict(), tmp_path / "one.pt")
    first, second = audit(tmp_path / "one.pt").layers
    assert (first.units, second.units) == (8, 8)
    expected = 1 / np.log1p(np.exp(-np.arange(8, 16) / 32))
    np.testing.assert_allclose(first.times, np.quantile(expected, (0.02, 0.5, 0.98)), rtol=1e-12)


def test_a_layer_that_was_trained_or_has_one_unit_is_not_compared_with_others(tmp_path):
    for one in (np.array([0, 3.0, 0, 0]), np.arange(8.0)):
        tensors = {f"bias_{side}_l{n}": one * n for side in ("ih", "hh") for n in (1, 2)}
        tensors |= {f"weight_hh_l{n}": np.zeros((one.size, one.size // 4)) for n in (1, 2)}
        assert not audit(written(tmp_path / "one.safetensors", tensors)).flagged


def test_the_figure_has_a_line_a_layer_and_flagged_ones_in_red(tmp_path, capsys):
    tensors = {"$a$\x1b" + "long" * 20 + ".A_log": A_LOG, "$a$\x1b" + "long" * 20 + ".dt_proj.bias": np.zeros(64)}
    path = written(tmp_path / "one.safetensors", tensors | {"nu_log": np.full(3, -1e4), "\u4e2d.nu_log": [0.0, 1.0]})
    (axes,) = audited(audit(path)).axes
    assert [label.get_text()[-8:] for label in axes.get_yticklabels()] == ["\u4e2d.nu_log", "nu_log", "roj.bias"]
    lines = {(tuple(line.get_xdata()), line.get_color()) for line in axes.lines}
    assert {colour for _, colour in lines} == {RED, "black"}
    assert len(axes.get_yticklabels()) == 3
    assert len(axes.lines) == 4  # of the layer whose decays are 1, none
    assert main(["audit", str(path), "--figure", str(tmp_path / "a.svg")]) == 3
    assert capsys.readouterr().out.strip().endswith("a.svg")
    assert (tmp_path / "a.svg").stat().st_size > 1000
    (tmp_path / "mine.svg").write_text("not of gateflow")
    assert main(["audit", str(path), "--figure", str(tmp_path / "mine.svg")]) == 2
    assert main(["audit", str(path), "--figure", str(tmp_path / "a.txt")]) == 2
    none = written(tmp_path / "none.safetensors", {"weight": [1.0]})
    assert main(["audit", str(none), "--figure", str(tmp_path / "b.svg")]) == 2
    assert not (tmp_path / "b.svg").exists()


def test_other_names_are_told_by_patterns(tmp_path, capsys):
    path = written(tmp_path / "one.safetensors", {"block.my_gate": [0.0, 1.0], "weight": np.ones((2, 2))})
    assert audit(path).layers == ()
    assert main(["audit", str(path)]) == 0
    assert "no decays are known" in capsys.readouterr().out
    (layer,) = audit(path, patterns={"my_gate$": "fast"}).layers
    assert layer.slope == pytest.approx(
        (0.25 + math.cosh(1) * math.exp(-math.sinh(1)) / (1 + math.exp(-math.sinh(1))) ** 2) / 2
    )
    assert main(["audit", str(path), "--pattern", "my_gate$=fast", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"][0]["model"] == "fast"
    assert (
        main(["audit", str(path), "--pattern", "(?=my)my_(?<=my_)gate$=sigmoid(k*z); k=2", "--pattern", "nowhere=fast"])
        == 0
    )
    said = capsys.readouterr().out
    assert "sigmoid(k*z)" in said
    assert "the pattern 'nowhere' is in no name" in said
    for wrong in ("my_gate", "=fast", "my_gate=", "(=fast", "x=nothing-such"):
        assert main(["audit", str(path), "--pattern", wrong]) == 2
    assert main(["audit", str(path), "--lr", "0"]) == 2


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        (r"(a+)+$", "takes over 0.2 seconds"),
        (".*" * 20 + "x", "takes over 0.2 seconds"),
        ("a{99999999999}", "no regular expression"),
        ("(" * 3000 + ")" * 3000, "no regular expression"),
        ("[a--b]", "no regular expression"),
    ],
)
def test_patterns_are_searched_within_bounds(pattern, said, tmp_path, monkeypatch):
    if "over" in said:
        monkeypatch.setattr(module, "PATIENCE", 0.2)
    path = written(tmp_path / "one.safetensors", {"a" * 60 + ".nu_log": [0.0, 1.0]})
    with pytest.raises(InvalidArgument, match=said):
        audit(path, patterns={pattern: "fast"})


@pytest.mark.parametrize(
    ("name", "most"), [("MOST_LAYERS", 2), ("MOST_UNITS", 8), ("MOST_NUMBERS", 8), ("LONGEST_NAME", 7)]
)
def test_layers_units_and_names_are_bounded(name, most, tmp_path, monkeypatch):
    """A tensor of one number may stand for millions, under thousands of names."""
    torch = pytest.importorskip("torch")
    torch.save({f"{i}.nu_log": torch.zeros(1).expand(3) for i in range(3)}, tmp_path / "one.pt")
    assert len(audit(tmp_path / "one.pt").layers) == 3
    monkeypatch.setattr(module, name, most)
    with pytest.raises(InvalidArgument, match=f"over {most} "):
        audit(tmp_path / "one.pt")


def test_layers_of_an_lstm_are_each_read_once_to_compare_their_forget_biases(tmp_path, monkeypatch):
    read: list[object] = []
    tensors = {f"bias_{side}_l{n}": RNG.uniform(-1, 1, 8) for side in ("ih", "hh") for n in range(30)}
    path = written(tmp_path / "one.safetensors", tensors | {f"weight_hh_l{n}": np.zeros((8, 2)) for n in range(30)})
    original = module.numbers
    monkeypatch.setattr(module, "numbers", lambda *args: read.append(args) or original(*args))
    assert len(audit(path).layers) == 30
    assert len(read) == 120


def test_a_flag_is_exit_code_3(tmp_path, capsys):
    path = written(tmp_path / "one.safetensors", {"A_log": A_LOG, "dt_proj.bias": np.zeros(64)})
    assert main(["audit", str(path)]) == 3
    assert "published start" in capsys.readouterr().out


def test_a_state_dict_of_pytorch_is_read_and_no_pickle_is_run(tmp_path):
    torch = pytest.importorskip("torch")
    rnn = torch.nn.LSTM(3, 8, num_layers=2)
    torch.save({"state_dict": rnn.state_dict(), "epoch": 3}, tmp_path / "one.pt")
    assert [layer.name for layer in audit(tmp_path / "one.pt").layers] == ["bias_ih_l0", "bias_ih_l1"]
    torch.save({"model": {"state_dict": {"encoder": {"rnn": rnn.state_dict()}}}}, tmp_path / "one.pt")
    assert [layer.name for layer in audit(tmp_path / "one.pt").layers] == [f"encoder.rnn.bias_ih_l{n}" for n in (0, 1)]
    torch.save(rnn, tmp_path / "whole.pt")
    with pytest.raises(InvalidArgument, match=r"its pickle holds torch\.nn\.modules\.rnn\.LSTM"):
        audit(tmp_path / "whole.pt")


class Made:
    """What a pickle has a function make."""

    def __init__(self, function, *given):
        self.made = function, given

    def __reduce__(self):
        return self.made


def twice(times):
    found: list[object] = [0, 0]
    for _ in range(times):
        found = [found, found]
    return found


def filled_later(times):
    """The same list, whose innermost part is filled last."""
    first: list[object] = []
    inner = first
    for _ in range(times):
        inner += [deeper := [], deeper]
        inner = deeper
    return first


def hostile():
    torch = pytest.importorskip("torch")
    encoded = Made(codecs.encode, "a" * 64, "latin1")
    for _ in range(40):
        encoded = Made(codecs.encode, encoded, "hex")
    sparse, many = torch._utils._rebuild_sparse_tensor, torch.zeros(1).expand(2**40)
    moved = torch._utils._rebuild_device_tensor_from_cpu_tensor
    return {
        "bytes by their number": (Made(bytearray, 10**13), "calls .*bytearray"),
        "the same as an argument": (
            Made(torch._tensor._rebuild_from_type_v2, bytearray, torch.Tensor, (10**13,), {}),
            "calls",
        ),
        "texts encoded time and again": (encoded, "encodes texts"),
        "a tensor of lists of lists": (Made(torch.Tensor, twice(40)), "calls in its pickle get over"),
        "lists that are filled later": (Made(sparse, torch.sparse_coo, (filled_later(40), 1, (3,), True)), "get over"),
        "a call of itself": (Made(list, twice(40)), "get over"),
        "one number copied": (Made(moved, many, torch.float64, "cpu", False), "calls torch._utils._rebuild_device"),
    }


@pytest.mark.parametrize("kind", range(7))
def test_a_pickle_that_makes_much_of_little_is_refused(kind, tmp_path):
    """Each would take terabytes, or years, within one instruction."""
    torch = pytest.importorskip("torch")
    value, said = list(hostile().values())[kind]
    torch.save({"nu_log": value}, tmp_path / "one.pt")
    with pytest.raises(InvalidArgument, match=said):
        audit(tmp_path / "one.pt")


def test_what_stands_beside_tensors_in_a_checkpoint_is_no_fault(tmp_path):
    torch = pytest.importorskip("torch")
    shared = [1, 2]
    other = {
        "bytes": b"abc",
        "again": b"de",
        "set": {1, 2},
        "lists": ([shared, shared], "a"),
        "count": collections.Counter("aab"),
    }
    torch.save(
        {"nu_log": torch.tensor([0.0, 3.0]), "other": other, "attribute": torch.nn.Parameter(torch.ones(2))},
        tmp_path / "one.pt",
    )
    (layer,) = audit(tmp_path / "one.pt").layers
    assert layer.units == 2


@pytest.mark.parametrize("old", [True, False])
def test_a_pickle_that_would_take_for_ever_to_hash_is_refused(old, tmp_path):
    """40 levels of pairs are a few hundred bytes; as a key they are hashed 2^40 times, in one instruction."""
    torch = pytest.importorskip("torch")
    tuples = b"".join(b"q" + bytes([k]) + b"0h" + bytes([k]) + b"h" + bytes([k]) + b"\x86" for k in range(40))
    hostile, path = b"\x80\x02})" + tuples + b"K\x01s.", tmp_path / "one.pt"
    kind = {"_use_new_zipfile_serialization": not old}
    torch.save({"a": torch.zeros(2)}, path, **kind)
    whole = path.read_bytes()
    if old:
        start = whole.index(b"\x80\x02}", 20)
        start = whole.index(b"X\x01\x00\x00\x00aq", start)
        start = whole.rindex(b"\x80\x02", 0, start)
        path.write_bytes(whole[:start] + hostile)
    else:
        with zipfile.ZipFile(path) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in members.items():
                archive.writestr(name, hostile if name.endswith("data.pkl") else data)
    with pytest.raises(InvalidArgument, match="over 10000 parts"):
        audit(path)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 8,
        (1 << 60).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (36).to_bytes(8, "little") + b'{"__metadata__": {"gateflow": "{}"}} ',
        (24).to_bytes(8, "little") + b'{"__metadata__": "none"}',
        (9).to_bytes(8, "little") + b'{"a": 1} ',
        *(
            len(text).to_bytes(8, "little") + text.encode() + b"\0" * 8
            for text in (
                '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 800]}}',
                '{"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}',
                '{"a": {"dtype": "F32", "shape": [-2, -1], "data_offsets": [0, 8]}}',
                '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [8, 0]}}',
                '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0]}}',
                '{"a": {"dtype": "F32", "shape": "2", "data_offsets": [0, 8]}}',
                '{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, '
                '"b": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}',
                '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [2, 6]}, '
                '"b": {"dtype": "F16", "shape": [1], "data_offsets": [3, 5]}}',
                '{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}, '
                '"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}',
                '{"a": {"dtype": "F32", "shape": [2], "shape": [1], "data_offsets": [0, 4]}}',
                '{"a": {"dtype": "float64", "shape": [1], "data_offsets": [0, 8]}}',
            )
        ),
    ],
)
def test_a_broken_file_is_refused_in_one_line(data, tmp_path, capsys):
    (tmp_path / "one.safetensors").write_bytes(data)
    assert main(["audit", str(tmp_path / "one.safetensors")]) == 2
    said = capsys.readouterr().err
    assert said.startswith("gateflow: error: ")
    assert said.count("\n") == 1


def test_a_shape_of_many_numbers_is_not_multiplied_out(tmp_path):
    """800,000 numbers of 19 digits took minutes."""
    path = tmp_path / "one.safetensors"
    shape = [9_000_000_000_000_000_000] * 100
    text = json.dumps({"nu_log": {"dtype": "F32", "shape": shape, "data_offsets": [0, 4]}}).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + bytes(4))
    with pytest.raises(InvalidArgument, match="a shape or a type that safetensors does not write"):
        audit(path)


def test_decays_of_exactly_1_or_0_and_what_is_no_number_are_told(tmp_path, capsys):
    path = tmp_path / "one.safetensors"
    for z in (1e4, 3e38):
        (layer,) = audit(written(path, {"nu_log": np.full(8, -z)})).layers
        assert (layer.times, layer.beyond) == ((math.inf,) * 3, 1)
    (layer,) = audit(written(path, {"nu_log": np.repeat([0.0, -3e38], 50)})).layers
    assert layer.times == (1, math.inf, math.inf)  # between 1 and infinity lies infinity
    (layer,) = audit(written(path, {"nu_log": np.repeat([0.0, -3e38], [50, 1])})).layers
    assert layer.times == (1, 1, 1)  # the 50th of 51 is the quantile of 98 %, and nothing of the next counts
    (layer,) = audit(written(path, {"A_log": np.full((4, 2), 1e5), "dt_bias": np.zeros(4)})).layers
    assert layer.times == (0, 0, 0)
    assert main(["audit", str(written(path, {"A_log": np.full((4, 2), np.nan), "dt_bias": np.zeros(4)}))]) == 3
    assert "not all are numbers" in " ".join(capsys.readouterr().out.split())
    for one in (math.inf, -math.inf):
        tensors = {"A_log": np.r_[one, np.log(RNG.uniform(1, 16, 23))], "dt_bias": inverse_softplus(steps(24))}
        assert audit(written(path, tensors)).layers[0].flags[-1] == "not all are numbers"


@pytest.mark.parametrize(
    "tensors",
    [
        {"A_log": 0.0, "dt_bias": [1.0]},
        {"A_log": np.zeros((4, 0)), "dt_bias": np.zeros(4)},
        {"bias_ih_l0": 1.0, "bias_hh_l0": 1.0, "weight_hh_l0": np.zeros((8, 2))},
        {"bias_ih_l0": [1.0], "bias_hh_l0": [1.0], "weight_hh_l0": np.zeros((8, 2))},
    ],
)
def test_tensors_of_a_known_name_and_another_shape_are_no_layer(tensors, tmp_path):
    assert audit(written(tmp_path / "one.safetensors", tensors)).layers == ()


def test_names_hold_no_codes_for_the_terminal(tmp_path, capsys):
    assert main(["audit", str(written(tmp_path / "one.safetensors", {"a\x1b[2J\n.nu_log": [0.0]}))]) == 0
    assert "a?[2J .nu_log" in capsys.readouterr().out


def test_tensors_of_pytorch_without_plain_numbers(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "one.pt"
    torch.save({"nu_log": torch.nn.Parameter(torch.zeros(2))}, path)
    assert audit(path).layers[0].times == (1, 1, 1)
    for tensor in (torch.zeros(1).expand(10**12), torch.zeros(4).to_sparse(), torch.zeros(4, device="meta")):
        torch.save({"nu_log": tensor}, path)
        with pytest.raises(InvalidArgument, match="nu_log"):
            audit(path)
    for kind in (torch.int8, torch.float8_e4m3fn, torch.complex64, torch.bool):
        torch.save({"nu_log": torch.zeros(4).to(kind)}, path)
        with pytest.raises(InvalidArgument, match=f"'nu_log' holds {str(kind)[6:]}"):
            audit(path)
    path.write_bytes(b"")
    with pytest.raises(InvalidArgument, match="reads no tensors"):
        audit(path)
    torch.save({"nu_log": torch.zeros(2)}, path)
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(tmp_path / "packed.pt", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(InvalidArgument, match="it is packed"):
        audit(tmp_path / "packed.pt")


def test_a_file_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["audit", str(tmp_path / "none.safetensors")]) == 2
    assert "cannot read" in capsys.readouterr().err


# --- shards -----------------------------------------------------------------------------------------------------------


def sharded(folder, count=3, stem="model"):
    """A model in shards with their index, as Hugging Face writes them, and the same in one file."""
    tensors = {f"layers.{n}.mixer.A_log": A_LOG for n in range(6)}
    tensors |= {f"layers.{n}.mixer.dt_proj.bias": inverse_softplus(steps(64)) for n in range(6)}
    folder.mkdir()
    names = sorted(tensors)
    weight_map = {}
    for k in range(count):
        shard = f"{stem}-{k + 1:05d}-of-{count:05d}.safetensors"
        own = names[k::count]  # A_log and the bias of a layer are in different shards
        written(folder / shard, {name: tensors[name] for name in own})
        weight_map |= dict.fromkeys(own, shard)
    index = {"metadata": {"total_size": sum(t.size * 4 for t in tensors.values())}, "weight_map": weight_map}
    (folder / f"{stem}.safetensors.index.json").write_text(json.dumps(index, indent=2))
    return written(folder.parent / "whole.safetensors", tensors)


def test_shards_are_audited_as_the_file_that_they_were_cut_from(tmp_path):
    whole = sharded(tmp_path / "model")
    expected = audit(whole)
    assert len(expected.layers) == 6
    assert audit(tmp_path / "model").layers == expected.layers
    assert audit(tmp_path / "model/model.safetensors.index.json").layers == expected.layers


def test_a_folder_with_one_file_is_that_file(tmp_path):
    whole = sharded(tmp_path / "model")
    (tmp_path / "other").mkdir()
    whole.rename(tmp_path / "other/model.safetensors")
    assert audit(tmp_path / "other").layers == audit(tmp_path / "model").layers


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_shards_may_be_links_as_in_the_cache_of_hugging_face(tmp_path):
    whole = sharded(tmp_path / "model")
    (tmp_path / "snapshot").mkdir()
    for file in (tmp_path / "model").iterdir():
        (tmp_path / "snapshot" / file.name).symlink_to(f"../model/{file.name}")
    assert audit(tmp_path / "snapshot").layers == audit(whole).layers


FIRST, SECOND, THIRD = (f"model-0000{k}-of-00003.safetensors" for k in (1, 2, 3))
INDEX = "model.safetensors.index.json"


def remapped(change):
    def damage(folder):
        index = json.loads((folder / INDEX).read_text())
        change(index["weight_map"])
        (folder / INDEX).write_text(json.dumps(index))

    return damage


def in_both(folder):
    """A tensor of the first shard in the second as well."""
    written(folder / SECOND, {name: [0.0] for name in {*_names(folder / SECOND), "layers.0.mixer.A_log"}})


def _names(file):
    data = file.read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]).keys() - {"__metadata__"}


def one_less(folder):
    written(folder / FIRST, {name: [0.0] for name in _names(folder / FIRST) - {"layers.0.mixer.A_log"}})


def all_into_first(weight_map):
    weight_map.update(dict.fromkeys(weight_map, FIRST))


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / SECOND).unlink(), f"the shard '{SECOND}' is missing"),
        (lambda folder: (folder / SECOND).write_bytes(b"x" * 100), f"the shard '{SECOND}': it is no safetensors file"),
        (lambda folder: ((folder / SECOND).unlink(), (folder / SECOND).mkdir()), "cannot be read: Is a directory"),
        (in_both, f"'layers.0.mixer.A_log' in '{FIRST}', and it is in '{SECOND}'"),
        (one_less, f"'layers.0.mixer.A_log' in '{FIRST}', and it is not there"),
        (remapped(lambda held: held.pop("layers.0.mixer.A_log")), f"in no shard, and it is in '{FIRST}'"),
        (remapped(lambda held: held.update({"more": THIRD})), f"'more' in '{THIRD}', and it is not there"),
        (remapped(all_into_first), f"no tensor in '{SECOND}'"),
        (remapped(lambda held: held.update({"more": "../whole.safetensors"})), "no .safetensors file beside it"),
        (remapped(lambda held: held.update({"more": "/etc/passwd"})), "no .safetensors file beside it"),
        (remapped(lambda held: held.update({"more": "a/../../whole.safetensors"})), "no .safetensors file beside it"),
        (remapped(lambda held: held.update({"more": "..\\whole.safetensors"})), "no .safetensors file beside it"),
        (remapped(lambda held: held.update({"more": 3})), "no weight_map"),
        (remapped(lambda held: held.clear()), "no weight_map"),
        (lambda folder: (folder / INDEX).write_text("[" * 100_000), "nests too deep"),
        (lambda folder: (folder / INDEX).write_text('{"weight_map": {"a": "b", "a": "c"}}'), "'a' stands twice"),
        (lambda folder: (folder / INDEX).unlink(), "holds shards, such as"),
        (lambda folder: written(folder / "model.safetensors", {"a": [1.0]}), "give one of them"),
        (lambda folder: written(folder / "model-00004-of-00004.safetensors", {"a": [1.0]}), "an old one?"),
        (lambda folder: [file.unlink() for file in folder.iterdir()], "holds no .safetensors file"),
    ],
)
def test_shards_that_contradict_their_index_are_told_in_one_line(tmp_path, capsys, damage, said):
    sharded(tmp_path / "model")
    damage(tmp_path / "model")
    assert main(["audit", str(tmp_path / "model")]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_an_index_that_names_files_without_end_is_not_followed(tmp_path):
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {f"t{n}": f"{n}.safetensors" for n in range(10_001)}}))
    with pytest.raises(InvalidArgument, match="names 10001 files, and at most 10000"):
        audit(tmp_path / INDEX)


@pytest.mark.parametrize("form", ["pt", "safetensors"])
def test_the_gate_of_a_layer_is_known_from_its_state_dict_or_named(form, tmp_path):
    torch = pytest.importorskip("torch")
    from gateflow.nn import GRU, INITS, LSTM

    formula = "1 - exp(-softplus(z)**2)"
    model = torch.nn.ModuleDict(
        {"rnn": LSTM(2, 6, bidirectional=True, forget_gate=formula), "other": GRU(2, 6, update_gate=formula)}
    )
    INITS["for-timescales"](low=200, high=200)(model)
    if form == "pt":
        path, patterns = tmp_path / "model.pt", None
        torch.save(model.state_dict(), path)
    else:
        path = written(tmp_path / "model.safetensors", {k: v.numpy() for k, v in model.state_dict().items()})
        assert audit(path).layers[0].times[1] < 20  # as of a sigmoid
        patterns = {"bias_ih": formula}
    found = audit(path, patterns=patterns).layers
    assert [one.name for one in found] == ["other.bias_ih_l0", "rnn.bias_ih_l0", "rnn.bias_ih_l0_reverse"]
    np.testing.assert_allclose([one.times for one in found], 200.0, rtol=1e-5)


@pytest.mark.parametrize(("kind", "block"), [("LSTM", "forget"), ("GRU", "update")])
def test_a_cell_for_one_step_at_a_time_is_known_as_well(kind, block, tmp_path):
    torch = pytest.importorskip("torch")
    from gateflow import nn

    formula = "sigmoid(sinh(z))"
    ours = getattr(nn, f"{kind}Cell")(2, 6, **{f"{block}_gate": formula})
    torch.save(
        torch.nn.ModuleDict({"theirs": getattr(torch.nn, f"{kind}Cell")(2, 6), "ours": ours}).state_dict(),
        path := tmp_path / "m.pt",
    )
    found = {one.name: one for one in audit(path).layers}
    assert set(found) == {"ours.bias_ih", "theirs.bias_ih"}
    z = (ours.bias_ih.double() + ours.bias_hh.double())[6:12].detach().numpy()
    middle = np.median(-1 / np.log(1 / (1 + np.exp(-np.sinh(z)))))
    assert found["ours.bias_ih"].times[1] == pytest.approx(middle, rel=1e-9)
    assert found["theirs.bias_ih"].units == 6


def test_a_state_dict_whose_note_is_no_gate_is_refused(tmp_path):
    torch = pytest.importorskip("torch")
    state = torch.nn.ModuleDict({"rnn": torch.nn.LSTM(2, 3)}).state_dict()
    state._metadata["rnn.forget_gate"] = {"gate": "__import__('os')"}
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(FormulaError):
        audit(tmp_path / "model.pt")
