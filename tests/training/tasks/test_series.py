"""LabelledSeries from every format: one content, one task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_files import write_ts, write_wav

from gateflow.errors import InvalidArgument
from gateflow.training.data.series import ts
from gateflow.training.task import Batch
from gateflow.training.tasks.series import LabelledSeries

X = np.random.default_rng(0).normal(3, 2, size=(30, 5)).astype(np.float32).round(3)
Y = np.arange(30) % 3 * 5  # classes 0, 5, 10: their names are not in the order of their numbers


def rows_of(task: LabelledSeries) -> list[tuple[int, list[float]]]:
    """All rows of all splits, in an order of their own."""
    found = []
    for split in ("train", "valid", "test"):
        batch = task.batch(split, 0, task.rows(split), 0)
        found += [(int(label), row.flatten().tolist()) for row, label in zip(batch.inputs, batch.targets, strict=True)]
    return sorted(found)


def table(path: Path, between: str = ",", label_last: bool = False, heading: str = "") -> Path:
    lines = [heading] if heading else []
    for row, label in zip(X.tolist(), Y.tolist(), strict=True):
        values = [f"{value:.3f}" for value in row]
        lines.append(between.join([*values, str(label)] if label_last else [f"{label:.7e}", *values]))
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_every_format_is_the_same_task(tmp_path: Path) -> None:
    np.savez(tmp_path / "one.npz", x=X, y=Y)
    np.savez_compressed(tmp_path / "strings.npz", X=X[:, :, None], Y=Y.astype(str))
    lines = [f"{','.join(map(str, row))}:{label}" for row, label in zip(X.tolist(), Y.tolist(), strict=True)]
    (tmp_path / "one.ts").write_text("@problemName x\n@data\n" + "\n".join(lines), encoding="utf-8")
    tasks = [
        LabelledSeries(str(tmp_path / "one.npz")),
        LabelledSeries(str(tmp_path / "strings.npz")),
        LabelledSeries(str(tmp_path / "one.ts")),
        LabelledSeries(str(table(tmp_path / "one.csv"))),
        LabelledSeries(str(table(tmp_path / "one.tsv", "\t"))),
        LabelledSeries(str(table(tmp_path / "one.txt", "  "))),
        LabelledSeries(str(table(tmp_path / "last.csv", label_last=True, heading="a,b,c,d,e,class")), label_last=True),
    ]
    for task in tasks:
        assert task.class_names == ["0", "5", "10"]
        assert [task.rows(split) for split in ("train", "valid", "test")] == [24, 3, 3]
        assert (task.input_size, task.length) == (1, 5)
        assert rows_of(task) == rows_of(tasks[0])


def test_channels_are_standardised_by_the_training_part(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.stack([X, np.full_like(X, 7)], axis=2), y=Y)
    task = LabelledSeries(str(tmp_path / "x.npz"))
    inputs = task.batch("train", 0, task.rows("train"), 0).inputs.double()
    assert inputs[..., 0].mean() == pytest.approx(0, abs=1e-6)
    assert inputs[..., 0].var(correction=0) == pytest.approx(1, rel=1e-6)
    assert (inputs[..., 1] == 0).all()
    raw = LabelledSeries(str(tmp_path / "x.npz"), standardise=False)
    assert sorted(row[::2] for _, row in rows_of(raw)) == sorted(X.tolist())


def test_parts_of_an_archive_are_kept_apart(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "x.npz",
        x_train=X[:20],
        y_train=Y[:20],
        x_valid=X[20:24],
        y_valid=Y[20:24],
        x_test=X[24:],
        y_test=Y[24:],
    )
    task = LabelledSeries(str(tmp_path / "x.npz"), standardise=False)
    assert [task.rows(split) for split in ("train", "valid", "test")] == [20, 4, 6]
    assert task.batch("valid", 0, 9, 0).inputs[..., 0].tolist() == X[20:24].tolist()
    assert task.batch("test", 0, 9, 0).inputs[..., 0].tolist() == X[24:].tolist()


def test_a_training_file_finds_its_test_file(files: Path) -> None:
    task = LabelledSeries(str(files / "tiny_TRAIN.ts"))
    assert [task.rows(split) for split in ("train", "valid", "test")] == [36, 4, 20]
    assert task.input_size == 2
    other = LabelledSeries(str(files / "tiny_TRAIN.ts"), test_data=str(files / "tiny_TRAIN.ts"))
    assert other.rows("test") == 40


def test_short_series_are_padded_and_measured(files: Path) -> None:
    task = LabelledSeries(str(files / "tiny_TRAIN.ts"), standardise=False)
    raw = ts(files / "tiny_TEST.ts")
    batch = task.batch("test", 0, 20, 0)
    assert batch.lengths is not None
    for row, (padded, length) in enumerate(zip(batch.inputs, batch.lengths.tolist(), strict=True)):
        assert np.array_equal(padded[:length], raw[row])
        assert not padded[length:].any()
    assert task.length == 8


def test_pooling_averages_and_cutting_cuts(files: Path) -> None:
    raw = ts(files / "tiny_TEST.ts")
    task = LabelledSeries(str(files / "tiny_TRAIN.ts"), standardise=False, pool=2, longest=3)
    batch = task.batch("test", 0, 20, 0)
    lengths = [batch.inputs.shape[1]] * 20 if batch.lengths is None else batch.lengths.tolist()
    for row, length in enumerate(lengths):
        expected = [(raw[row][2 * k] + raw[row][2 * k + 1]) / 2 for k in range(min(3, len(raw[row]) // 2))]
        np.testing.assert_allclose(batch.inputs[row, :length], expected, rtol=1e-6)
    coarse = LabelledSeries(str(files / "tiny_TRAIN.ts"), standardise=False, pool=100).batch("test", 0, 20, 0)
    assert coarse.inputs.shape == (20, 1, 2)
    np.testing.assert_allclose(coarse.inputs[3, 0], raw[3].mean(0), rtol=1e-5)


def test_classes_can_be_chosen(files: Path) -> None:
    task = LabelledSeries(str(files / "tiny_TRAIN.ts"), classes="a, c")
    assert task.class_names == ["a", "c"]
    assert task.output_size == 2
    with pytest.raises(InvalidArgument, match="no series"):
        LabelledSeries(str(files / "tiny_TRAIN.ts"), classes="z").batch("train", 0, 1, 0)


def test_lines_that_end_in_nan_are_shorter(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").write_text("1\t1\t2\tNaN\tNaN\n2\t3\t4\t5\t6\n" * 9, encoding="utf-8")
    task = LabelledSeries(str(tmp_path / "x.tsv"), standardise=False)
    batch: Batch = task.batch("train", 0, task.rows("train"), 0)
    assert batch.lengths is not None
    assert {(int(n), tuple(row.flatten().tolist())) for n, row in zip(batch.lengths, batch.inputs, strict=True)} == {
        (2, (1, 2, 0, 0)),
        (4, (3, 4, 5, 6)),
    }


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Four words of ten recordings as in Speech Commands, each of one constant sample of its own."""
    for word_number, word in enumerate(["yes", "no", "up"]):
        for take in range(10):
            write_wav(tmp_path / word / f"{take:04x}_nohash_0.wav", np.full(90 + take, 1000 * word_number + take))
    write_wav(tmp_path / "_background_noise_" / "noise.wav", np.zeros(500))
    (tmp_path / "validation_list.txt").write_text("yes/0003_nohash_0.wav\nno/0004_nohash_0.wav\n", encoding="utf-8")
    (tmp_path / "testing_list.txt").write_text("up/0005_nohash_0.wav\nabsent/0000_nohash_0.wav\n", encoding="utf-8")
    (tmp_path / "README.md").write_text("words", encoding="utf-8")
    return tmp_path


def test_speech_commands_layout(speech: Path) -> None:
    task = LabelledSeries(str(speech))
    assert task.class_names == ["no", "up", "yes"]
    assert [task.rows(split) for split in ("train", "valid", "test")] == [27, 2, 1]
    assert (task.input_size, task.length) == (1, 100)
    test, valid = task.batch("test", 0, 5, 0), task.batch("valid", 0, 5, 0)
    assert test.targets.tolist() == [1]
    assert test.inputs.shape == (1, 95, 1)
    assert (test.inputs * 2**15 == 2005).all()
    assert valid.targets.tolist() == [0, 2]
    assert valid.lengths is not None
    assert valid.lengths.tolist() == [94, 93]
    held = {2005, 1004, 3}
    train = {int(row[0, 0] * 2**15) for row in task.batch("train", 0, 27, 0).inputs}
    assert train == {1000 * word + take for word in range(3) for take in range(10)} - held


def test_a_folder_without_lists_is_dealt_out(speech: Path) -> None:
    (speech / "validation_list.txt").unlink()
    with pytest.raises(InvalidArgument, match="both of"):
        LabelledSeries(str(speech)).batch("train", 0, 1, 0)
    (speech / "testing_list.txt").unlink()
    task = LabelledSeries(str(speech), valid=0.2, classes="yes,no", longest=40)
    assert [task.rows(split) for split in ("train", "valid", "test")] == [12, 4, 4]
    everything = [task.batch(split, 0, 20, 0) for split in ("valid", "test")] + [task.batch("train", 0, 12, 0)]
    assert len({float(row[0, 0]) for batch in everything for row in batch.inputs}) == 20
    assert all(batch.inputs.shape[1] == 40 and batch.lengths is None for batch in everything)


def test_recordings_of_one_folder_are_of_one_kind(speech: Path) -> None:
    path = speech / "up" / "0005_nohash_0.wav"
    write_wav(path, np.zeros(90), rate=200)
    with pytest.raises(InvalidArgument, match="200 samples a second where"):
        LabelledSeries(str(speech)).batch("test", 0, 1, 0)
    write_wav(path, np.zeros((90, 2)))
    with pytest.raises(InvalidArgument, match="2 channels"):
        LabelledSeries(str(speech)).batch("test", 0, 1, 0)
    write_wav(path, np.zeros(0))
    with pytest.raises(InvalidArgument, match="without samples"):
        LabelledSeries(str(speech)).batch("test", 0, 1, 0)


def test_fingerprints_tell_data_apart(files: Path, speech: Path, tmp_path: Path) -> None:
    assert (
        LabelledSeries(str(files / "tiny_TRAIN.ts")).fingerprint()
        != LabelledSeries(str(files / "tiny_TEST.ts")).fingerprint()
    )
    before = LabelledSeries(str(speech)).fingerprint()
    assert before == LabelledSeries(str(speech), longest=10).fingerprint()
    write_wav(speech / "yes" / "new.wav", np.zeros(3))
    assert before != LabelledSeries(str(speech)).fingerprint()


def test_parts_must_agree_on_channels(files: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=X, y=Y)
    with pytest.raises(InvalidArgument, match="different numbers of channels"):
        LabelledSeries(str(files / "tiny_TRAIN.ts"), test_data=str(tmp_path / "x.npz")).batch("train", 0, 1, 0)


@pytest.mark.parametrize(
    "options", [{"pool": 0}, {"longest": 0}, {"valid": 0}, {"valid": 0.5}, {"valid": float("nan")}, {"test_data": "no"}]
)
def test_bad_options_of_series(files: Path, options: dict[str, float]) -> None:
    with pytest.raises(InvalidArgument):
        LabelledSeries(str(files / "tiny_TRAIN.ts"), **options)  # type: ignore[arg-type]


def test_a_file_of_another_kind_is_refused(files: Path) -> None:
    with pytest.raises(InvalidArgument, match="none of"):
        LabelledSeries(str(files / "cifar" / "test_batch.bin")).batch("train", 0, 1, 0)


def test_series_too_few_to_deal_are_refused(tmp_path: Path) -> None:
    write_ts(tmp_path / "x.ts", 2, 0)
    with pytest.raises(InvalidArgument, match="leaves no series for the"):
        LabelledSeries(str(tmp_path / "x.ts")).batch("train", 0, 1, 0)
    assert torch.is_tensor(
        LabelledSeries(str(tmp_path / "x.ts"), test_data=str(tmp_path / "x.ts")).batch("train", 0, 1, 0).inputs
    )


def task_of(path: Path, text: str, **options: Any) -> LabelledSeries:
    path.write_text(text, encoding="utf-8")
    return LabelledSeries(str(path), **options)


@pytest.mark.parametrize(
    ("between", "label_last"), [(",", False), (",", True), (";", False), ("\t", False), (" ", False)]
)
def test_quotes_around_fields_change_nothing(between: str, label_last: bool, tmp_path: Path) -> None:
    plain = table(tmp_path / "plain.csv", between, label_last)
    lines = [between.join(f'"{field}"' for field in line.split(between)) for line in plain.read_text().splitlines()]
    heading = between.join(['"a"'] * 6)
    quoted = task_of(tmp_path / "quoted.csv", "\n".join([heading, *lines]), label_last=label_last)
    assert rows_of(quoted) == rows_of(LabelledSeries(str(plain), label_last=label_last))


def test_what_stands_between_fields_may_stand_in_quotes(tmp_path: Path) -> None:
    names = ["north, east", 'say ""go"";', "a\tb"]
    lines = [f'"{name}",{k},{k + 1}' for k in range(9) for name in names]
    task = task_of(tmp_path / "x.csv", "\n".join(lines))
    assert task.class_names == sorted(["north, east", 'say "go";', "a\tb"])


def numbers(label: Any, count: int = 40) -> str:
    return "\n".join(f"{label(row)},{row / 7:.4f},{row / 3:.4f}" for row in range(count))


NOT_CLASSES = {
    "one class": (numbers(lambda row: "yes"), {}, "has one class only, 'yes'"),
    "one class kept": (numbers(lambda row: "ab"[row % 2]), {"classes": "a"}, "has one class only, 'a'"),
    "a name for each": (numbers(lambda row: f"sample-{row}"), {}, "has 40 classes for 40 series"),
    "a number for each": (numbers(lambda row: row), {}, "has 40 classes for 40 series"),
    "a measurement": (numbers(lambda row: f"{(row % 13) / 8 + 0.0625:.4f}"), {}, "fractions among them"),
    "the wrong end": (numbers(lambda row: row % 2), {"label_last": True}, "or the last with --label-last"),
    "an open quote": ('"a,1,2\nb,1,2', {}, "line 1: a double quote is not closed"),
}


@pytest.mark.parametrize("name", NOT_CLASSES)
def test_labels_that_are_no_classes_are_refused(name: str, tmp_path: Path) -> None:
    text, options, said = NOT_CLASSES[name]
    with pytest.raises(InvalidArgument) as refused:
        _ = task_of(tmp_path / "x.csv", text, **options).parts
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_few_classes_called_by_fractions_are_classes(tmp_path: Path) -> None:
    assert task_of(tmp_path / "x.csv", numbers(lambda row: (row % 3) / 2)).class_names == ["0", "0.5", "1"]


def test_a_class_that_is_not_declared_is_refused(tmp_path: Path) -> None:
    head = "@problemName x\n@classLabel true Left 1.0 right\n@data\n"
    path = tmp_path / "x.ts"
    path.write_text(head + "1,2:Left\n1,3:1\n2,3:right\n", encoding="utf-8")
    assert ts(path).labels == ["Left", "1", "right"]
    path.write_text(head + "1,2:Left\n1,3:left\n", encoding="utf-8")
    with pytest.raises(InvalidArgument, match=r"line 5: class 'left' is not declared; @classLabel has"):
        ts(path)
