"""JANET as its authors train it: one or two layers of 128 units, output keep .9, weight decay 1e-5, batch 200."""

from gateflow.study.experiments._published import JANET
from gateflow.study.plan import Plan

IMAGES = {"batch": 200, "weight_decay": 1e-5, "steps": 27_500}
SYNTHETIC = {"batch": 50, "weight_decay": 0.0, "steps": 60_000}

EXPERIMENT = Plan(
    base={
        "cell": "janet(beta=1.0)",
        "forget_gate": "sigmoid",
        "hidden": 128,
        "dropout": 0.1,
        "optimizer": "adam",
        "lr": 1e-3,
        "clip": 5.0,
    },
    arms={
        "janet, smnist": {**IMAGES, "task": "smnist", "layers": 2, "init": "chrono(horizon=785)"},
        "janet, pmnist": {**IMAGES, "task": "pmnist", "layers": 1, "init": "chrono(horizon=785)"},
        "janet, adding": {**SYNTHETIC, "task": "adding(horizon=500)", "layers": 1, "init": "chrono(horizon=501)"},
        "janet, copying": {**SYNTHETIC, "task": "copying(horizon=500)", "layers": 1, "init": "chrono(horizon=521)"},
    },
    seeds=10,
    reduced={"hidden": 16, "layers": 1, "steps": 40, "batch": 32, "evaluate_every": 20},
    reduced_arms={
        "janet, smnist": {"task": "smnist(per_step=28, valid=1000)", "init": "chrono"},
        "janet, adding": {"task": "adding(horizon=20, held_out=100)", "init": "chrono"},
    },
    source=JANET,
    sources={
        "cell": f"beta = 1: {JANET}, aux_code/rnn_cells.py:63",
        "forget_gate": f"{JANET}, aux_code/rnn_cells.py:64",
        "hidden": f"{JANET}, main.py:27",
        "layers": f"two for MNIST, one for pMNIST: {JANET}, Readme.md:42 and 45; main.py:27",
        "dropout": f"output keep .9 of every layer: {JANET}, main.py:34 and model_file.py:33",
        "optimizer": f"{JANET}, main.py:44",
        "lr": f"{JANET}, main.py:41",
        "clip": f"{JANET}, main.py:38",
        "batch": f"200: {JANET}, main.py:31; 50: add_exp.py:15, copy_exp.py:15",
        "weight_decay": f"1e-5 on images, of half the squares: {JANET}, Readme.md:42 and model_file.py:129",
        "init": f"b_f = log U(1, T_max): {JANET}, aux_code/rnn_cells.py:77; chrono(horizon=T + 1) is that",
        "steps": f"100 epochs of images: {JANET}, Readme.md:42; of adding and copying: not known, ours",
        "task": f"{JANET}, main.py:24; the lengths of adding and copying: not known, ours",
    },
    needs=("MNIST",),
)
