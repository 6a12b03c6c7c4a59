"""Forecasts and regression from a table: splits in the order of time, windows, scales, answers in the data's units."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gateflow.errors import InvalidArgument
from gateflow.training import load, train
from gateflow.training.tasks.forecast import Forecast

COUNT = 100


def write(file: Path, head: str = "day,price,load", rows: int = COUNT) -> np.ndarray:
    """Rows with a date, n**2 and n: no two values of a column are the same, and so each says where it is from."""
    values = np.stack([np.arange(rows) ** 2.0, np.arange(rows)], axis=1)
    days = np.datetime64("2020-01-01") + np.arange(rows)
    lines = [f"{day},{price},{load}" for day, (price, load) in zip(days, values.tolist(), strict=True)]
    file.write_text("\n".join([head, *lines]) + "\n")
    return values


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write(tmp_path / "days.csv")
    return tmp_path / "days.csv"


def in_units(task: Forecast, batch: Any) -> tuple[np.ndarray, np.ndarray]:
    """Windows, (batch, window, columns), and targets, (batch, columns), as they stand in the file."""
    facts = task.prepares()
    inputs = batch.inputs.double().numpy() * facts["deviation"] + facts["mean"]
    targets = batch.targets.double().numpy() * facts["target_deviation"] + facts["target_mean"]
    return inputs, targets


@pytest.mark.parametrize(("ahead", "window"), [(1, 5), (3, 1), (7, 10)])
def test_what_is_forecast_comes_after_all_that_was_learned_from(file: Path, ahead: int, window: int) -> None:
    task = Forecast(data=str(file), time="day", ahead=ahead, window=window, valid=0.2)
    when: dict[str, list[int]] = {}
    for split, count in (("train", 70 - window - ahead + 1), ("valid", 20), ("test", 10)):
        assert task.rows(split) == count
        inputs, targets = in_units(task, task.batch(split, 0, count, 0))
        rows = targets[:, 0].round().astype(int)  # the last column is the number of the row
        when[split] = sorted(rows.tolist())
        np.testing.assert_allclose(inputs[:, -1, 1], rows - ahead, atol=1e-3)
        np.testing.assert_allclose(np.diff(inputs[:, :, 1], axis=1), 1, atol=1e-3)
        np.testing.assert_allclose(inputs[:, :, 0], inputs[:, :, 1] ** 2, rtol=1e-4, atol=1e-2)
    assert [*when["train"], *when["valid"], *when["test"]] == list(range(window - 1 + ahead, COUNT))


def test_scales_are_of_the_training_part_alone(file: Path) -> None:
    facts = Forecast(data=str(file), time="day").prepares()
    known = np.arange(80.0)
    np.testing.assert_allclose(facts["mean"], [(known**2).mean(), known.mean()])
    np.testing.assert_allclose(facts["deviation"], [(known**2).std(), known.std()])
    np.testing.assert_allclose(facts["target_mean"], [known.mean()])


def test_a_regression_sees_other_columns_of_the_same_row(file: Path) -> None:
    task = Forecast(data=str(file), time="day", target="price", ahead=0, window=2)
    assert (task.seen, task.targets) == (("load",), ("price",))
    inputs, targets = in_units(task, task.batch("test", 0, 10, 0))
    np.testing.assert_allclose(inputs[:, -1, 0] ** 2, targets[:, 0], rtol=1e-4)
    with pytest.raises(InvalidArgument, match="the target is no input"):
        _ = Forecast(data=str(file), time="day", target="price", inputs="price", ahead=0).seen


def test_measures_are_in_the_units_of_the_data(file: Path) -> None:
    task = Forecast(data=str(file), time="day", window=4)
    batch = task.batch("test", 0, 10, 0)
    answers = batch.targets + 2 / task.prepares()["target_deviation"][0]
    found = task.summarise({name: total / count for name, (total, count) in task.measures(answers, batch).items()})
    assert found["rmse"] == pytest.approx(2, rel=1e-5)
    assert found["mae"] == pytest.approx(2, rel=1e-5)
    assert found["rmse of last"] == pytest.approx(1, rel=1e-4)
    assert float(task.loss(answers, batch)) == pytest.approx(found["loss"], rel=1e-5)


def test_a_run_forecasts_the_rows_of_a_new_table(file: Path, tmp_path: Path) -> None:
    options: dict[str, Any] = {"hidden": 4, "steps": 3, "init": "none", "out": tmp_path / "run"}
    task = f'forecast(data="{file}", time="day", window=6, ahead=2, target="price,load")'
    result = train(task, **options)
    file.unlink()
    values = write(tmp_path / "new.csv", rows=20)
    trained = load(tmp_path / "run")
    found = trained.predict(tmp_path / "new.csv")
    assert found.classes is None
    assert (found.columns, found.answers.shape) == (("price", "load"), (15, 2))
    assert (found.names[0], found.names[-1]) == ("2020-01-06, 2 ahead", "2020-01-20, 2 ahead")
    facts = trained.facts
    window = torch.from_numpy((values[-6:] - facts["mean"]) / facts["deviation"]).float()
    assert result.network is not None
    with torch.no_grad():
        answer = result.network(window[None])[0][0].double().numpy()
    np.testing.assert_allclose(found.answers[-1], answer * facts["target_deviation"] + facts["target_mean"], rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("1,2\n3,4\n", {}, "has no heading"),
        ("a,a\n1,2\n", {}, "none twice"),
        ("a,b\n", {}, "no rows under a heading"),
        ("a,b\n1\n", {}, "line 2: 1 fields under 2 names"),
        ("a,b\n1,\n", {}, "'b' is '', no number; fill it in first"),
        ("a,b\nx,1\n", {}, "'a' is 'x', no number; name the column of times with --time"),
        ("a,b\n1,inf\n", {}, "'b' is 'inf', no number"),
        ("a,b\n1,2\n", {"time": "c"}, "no column 'c'; it has 'a, b'"),
        ("a,b\n" + "1,2\n" * 60, {"target": "c"}, "no column 'c'; it has 'a, b'"),
        ("a,b\n2020-01-02,2\n2020-01-01,2\n", {"time": "a"}, "line 3: '2020-01-01' is not after"),
        ("a,b\n9,2\n10,2\n10,2\n", {"time": "a"}, "line 4: '10' is not after '10'"),
        ("a,b\n" + "1,2\n" * 30, {}, "has 30 rows: too few for windows of 32, 1 steps ahead"),
    ],
)
def test_tables_that_are_none_are_refused(text: str, options: dict[str, Any], said: str, tmp_path: Path) -> None:
    (tmp_path / "table.csv").write_text(text)
    with pytest.raises(InvalidArgument, match=said):
        Forecast(data=str(tmp_path / "table.csv"), **options).batch("train", 0, 2, 0)


@pytest.mark.parametrize(
    ("options", "said"), [({"ahead": -1}, "ahead"), ({"window": 0}, "window"), ({"test": 0.5}, "test")]
)
def test_options_out_of_bounds_are_refused(file: Path, options: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidArgument, match=f"{said} must be"):
        Forecast(data=str(file), **options)
