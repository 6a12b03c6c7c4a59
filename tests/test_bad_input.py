"""Whatever is given to a public function, it answers, or raises an error of gateflow that is one line.

Each argument of each function is replaced in turn by each of the odd values; warnings are errors.
"""

import datetime
import decimal
import fractions
from functools import partial

import numpy as np
import pytest
import torch

import gateflow
import gateflow.nn
from gateflow.descents.simulation import predict
from gateflow.errors import GateflowError
from gateflow.flows import enclose, flow
from gateflow.flows.plane import NoisyProblem, RefineProblem, SharedProblem, portrait
from gateflow.losses import loss
from gateflow.training.tasks.adding import Adding


class Awkward:
    """Answers nothing that it is asked."""

    def __repr__(self):
        raise RuntimeError("no")

    def __array__(self, *_, **__):
        raise RuntimeError("no")

    def __len__(self):
        raise RuntimeError("no")


ODD = {
    "nothing": None,
    "an empty text": "",
    "a text": "qwxyz",
    "a lone surrogate": "\ud800",
    "a NUL": "a\0b",
    "bytes": b"fast",
    "an object": Awkward(),
    "a truth": True,
    "nan": float("nan"),
    "inf": float("inf"),
    "minus one": -1,
    "zero": 0,
    "a half": 0.5,
    "a huge whole number": 10**400,
    "a number too long to print": 10**5000,
    "a complex number": 3 + 1j,
    "a fraction": fractions.Fraction(10**400, 3),
    "a signalling nan": decimal.Decimal("sNaN"),
    "a date": datetime.date(2020, 1, 1),
    "a NumPy date": np.datetime64("2020-01-01"),
    "a time span": np.timedelta64(3, "D"),
    "an empty list": [],
    "a ragged list": [[1], [1, 2]],
    "a list of texts": ["a", "b"],
    "a list of nothing": [None],
    "a mapping": {"a": 1},
    "a set": {1, 2},
    "a function": len,
    "an empty array": np.array([]),
    "five numbers": np.linspace(1, 2, 5),
    "masked numbers": np.ma.array([1.0, 2.0], mask=[False, True]),
    "records": np.zeros(2, dtype=[("a", float)]),
    "a tensor that requires grad": torch.tensor(2.0, requires_grad=True),
    "a tensor without numbers": torch.zeros(2, device="meta"),
    "a number past float64": np.longdouble("1e4000"),
}

PROBLEM = gateflow.LearningProblem("sigmoid", horizon=10, gap=0.01)
MANY = gateflow.LearningProblem("sigmoid", horizon=[1.0, 10.0], gap=0.01)
FAST = gateflow.gate("fast")
PATH = gateflow.flow(PROBLEM, 0.0)
ADVICE = {"gates": ["sigmoid"], "lr": 1.0, "horizon": 10.0, "start": 10.0}
LSTM = gateflow.nn.LSTM

CALLS = {
    "gate": (gateflow.gate, {"name": "fast", "alpha": 2}),
    "Gate": (gateflow.Gate, {"phi": "sigmoid(k*z)", "name": "mine", "parameters": {"k": 1}, "reference": "here"}),
    "Gate.profile": (gateflow.Gate, {"profile": "z", "inverse": "u"}),
    "Gate.complement": (gateflow.Gate, {"complement": "sigmoid(-z)"}),
    **{f"gate.{name}": (getattr(FAST, name), {"z": 0.5}) for name in ("phi", "phi_c", "log_phi", "u", "dphi", "d2phi")},
    "gate.inverse": (FAST.inverse, {"p": 0.5}),
    "gate.inverse_c": (FAST.inverse_c, {"q": 0.5}),
    "parse": (gateflow.parse, {"text": "a*z", "variables": ("z",), "parameters": {"a": 1}}),
    "unparse": (gateflow.unparse, {"expr": gateflow.parse("z")}),
    "Target": (gateflow.Target, {"gap": 0.1}),
    "LearningProblem": (
        gateflow.LearningProblem,
        {"gate": "sigmoid", "horizon": 10, "gap": [0.1, 0.2], "scale": 1.0, "loss": "absolute"},
    ),
    "LearningProblem.timescale": (gateflow.LearningProblem, {"gate": "sigmoid", "horizon": 10, "timescale": 3.0}),
    "LearningProblem.log_gap": (gateflow.LearningProblem, {"gate": "sigmoid", "horizon": 10, "log_gap": -3.0}),
    "LearningProblem.target": (gateflow.LearningProblem, {"gate": "sigmoid", "horizon": 10, "target": 0.9}),
    **{f"problem.{name}": (getattr(MANY, name), {"z": 0.5}) for name in ("loss_at", "grad", "side", "total_decay")},
    "loss": (loss, {"text": "exp(-s)"}),
    "hitting_time": (
        gateflow.hitting_time,
        {"problem": MANY, "z0": 0.0, "tolerance": 0.1, "tau_max": 1e9, "backend": "numpy"},
    ),
    "flow": (
        gateflow.flow,
        {"problem": PROBLEM, "z0": 0.0, "tau_max": 10.0, "method": "exact", "rtol": 1e-6, "atol": 1e-9},
    ),
    "trajectory.at": (PATH.at, {"tau": 1.0}),
    "flows": (flow, {"problem": MANY, "z0": 0.0}),
    "descent": (
        gateflow.descent,
        {"problem": MANY, "z0": 0.0, "optimizer": "adam", "lr": 0.1, "steps": 5, "dtype": "float64", "beta1": 0.9},
    ),
    "predict": (predict, {"problem": MANY, "z0": 0.0, "optimizer": "sgd", "lr": 0.1, "dtype": "float32"}),
    "recommend": (gateflow.recommend, {"timescale": 100.0, "optimizer": "sgd", "dtype": "float32", **ADVICE}),
    "step_size": (
        gateflow.step_size,
        {"problem": MANY, "z0": 0.0, "tolerance": 0.1, "optimizer": "sgd", "most": 100},
    ),
    "crossover": (
        gateflow.crossover,
        {"phi": "fast", "psi": "sigmoid", "problem": PROBLEM, "z0": 0.0, "tolerance": 0.1, "optimizer": "sgd",
         "seconds": 0.1, "names": ("a", "b"), "known": gateflow.order("fast", "sigmoid")},
    ),
    "fit": (partial(gateflow.fit, objective=lambda gate: 1.0), {"text": "sigmoid(k*z)", "within": (0.5, 2.0)}),
    "sensitivities": (gateflow.sensitivities, {"problem": MANY, "z0": 0.0}),
    "enclose": (enclose, {"problem": PROBLEM, "z0": 0, "digits": 5}),
    "membership": (gateflow.membership, {"gate": "sigmoid", "seconds": 5.0}),
    "order": (gateflow.order, {"phi": "sigmoid", "psi": "fast", "seconds": 5.0}),
    "rank": (gateflow.rank, {"gates": ["sigmoid", "fast"], "seconds": 5.0}),
        "saturation_order": (gateflow.saturation_order, {"gate": "sigmoid", "seconds": 5.0}),
    "rate": (gateflow.rate, {"gate": "sigmoid", "tail": "right", "seconds": 5.0}),
    "verify": (gateflow.verify, {"source": {"a": 1}, "seconds": 5.0}),
    "compare": (
        gateflow.compare,
        {"gates": ["fast", "sigmoid"], "horizon": 1.0, "gaps": [0.1], "z0": 0.0, "scale": 1.0,
         "names": ["a", "b"], "loss": "absolute"},
    ),
    "sweep": (
        gateflow.sweep,
        {"gates": ["sigmoid"], "horizon": [1.0, 2.0], "gap": [0.1], "z0": 0.0, "scale": 1.0,
         "quantity": "hitting_time", "chunk": 4},
    ),
    "figures": (gateflow.figures, {"names": "qwxyz", "formats": "svg", "results": "nowhere"}),
    "RefineProblem": (RefineProblem, {"horizon": 10, "gap": 0.1, "scale": 1.0}),
    "SharedProblem": (SharedProblem, {"gate": "sigmoid", "horizon": 10, "gap": 0.1, "inputs": [0.0, 1.0]}),
    "NoisyProblem": (NoisyProblem, {"horizon": 10, "gap": 0.1, "alpha": 1.1, "amplitude": 0.1}),
    "portrait": (
        portrait,
        {"problem": RefineProblem(horizon=1, gap=0.1), "first": (-1, 1), "second": (-1, 1), "count": 3},
    ),
    "gate_function": (gateflow.nn.gate_function, {"gate": "fast"}),
    "LSTM": (
        LSTM,
        {"input_size": 2, "hidden_size": 3, "num_layers": 2, "dropout": 0.0, "forget_gate": "fast", "tied": False},
    ),
    "GRU": (gateflow.nn.GRU, {"input_size": 2, "hidden_size": 3, "update_gate": "fast"}),
    "Settings": (
        gateflow.training.Settings,
        {"task": "adding", "cell": "lstm", "forget_gate": "fast", "init": "chrono", "hidden": 4, "lr": 0.1, "steps": 5},
    ),
    "Adding": (Adding, {"horizon": 10, "held_out": 5}),
}  # fmt: skip

SLOW = {("recommend", "gates", "nothing"), ("figures", "names", "nothing")}
"""Fine, but a matter of minutes."""


def one_line(call, arguments):
    """Nothing where the call answers; else what it raised, which must be ours and one line."""
    try:
        call(**arguments)
    except GateflowError as problem:
        message = str(problem)
    else:
        return
    assert message.strip(), "an empty message"
    assert "\n" not in message, message


@pytest.mark.parametrize("name", CALLS)
def test_an_odd_argument_is_an_error_of_one_line(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    call, good = CALLS[name]
    failures = []
    for argument in good:
        for odd, value in ODD.items():
            if (name, argument, odd) in SLOW:
                continue
            try:
                one_line(call, {**good, argument: value})
            except BaseException as problem:
                failures.append(f"{argument} = {odd}: {type(problem).__name__}: {str(problem)[:90]}")
    assert failures == [], "\n" + "\n".join(failures)
    assert not list(tmp_path.iterdir()), "something was written"
