"""Programs of other people, fetched and run with the layer swapped in, beside PyTorch's own in the same run.

    python -m benchmarks.clients > results/clients.txt

Each is copied to a folder of its own, its data cut where they are long, and run twice: as it is, and with gateflow's
``LSTM`` and ``LSTMCell`` with the fast gate for those that its files import from ``torch.nn``. Nothing else of it is
changed, and none of it is kept. The last loss or score that it prints is told, and whether the ONNX file that it
writes runs in onnxruntime. ``--source`` is where repositories are cloned from, with {owner} and {name}, or a mirror;
``--packages`` a folder with packages that they need and gateflow does not: lightning, skorch and theirs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

SWAPPED = """
import functools
import gateflow.nn, torch.nn
LSTM, LSTMCell = (functools.partial(each, forget_gate="fast") for each in (gateflow.nn.LSTM, gateflow.nn.LSTMCell))
def __getattr__(name):
    return getattr(torch.nn, name)
"""
"""What the programs import for ``torch.nn``."""

START = "import sys; import torch; sys.path.insert(0, '')\n"

SCRIPT = "import runpy; sys.argv = {words!r}; runpy.run_path({words!r}[0], run_name='__main__')"

SNIPPET = """
import importlib, os
from torch.optim import Adam
from torch.utils.data import DataLoader, TensorDataset
nn = importlib.import_module("swapped" if os.path.exists("swapped.py") else "torch.nn")
torch.manual_seed(0)
exec(open("pytorch_lstm.py").read().replace("max_epochs=300", "max_epochs=20, accelerator='cpu'"))
print("training loss", float(trainer.callback_metrics["train_loss"]))
"""

CLASSIFIER = """
import types
for name in ("dstoolbox", "dstoolbox.transformers", "palladium", "palladium.interfaces"):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(dict.fromkeys(("Padder2d", "TextFeaturizer", "DatasetLoader"), object))
import model, numpy
from sklearn.model_selection import GridSearchCV
from skorch import NeuralNetClassifier
torch.manual_seed(0)
x = numpy.random.default_rng(0).integers(0, 20, (120, 12))
sizes = dict(module__embedding_dim=8, module__num_units=8, module__vocab_size=20)
net = NeuralNetClassifier(model.RNNClassifier, max_epochs=4, lr=0.1, verbose=0, train_split=None, **sizes)
search = GridSearchCV(net, {"module__num_layers": [1, 2]}, cv=2).fit(x, (x[:, 0] < 10).astype(numpy.int64))
print("score", search.best_score_, "training loss", search.best_estimator_.history[-1]["train_loss"])
"""


@dataclass(frozen=True)
class Client:
    """A program: where it is, what is run, what is cut beforehand, and the ONNX file that it writes."""

    name: str
    repository: str
    folder: str
    code: str
    said: str
    cut: Callable[[Path], None] = lambda place: None
    onnx: str = ""


def _cut_text(place: Path, lines: int = 200) -> None:
    folder = place / "data" / "wikitext-2"
    text = (folder / "valid.txt").read_text(encoding="utf-8").splitlines(keepends=True)
    for n, name in enumerate(("train", "valid", "test")):
        (folder / f"{name}.txt").write_text("".join(text[n * lines : (n + 1) * lines]), encoding="utf-8")


def _cut_waves(place: Path) -> None:
    subprocess.run([sys.executable, "generate_sine_wave.py"], cwd=place, check=True)
    torch.save(torch.load(place / "traindata.pt", weights_only=False)[:13, :60], place / "traindata.pt")


CLIENTS = (
    Client(
        "word_language_model",
        "pytorch/examples",
        "word_language_model",
        SCRIPT.format(words=["main.py", "--epochs", "1", "--nhid", "16", "--emsize", "16", "--onnx-export", "m.onnx"]),
        "600 lines of its text, 16 units; trains, saves and loads the whole model with weights_only, exports to ONNX",
        _cut_text,
        "m.onnx",
    ),
    Client(
        "time_sequence_prediction",
        "pytorch/examples",
        "time_sequence_prediction",
        SCRIPT.format(words=["train.py", "--steps", "1"]),
        "13 of its waves, 60 steps; two cells, LBFGS, 1,000 steps of forecast",
        _cut_waves,
    ),
    Client(
        "BiLSTM-CRF",
        "jidasheng/bi-lstm-crf",
        "",
        "sys.argv = ['train', 'bi_lstm_crf/app/sample_corpus', '--num_epoch', '3']\n"
        "from bi_lstm_crf.app.train import main; main()",
        "its sample corpus; two directions, packed sequences",
    ),
    Client(
        "Lightning",
        "navneetkumaryadav207001/quickml",
        "models",
        SNIPPET,
        "its script for a notebook, with the imports that it lacks, 20 epochs of its 300",
    ),
    Client(
        "skorch",
        "skorch-dev/skorch",
        "examples/rnn_classifer",
        CLASSIFIER,
        "its classifier of sequences on data of ours (its own are fetched), GridSearchCV over layers",
    ),
)


def fetched(client: Client, source: str, to: Path, place: Path) -> str:
    """Copy the program's folder to ``place``; the commit that it is of. Files that a mirror lacks are left out."""
    owner, name = client.repository.split("/")
    found = Path(source.format(owner=owner, name=name))
    if not found.is_dir():
        found = to / name
        if not found.exists():
            words = [
                "git",
                "clone",
                "--quiet",
                "--bare",
                "--depth",
                "1",
                source.format(owner=owner, name=name),
                str(found),
            ]
            subprocess.run(words, check=True, capture_output=True)

    def git(*words: str) -> bytes | None:
        done = subprocess.run(["git", "--git-dir", str(found), *words], capture_output=True, check=False)
        return None if done.returncode else done.stdout

    listed = (git("ls-tree", "-r", "-z", "--name-only", "HEAD", client.folder or ".") or b"").decode().split("\0")
    for path in filter(None, listed):
        if (content := git("cat-file", "blob", f"HEAD:{path}")) is not None:
            file = place / Path(path).relative_to(client.folder)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    return (git("rev-parse", "HEAD") or b"").decode().strip()


def run(client: Client, place: Path, swap: bool, packages: str) -> tuple[bool, str]:
    """Whether the program ended well, and the last line of its output that tells a loss or score, or of its error."""
    root = str(Path(__file__).resolve().parents[1])
    paths = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", ""), packages]))
    environment = {**os.environ, "PYTHONPATH": paths, "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD": ""}
    if client.name == "time_sequence_prediction":  # its own data are a pickled array, which PyTorch 2.6 on refuses
        environment["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    if swap:
        _swap(client, place)
    done = subprocess.run(
        [sys.executable, "-c", START + client.code],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=3000,
    )
    lines = [line.strip(" |") for line in done.stdout.splitlines() if line.strip(" =|-")]
    if done.returncode:
        return False, (done.stderr.strip().splitlines() or ["nothing said"])[-1][:200]
    telling = [line for line in lines if "loss" in line or "score" in line] or lines or ["nothing said"]
    return True, telling[-1]


def _swap(client: Client, place: Path) -> None:
    """Let the program's own files import our module for ``torch.nn``."""
    (place / "swapped.py").write_text(SWAPPED)
    count = 0
    for file in place.rglob("*.py"):
        text = file.read_text(encoding="utf-8")
        found = text.replace("import torch.nn as nn", "import swapped as nn").replace(
            "from torch import nn", "import swapped as nn"
        )
        count += found != text or "swapped" in client.code
        file.write_text(found, encoding="utf-8")
    assert count, "nothing was swapped"


def runs_in_onnx(file: Path) -> bool:
    """Whether onnxruntime runs a file on zeros, and gives numbers."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file))
    kinds = {"tensor(int64)": np.int64, "tensor(float)": np.float32}
    given = {each.name: np.zeros(each.shape, kinds[each.type]) for each in session.get_inputs()}
    return all(np.isfinite(found).all() for found in session.run(None, given))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", default="https://github.com/{owner}/{name}")
    parser.add_argument("--packages", default="")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    print(f"PyTorch {torch.__version__}; with gateflow: its LSTM and LSTMCell with the fast gate for those of torch.nn")
    with tempfile.TemporaryDirectory() as folder:
        for client in CLIENTS:
            if options.only not in client.name:
                continue
            found = Path(folder) / client.name
            commit = fetched(client, options.source, Path(folder), found)
            print(f"\n{client.name}: {client.repository} {commit}\n  {client.said}")
            for swap in (False, True):
                place = Path(folder) / f"{client.name}-{swap}"
                shutil.copytree(found, place)
                client.cut(place)
                well, said = run(client, place, swap, options.packages)
                outcome = "works" if well else "fails"
                if well and client.onnx:
                    outcome += (
                        ", and its ONNX file runs" if runs_in_onnx(place / client.onnx) else ", its ONNX file not"
                    )
                print(f"  {'with gateflow' if swap else 'as it is':14} {outcome}: {said}", flush=True)


if __name__ == "__main__":
    main()
