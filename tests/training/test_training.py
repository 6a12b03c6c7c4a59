"""The loop against loops written out by hand with PyTorch's own layers; what it records; how it ends."""

import math
import sys
from types import SimpleNamespace

import pytest
import torch
from torch.nn.functional import mse_loss

from gateflow.errors import InvalidArgument
from gateflow.nn import LSTM
from gateflow.training import TASKS, Settings, loop, train
from gateflow.training.folder import RunMemory
from gateflow.training.loop import _is_better
from gateflow.training.methods import METHODS
from gateflow.training.network import Network, build
from gateflow.training.settings import make_task

TINY = {"hidden": 5, "batch": 8, "steps": 12, "evaluate_every": 4, "log_every": 1}
ADDING = "adding(horizon=6, held_out=20)"


def lines(result, kind):
    return [line for line in result.metrics if line["kind"] == kind]


def curve(result, name="loss", kind="train"):
    return [line[name] for line in lines(result, kind)]


def by_hand(settings, steps, *, accumulate=1, rate=lambda step: 1.0):
    """Losses and end weights of the plain loop: torch.nn.LSTM, Adam, clipping."""
    task = make_task(settings.task)
    torch.manual_seed(settings.seed)
    start = build(settings, task)
    layer = torch.nn.LSTM(task.input_size, settings.hidden, settings.layers, batch_first=True, dtype=torch.float64)
    layer.load_state_dict(start.cell.state_dict())
    readout = torch.nn.Linear(settings.hidden, 1, dtype=torch.float64)
    readout.load_state_dict(start.readout.state_dict())
    weights = [*layer.parameters(), *readout.parameters()]
    adam = torch.optim.Adam(weights, lr=settings.lr)
    losses = []
    for step in range(steps):
        adam.param_groups[0]["lr"] = settings.lr * rate(step)
        adam.zero_grad()
        total = 0.0
        for number in range(step * accumulate, (step + 1) * accumulate):
            batch = task.batch("train", number, settings.batch, settings.seed)
            output, _ = layer(batch.inputs.double())
            loss = mse_loss(readout(output[:, -1]), batch.targets.double()) / accumulate
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(weights, settings.clip)
        adam.step()
        losses.append(total)
    return losses, weights


def sigmoids(**more):
    told = {"task": ADDING, "forget_gate": "sigmoid", "init": "none", "precision": "float64", "device": "cpu"}
    return Settings.of({**told, **TINY, **more})


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.sampled(3)
def test_it_is_the_plain_loop(accumulate, layers):
    settings = sigmoids(accumulate=accumulate, layers=layers, clip=0.5, evaluate_every=12)
    result = train(settings)
    losses, weights = by_hand(settings, 12, accumulate=accumulate)
    assert curve(result) == pytest.approx(losses, rel=1e-12)
    assert result.best_step == 12
    for mine, theirs in zip(result.network.parameters(), weights, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)


def test_two_half_batches_are_one():
    whole = train(sigmoids(batch=8, evaluate_every=12))
    halves = train(sigmoids(batch=4, accumulate=2, evaluate_every=12))
    assert curve(halves) == pytest.approx(curve(whole), rel=1e-12)


def test_the_cosine_is_a_cosine():
    settings = sigmoids(schedule="cosine")
    result = train(settings)
    rate = lambda step: (1 + math.cos(math.pi * step / 12)) / 2  # noqa: E731
    assert curve(result) == pytest.approx(by_hand(settings, 12, rate=rate)[0], rel=1e-12)
    assert curve(result, "lr") == pytest.approx([settings.lr * rate(step + 1) for step in range(12)], abs=1e-15)


@pytest.mark.parametrize("schedule", ["step", "exponential", "one-cycle", "linear", "plateau", "step(step_size=2)"])
@pytest.mark.sampled(2)
def test_schedules_by_name(schedule):
    rates = curve(train(ADDING, schedule=schedule, **TINY), "lr")
    assert len(rates) == 12
    assert all(rate > 0 for rate in rates)


@pytest.mark.parametrize("optimizer", ["adamw", "rmsprop", "sgd(momentum=0.9, nesterov=true)", "adagrad", "nadam"])
@pytest.mark.sampled(2)
def test_optimisers_by_name(optimizer):
    losses = curve(train(ADDING, optimizer=optimizer, lr=1e-2, **TINY), kind="valid")
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        ({"optimizer": "adm"}, "unknown optimizer 'adm'; did you mean 'adam'?"),
        ({"optimizer": "sgd(speed=1)"}, "unknown option of the optimizer sgd 'speed'"),
        ({"optimizer": "sgd(momentum=-1)"}, "sgd: Invalid momentum value"),
        ({"optimizer": "lbfgs"}, "unknown optimizer 'lbfgs'"),
        ({"optimizer": "adam(betas=[0.9])"}, r"betas of the optimizer adam takes 2 numbers, as in \[0.9, 0.999\]"),
        ({"schedule": "cosine(T_max=0)"}, "T_max of the schedule cosine must be at least 1; got 0"),
        ({"schedule": "step(step_size=2.5)"}, "step_size of the schedule step takes a whole number"),
        ({"schedule": 'exponential(gamma="x")'}, "gamma of the schedule exponential takes a number"),
        ({"schedule": "one-cycle(total_steps=3)"}, "ends at total_steps, before the run's 12 steps"),
        ({"schedule": "cosine(last_epoch=3)"}, "unknown option of the schedule cosine 'last_epoch'"),
        ({"threads": 10**5}, "threads must be at most 1024"),
        ({"batch": 10**9}, "batch must be at most 16777216"),
        ({"hidden": 2**40}, "hidden_size must be at most 16777216; got 1099511627776"),
        ({"schedule": "cosin"}, "unknown schedule 'cosin'; did you mean 'cosine'?"),
        ({"cell": "nru", "forget_gate": "fast"}, "the cell nru has no forget gate to choose"),
        ({"cell": "nru", "init": "chrono"}, "NRU has no forget gate to initialise"),
        ({"cell": "lstm(peephole=true)"}, "unknown option of the cell lstm 'peephole'"),
        ({"cell": "lstm(hidden_size=3)"}, "unknown option of the cell lstm 'hidden_size'"),
        ({"forget_gate": "sigmiod"}, "sigmoid"),
        ({"tie_embedding": True}, "tie_embedding needs a task that reads and writes the same tokens"),
        ({"device": "gpu9"}, "unknown device 'gpu9'"),
        ({"device": "meta"}, "there is no meta on this machine"),
        ({"backend": "cuda9"}, "unknown backend 'cuda9'"),
        ({"data_dir": "here"}, "the task adding looks for no files"),
    ],
)
def test_what_is_wrong_is_said_before_the_first_step(chosen, said):
    with pytest.raises(Exception, match=said) as found:
        train(ADDING, **{**TINY, **chosen})
    assert getattr(found.value, "exit_code", None) == 2


# --- every method of the table ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.sampled(4)
def test_every_method_descends(method):
    small = {"hidden": 8, "batch": 16, "lr": 0.02, "steps": 20, "evaluate_every": 5}
    if method == "nru":
        small["cell"] = "nru(memory_size=16, heads=4)"
    if method == "power-law":  # its learning rate is for the cross entropy of AWD-LSTM
        small["lr"] = 0.1
    result = train("adding(horizon=6, held_out=64)", method=method, **small)
    losses = curve(result, kind="valid")
    assert all(map(math.isfinite, losses))
    assert losses[-1] < losses[0]
    assert bool(lines(result, "gates")) == (method != "nru")


def test_the_power_law_holds_its_time_scales():
    result = train(ADDING, method="power-law", **{**TINY, "lr": 0.1, "hidden": 4, "evaluate_every": 12})
    cell = result.network.cell
    assert cell.num_layers == 3
    for layer, expected in ((0, [3, 3, 4, 4]), (1, None)):
        bias = getattr(cell, f"bias_ih_l{layer}")
        assert not bias.requires_grad
        if expected:
            f = torch.sigmoid(bias[cell.rows("forget")].double())
            assert (-1 / f.log()).tolist() == pytest.approx(expected, rel=1e-5)
    assert cell.bias_ih_l2.requires_grad


# --- carried states --------------------------------------------------------------------------------------------------


def test_carried_states_are_back_propagation_cut_at_the_batches(tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 40)
    task = TASKS["characters"](text=str(text), window=7)
    told = {"forget_gate": "sigmoid", "init": "none", "precision": "float64", "batch": 4, "hidden": 5, "steps": 4}
    settings = Settings.of({"task": "characters", **told, "log_every": 1, "embedding": 3, "device": "cpu"}, task)
    result = train(task, **{k: v for k, v in settings.as_dict().items() if k != "task"})

    torch.manual_seed(settings.seed)
    start = build(settings, task)
    layer = torch.nn.LSTM(3, 5, batch_first=True, dtype=torch.float64)
    layer.load_state_dict(start.cell.state_dict())
    weights = [start.embedding.weight, *layer.parameters(), *start.readout.parameters()]
    optimizer = torch.optim.Adam(weights, lr=settings.lr)
    state, losses = None, []
    for number in range(4):
        batch = task.batch("train", number, 4, settings.seed)
        output, state = layer(start.embedding(batch.inputs), state)
        state = tuple(part.detach() for part in state)
        loss = task.loss(start.readout(output), batch)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, settings.clip)
        optimizer.step()
        losses.append(loss.item())
    assert curve(result) == pytest.approx(losses, rel=1e-10)


def test_one_matrix_reads_and_writes():
    network = Network(LSTM(6, 6, batch_first=True), 9, tokens=9, every_step=True, tied=True)
    assert network.readout.weight is network.embedding.weight
    assert network(torch.zeros(2, 3, dtype=torch.int64))[0].shape == (2, 3, 9)


def test_the_answer_follows_the_last_real_step():
    network = Network(LSTM(2, 4, batch_first=True), 1)
    long = torch.randn(2, 7, 2)
    answers, _ = network(long, None, torch.tensor([7, 3]))
    torch.testing.assert_close(answers[1:], network(long[1:, :3])[0])


# --- how it ends -----------------------------------------------------------------------------------------------------


def test_the_best_weights_are_kept_and_tested():
    result = train(ADDING, lr=0.3, optimizer="sgd", **{**TINY, "steps": 40, "evaluate_every": 2})
    losses = {line["step"]: line["loss"] for line in lines(result, "valid")}
    assert result.best_step == min(losses, key=losses.get)
    assert result.valid["loss"] == min(losses.values())
    task, total = make_task(ADDING), []
    for number in range(3):
        batch = task.batch("test", number, 8, 0)
        total += (result.network.eval()(batch.inputs)[0] - batch.targets).square().flatten().tolist()
    assert result.test["loss"] == pytest.approx(sum(total) / len(total), rel=1e-5)


def test_patience_ends_it():
    result = train(ADDING, lr=1e-30, patience=2, **TINY)  # which changes no loss
    assert (result.status, result.steps, result.best_step) == ("no better", 8, 0)


def test_a_loss_that_is_not_finite_stops_it():
    result = train(ADDING, lr=1e30, optimizer="sgd", clip=0, **{**TINY, "log_every": 1})
    assert result.status == "not finite"
    assert "is not finite at step" in result.said
    assert "forget gates: mean" in result.said
    assert all(torch.isfinite(weight).all() for weight in result.network.parameters())
    assert all(map(math.isfinite, curve(result)))


def test_a_score_that_is_no_number_is_beaten_by_any():
    assert _is_better(1.0, math.nan, "lower")
    assert not _is_better(math.nan, 1.0, "lower")
    assert _is_better(2.0, 1.0, "higher")
    assert not _is_better(2.0, 1.0, "lower")


def test_a_seed_is_a_run(tmp_path):
    first, again, other = (train(ADDING, seed=seed, dropout=0.5, layers=2, **TINY) for seed in (3, 3, 4))
    assert first.metrics == again.metrics != other.metrics


def test_the_world_is_left_as_it_was():
    before = torch.get_rng_state(), torch.get_num_threads()
    train(ADDING, deterministic=True, threads=2, **{**TINY, "steps": 1})
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.get_num_threads() == before[1]
    assert not torch.are_deterministic_algorithms_enabled()


def test_mixed_precision_stays_near():
    plain, mixed = train(ADDING, **TINY), train(ADDING, precision="bfloat16", **TINY)
    assert mixed.network.cell.weight_ih_l0.dtype is torch.float32
    assert curve(mixed) == pytest.approx(curve(plain), rel=0.05)
    assert curve(mixed) != curve(plain)


def test_a_task_without_data_for_an_evaluation_is_told(monkeypatch):
    def none(self, split, *_):
        raise IndexError(split)

    monkeypatch.setattr("gateflow.training.tasks.adding.Adding.batch", none)
    with pytest.raises(InvalidArgument, match="has no batch of 8 for 'valid'"):
        train(ADDING, **TINY)


# --- what is learned -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "accuracy"), [({"steps": 100}, 0.5), pytest.param({}, 0.95, marks=pytest.mark.slow)]
)
def test_digits_are_read(settings, accuracy):
    """The command of docs/training.md, ``gateflow train digits``; in a part of it five times as many as by chance."""
    result = train("digits", **settings)
    assert result.test["accuracy"] >= accuracy


def test_adding_is_solved():
    """A version of ``gateflow train adding --horizon 100`` that takes seconds."""
    result = train("adding(horizon=5, held_out=100)", evaluate_every=50, hidden=16, lr=2e-2, steps=500)
    assert result.solved_at is not None
    assert result.test["loss"] < 0.002


@pytest.mark.slow
def test_adding_is_solved_by_the_defaults():
    """The command of the README, ``gateflow train adding --horizon 100``."""
    result = train("adding(horizon=100)")
    assert result.steps <= 4000
    assert result.test["loss"] < 0.002


def test_tensorboard_is_told_the_same(tmp_path, monkeypatch):
    told = []

    class Writer:
        def __init__(self, folder, purge_step, filename_suffix):
            told.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            told.append((name, value, step))

        def flush(self):
            pass

        def close(self):
            told.append("closed")

    monkeypatch.setattr("gateflow.training.board.find_spec", lambda name: name == "tensorboard")
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    asked = iter(range(100))
    train(ADDING, out=tmp_path, stop=lambda: next(asked) == 5, **TINY)
    assert told[0] == (str(tmp_path / "tensorboard"), 0)
    result = train(ADDING, out=tmp_path, **TINY)
    assert (str(tmp_path / "tensorboard"), 6) in told
    assert told[-1] == "closed"
    expected = {("valid/loss", line["loss"], line["step"]) for line in lines(result, "valid")}
    assert expected <= set(told)


def test_the_batches_of_valid_are_made_once_as_far_as_there_is_room(monkeypatch):
    """The task is asked for them one by one; 24 rows in batches of 8, of which two fit."""
    settings = {"task": "adding(horizon=10, held_out=24)", "hidden": 3, "batch": 8, "device": "cpu"}
    made, task = loop.settle(settings, {}, None)
    asked = []
    whole = type(task).batch
    monkeypatch.setattr(type(task), "batch", lambda *given: asked.append(given[1:3]) or whole(*given))
    one = task.batch("valid", 0, 8, made.seed)
    monkeypatch.setattr(loop, "HELD", 2 * (one.inputs.nbytes + one.targets.nbytes))
    with loop.global_state(made):
        trainer = loop.Trainer(made, task, RunMemory(), math.inf)
        first = trainer.measure("valid")
        asked.clear()
        assert trainer.measure("valid") == first
        assert asked == [("valid", 2), ("valid", 3)]  # the third batch, and that there is no fourth
        trainer.room, trainer.held = 0, {}
        assert trainer.measure("valid") == first
