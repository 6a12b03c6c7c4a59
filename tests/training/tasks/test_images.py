"""Images as sequences, against the bytes of the files they come from."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from gateflow.errors import InvalidArgument
from gateflow.training.data import sets
from gateflow.training.tasks.digits import Digits
from gateflow.training.tasks.fashion import SequentialFashion
from gateflow.training.tasks.pmnist import PermutedMNIST
from gateflow.training.tasks.scifar import SequentialCIFAR
from gateflow.training.tasks.smnist import SequentialMNIST


def octets(path: Path, head: int) -> np.ndarray:
    return np.frombuffer(path.read_bytes()[head:], np.uint8)


def mnist(files: Path, **options: int) -> SequentialMNIST:
    return SequentialMNIST(data_dir=str(files), valid=10, **options)


def test_pixels_come_row_by_row_and_held_out_images_in_order(files: Path) -> None:
    raw = octets(files / "mnist" / "train-images-idx3-ubyte", 16).reshape(60, 784)
    labels = octets(files / "mnist" / "train-labels-idx1-ubyte", 8)
    batch = mnist(files).batch("valid", 1, 7, 0)
    assert torch.equal((batch.inputs[..., 0] * 255).round(), torch.tensor(raw[57:]).float())
    assert batch.targets.tolist() == labels[57:].tolist()
    assert batch.inputs.min() == 0
    assert batch.inputs.max() == 1


def test_training_never_sees_the_held_out_images(files: Path) -> None:
    task = mnist(files)
    raw = octets(files / "mnist" / "train-images-idx3-ubyte", 16).reshape(60, 784)
    seen = {row.tobytes() for row in (task.batch("train", 0, 50, 0).inputs[..., 0] * 255).round().byte().numpy()}
    assert seen == {row.tobytes() for row in raw[:50]}


def test_many_pixels_a_step_are_the_same_pixels(files: Path) -> None:
    one, rows = mnist(files).batch("test", 0, 3, 0), mnist(files, per_step=28).batch("test", 0, 3, 0)
    assert rows.inputs.shape == (3, 28, 28)
    assert torch.equal(rows.inputs.flatten(1), one.inputs.flatten(1))


def test_the_permutation_is_the_tasks_not_the_runs(files: Path) -> None:
    plain = mnist(files).batch("test", 0, 3, 0).inputs
    task = PermutedMNIST(data_dir=str(files), valid=10)
    shuffled = task.batch("test", 0, 3, 0).inputs
    assert sorted(task.reading) == list(range(784))
    assert torch.equal(shuffled, plain[:, task.reading.copy()])
    assert torch.equal(shuffled, task.batch("test", 0, 3, seed=9).inputs)
    assert not torch.equal(shuffled, mnist(files, permutation=1).batch("test", 0, 3, 0).inputs)


def test_compressed_files_are_read_alike(files: Path) -> None:
    batch = SequentialFashion(data_dir=str(files), valid=10).batch("test", 0, 25, 0)
    assert batch.inputs.shape == (25, 784, 1)
    assert torch.unique(batch.inputs).numel() == 256


@pytest.mark.parametrize("at", [0, 11, 12, 30, 59])
def test_cifar_is_planes_of_red_green_and_blue_in_five_files(files: Path, at: int) -> None:
    record = octets(files / "cifar" / f"data_batch_{at // 12 + 1}.bin", 0).reshape(-1, 3073)[at % 12]
    task = SequentialCIFAR(data_dir=str(files), valid=30)
    split, row = ("train", at) if at < 30 else ("valid", at - 30)
    batch = task.take(split, np.array([row]), 0)
    pixel = 32 * 5 + 17
    expected = [record[1 + 1024 * plane + pixel] / 127.5 - 1 for plane in range(3)]
    np.testing.assert_allclose(batch.inputs[0, pixel], expected, rtol=1e-5, atol=1e-6)
    assert batch.targets.tolist() == [record[0]]
    grey = dataclasses.replace(task, grey=True).take(split, np.array([row]), 0).inputs[0, pixel]
    np.testing.assert_allclose(grey, [0.299 * expected[0] + 0.587 * expected[1] + 0.114 * expected[2]], atol=1e-6)


def test_digits_are_those_of_scikit_learn() -> None:
    datasets = pytest.importorskip("sklearn.datasets")
    task = Digits()
    dealt = np.concatenate([task.batch(split, 0, task.rows(split), 0).inputs for split in ("train", "valid", "test")])
    images = datasets.load_digits().images
    assert sorted(map(bytes, (dealt * 16).astype(np.uint8))) == sorted(map(bytes, images.astype(np.uint8)))
    assert [task.rows(split) for split in ("train", "valid", "test")] == [1257, 180, 360]


def test_the_files_of_another_data_set_are_not_taken_for_ones_own(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = dataclasses.replace(sets.MNIST, signature=sets.digest(files / "mnist" / "t10k-labels-idx1-ubyte"))
    monkeypatch.setattr(sets, "DATA_SETS", (known, sets.FASHION))
    with pytest.raises(InvalidArgument, match="are MNIST's, not Fashion-MNIST's"):
        SequentialFashion(data_dir=str(files / "mnist"), valid=10).batch("test", 0, 1, 0)


def test_a_fingerprint_is_of_the_contents(files: Path, tmp_path: Path) -> None:
    before = mnist(files).fingerprint()
    copy = shutil.copytree(files / "mnist", tmp_path / "mnist")
    assert SequentialMNIST(data_dir=str(tmp_path)).fingerprint() == before
    content = bytearray((copy / "t10k-images-idx3-ubyte").read_bytes())
    content[-1] ^= 1
    (copy / "t10k-images-idx3-ubyte").write_bytes(content)
    assert SequentialMNIST(data_dir=str(tmp_path)).fingerprint() != before


def test_labels_must_match_the_images(files: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(files / "mnist", tmp_path / "mnist")
    labels = copy / "t10k-labels-idx1-ubyte"
    content = bytearray(labels.read_bytes())
    content[-1] = 10
    labels.write_bytes(content)
    with pytest.raises(InvalidArgument, match="label 10"):
        SequentialMNIST(data_dir=str(copy)).batch("test", 0, 1, 0)
    shutil.copy(copy / "train-labels-idx1-ubyte", labels)
    with pytest.raises(InvalidArgument, match="60 labels for 25 images"):
        SequentialMNIST(data_dir=str(copy)).batch("test", 0, 1, 0)
