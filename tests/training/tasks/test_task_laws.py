"""What every task must do: batches that are pure functions, losses that are lowest at the truth, splits that end."""

from __future__ import annotations

import json
import pickle
from dataclasses import fields

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gateflow.errors import InvalidArgument
from gateflow.training.task import Batch, Split, Task, is_served, served
from gateflow.training.tasks import TASKS
from gateflow.training.tasks._answers import Choice
from gateflow.training.tasks._rows import Rows

SIZE = 7


def same(one: Batch, other: Batch) -> bool:
    pairs = [(getattr(one, field.name), getattr(other, field.name)) for field in fields(Batch)]
    return all(a is b is None or (a is not None and b is not None and torch.equal(a, b)) for a, b in pairs)


def answers_for(task: Task, batch: Batch) -> Tensor:
    steps = batch.inputs.shape[:2] if task.every_step else batch.inputs.shape[:1]
    return torch.randn(*steps, task.output_size, generator=torch.Generator().manual_seed(1))


def truth(task: Task, batch: Batch) -> Tensor:
    return 50.0 * one_hot(batch.targets, task.output_size) if isinstance(task, Choice) else batch.targets


def whole(task: Task, split: Split, size: int) -> list[Batch]:
    found = []
    while True:
        try:
            found.append(task.batch(split, len(found), size, 0))
        except IndexError:
            return found


def test_a_batch_is_a_function_of_seed_split_and_number(task: Task) -> None:
    first = task.batch("train", 3, SIZE, 5)
    for later in (1, 2, 0):
        task.batch("train", later, SIZE, 6)
    assert same(first, task.batch("train", 3, SIZE, 5))
    assert same(first, pickle.loads(pickle.dumps(task)).batch("train", 3, SIZE, 5))


def test_batches_of_other_numbers_seeds_and_splits_differ(task: Task) -> None:
    first = task.batch("train", 0, SIZE, 0)
    others = [("train", 1, 0), ("train", 0, 1), ("valid", 0, 0), ("test", 0, 0)]
    assert not any(same(first, task.batch(split, number, SIZE, seed)) for split, number, seed in others)
    assert not same(task.batch("valid", 0, SIZE, 0), task.batch("test", 0, SIZE, 0))


def test_a_pickled_task_leaves_its_data_behind(task: Task) -> None:
    task.batch("train", 0, SIZE, 0)
    assert len(pickle.dumps(task)) < 1000


def test_shapes_and_types(task: Task) -> None:
    for split in ("train", "valid", "test"):
        batch = task.batch(split, 0, SIZE, 0)
        rows, steps = batch.inputs.shape[:2]
        assert rows == min(SIZE, task.rows(split) or SIZE) if isinstance(task, Rows) else SIZE
        assert steps <= task.length
        if task.tokens:
            assert batch.inputs.dtype == torch.int64
            assert 0 <= int(batch.inputs.min()) <= int(batch.inputs.max()) < task.input_size
        else:
            assert batch.inputs.shape == (rows, steps, task.input_size)
            assert batch.inputs.dtype == torch.float32
            assert batch.inputs.isfinite().all()
        assert batch.targets.shape[: 1 + task.every_step] == batch.inputs.shape[: 1 + task.every_step]
        if isinstance(task, Choice):
            assert 0 <= int(batch.targets.min()) <= int(batch.targets.max()) < task.output_size
        if batch.lengths is not None:
            assert 1 <= int(batch.lengths.min()) <= int(batch.lengths.max()) == steps


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_loss_is_finite_and_has_a_gradient(task: Task, dtype: torch.dtype) -> None:
    batch = task.batch("train", 0, SIZE, 0)
    answers = answers_for(task, batch).to(dtype).requires_grad_()
    loss = task.loss(answers, batch)
    loss.backward()
    assert loss.ndim == 0
    assert loss.isfinite()
    assert loss.dtype == (dtype if dtype != torch.bfloat16 else torch.float32)
    assert answers.grad is not None
    assert answers.grad.isfinite().all()
    assert answers.grad.any()


def test_steps_under_the_mask_have_no_gradient(task: Task) -> None:
    batch = task.batch("valid", 0, 64, 0)
    if batch.mask is None:
        return
    answers = answers_for(task, batch).requires_grad_()
    task.loss(answers, batch).backward()
    assert answers.grad is not None
    assert torch.equal(answers.grad.any(-1), batch.mask)


def test_the_truth_has_the_lowest_loss(task: Task) -> None:
    batch = task.batch("train", 0, SIZE, 0)
    right = truth(task, batch).double()
    assert 0 <= float(task.loss(right, batch)) < 1e-12
    assert float(task.loss(right + 10 * answers_for(task, batch), batch)) > float(task.loss(right, batch))
    measured = {name: total / count for name, (total, count) in task.measures(right, batch).items()}
    assert task.solved(task.summarise(measured)) is not False
    if "accuracy" in measured:
        assert measured["accuracy"] == 1


def test_measures_of_batches_add_up_to_those_of_the_split(task: Task) -> None:
    sums: dict[str, list[float]] = {}
    scalar = 0.0
    for batch in whole(task, "valid", SIZE):
        answers = answers_for(task, batch)
        for name, (total, count) in task.measures(answers, batch).items():
            kept = sums.setdefault(name, [0.0, 0.0])
            kept[0], kept[1] = kept[0] + total, kept[1] + count
        scalar += float(task.loss(answers, batch)) * task.measures(answers, batch)["loss"][1]
    means = task.summarise({name: total / count for name, (total, count) in sums.items()})
    assert means["loss"] == pytest.approx(scalar / sums["loss"][1], rel=1e-6)
    assert task.score in means


def test_held_out_splits_end_where_they_say(task: Task) -> None:
    for split in ("valid", "test"):
        batches = whole(task, split, SIZE)
        assert len(batches) == task.batches(split, SIZE)
        with pytest.raises(IndexError):
            task.batch(split, len(batches) + 10, SIZE, 0)


def test_held_out_rows_come_once_whatever_the_size_of_batches(task: Task) -> None:
    if not isinstance(task, Rows):
        return
    for split in ("valid", "test"):
        sevens, fives = whole(task, split, 7), whole(task, split, 5)
        assert sum(len(batch.targets) for batch in sevens) == task.rows(split)
        for part in ("inputs", "targets"):
            rows = [[row[row != 0] for batch in batches for row in getattr(batch, part)] for batches in (sevens, fives)]
            assert all(torch.equal(a, b) for a, b in zip(*rows, strict=True))  # zeros: padding


def test_training_rows_do_not_depend_on_the_size_of_batches(task: Task) -> None:
    if not isinstance(task, Rows):
        return
    small = torch.cat([task.batch("train", number, 5, 0).targets for number in range(6)])
    assert torch.equal(small, task.batch("train", 0, 30, 0).targets)


def test_finite_training_splits_are_shuffled_each_epoch(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = task.rows("train") if isinstance(task, Rows) else None
    if rows is None:
        return
    seen: list[np.ndarray] = []
    monkeypatch.setattr(type(task), "take", lambda self, split, rows, seed: seen.append(rows))
    for number in range(-(-3 * rows // SIZE)):
        task.batch("train", number, SIZE, 4)
    epochs = np.concatenate(seen)[: 3 * rows].reshape(3, rows)
    for epoch in epochs:
        assert np.array_equal(np.sort(epoch), np.arange(rows))
    assert not any(np.array_equal(epochs[a], epochs[b]) for a, b in ((0, 1), (1, 2), (0, 2)))
    assert task.batches("train", SIZE) == -(-rows // SIZE)


@pytest.mark.parametrize(
    ("split", "number", "size", "seed"),
    [("training", 0, 1, 0), ("train", -1, 1, 0), ("train", 0, 0, 0), ("train", 0, 1, -1), ("train", 0.5, 1, 0)],
)
def test_senseless_requests_are_refused_in_a_line(task: Task, split: Split, number: int, size: int, seed: int) -> None:
    with pytest.raises(InvalidArgument) as error:
        task.batch(split, number, size, seed)
    assert "\n" not in str(error.value)


def test_what_a_task_keeps_is_json_that_it_can_read_by(task: Task) -> None:
    kept = json.loads(json.dumps(served(task)))
    assert kept == served(task)
    assert is_served(kept)
    assert type(task).can_read(kept)


def test_every_task_has_a_source_and_a_summary() -> None:
    for name in TASKS:
        assert TASKS[name].source
        assert len(TASKS.summary(name)) > 20
