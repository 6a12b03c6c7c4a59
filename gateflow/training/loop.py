"""The training loop, to be read in one sitting, and runs that survive.

Batch n of a task is a function of the seed and of n, and all randomness comes from PyTorch's own generators; so a run
is made of what a checkpoint holds, and one that was killed goes on to the same last bit. The folder of a run::

    settings.toml            what --config reads
    metrics.jsonl            a line for every number that was recorded; no clock in it
    checkpoint.safetensors   the state of training, and .previous before it
    weights.safetensors      the best weights by the score on "valid", once the run has ended
    result.json              how it ended, the measures on "test", what made it
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gateflow.errors import InvalidArgument
from gateflow.guards.calls import name_of, with_options
from gateflow.progress import Meter
from gateflow.training import checkpoint as checkpoints
from gateflow.training import folder as folders
from gateflow.training.checkpoint import Checkpoint
from gateflow.training.folder import RunFolder, RunMemory
from gateflow.training.network import set_weights, weights_of
from gateflow.training.optimizers import make_optimizer, make_schedule
from gateflow.training.result import Measures, Result
from gateflow.training.settings import Settings, make_task
from gateflow.training.task import Batch, Split, Task, served
from gateflow.training.tasks import TASKS
from gateflow.training.timescales import few, statistics

SAVE_EVERY = 20.0
"""Seconds between checkpoints: what a kill can cost."""

HELD = 1 << 26
"""Bytes of the batches of "valid" that are made once, and not for each evaluation."""


def train(
    task: str | Task | Settings | Mapping[str, Any],
    /,
    *,
    out: str | Path | None = None,
    restart: bool = False,
    save_every: float = SAVE_EVERY,
    data_dir: str | Path | None = None,
    stop: Callable[[], bool] | None = None,
    tell: Callable[[str], None] | None = None,
    watch: Callable[[Mapping[str, Any]], None] | None = None,
    **chosen: Any,
) -> Result:
    """Train a network on a task; with ``out``, from wherever an earlier call with the same settings was left.

    Parameters
    ----------
    task : str, Task, Settings or mapping
        ``"adding(horizon=100)"``, a task of your own, or settings.
    out : path, optional
        The folder of the run. Killed at any moment, the same call goes on to the same weights, bit by bit.
    restart : bool
        Drop what the folder holds if it is a run of other settings, or damaged; a run of these settings goes on.
    save_every : float
        Seconds between checkpoints; 0 for one after every step.
    data_dir : path, optional
        Where the files of the task are; it is no setting, for it changes nothing but where they are looked for.
    stop : callable, optional
        Asked before every step whether to stop and leave a run that can go on.
    tell : callable, optional
        Called with what the user should know on the way.
    watch : callable, optional
        Called with each line of the metrics as it is recorded: a mapping with its ``step``, its ``kind`` (``train``,
        ``valid``, ``gates``, ``test``) and its numbers. What it raises ends the run; the same call goes on with it.
    **chosen
        Names of :class:`~gateflow.training.settings.Settings`; ``method``; or ``epochs`` in place of ``steps``.

    Raises
    ------
    InvalidArgument
        A setting is wrong, or the folder holds a run of other settings or a damaged one.

    Examples
    --------
    >>> result = train("adding(horizon=10)", steps=20, hidden=8, evaluate_every=10)
    >>> result.status, result.steps, sorted(result.test)
    ('finished', 20, ['loss'])
    """
    if not save_every >= 0:
        raise InvalidArgument(f"save_every must be a number of seconds, 0 or more; got {save_every}")
    settings, made = settle(task, chosen, data_dir)
    tried = partial(_try_out, settings, made)
    with global_state(settings), _place(settings, out, restart, tried) as place:
        if (done := place.result()) is not None:
            return Result(settings, **done, network=place.network(settings, made), metrics=place.metrics())
        trainer = Trainer(settings, made, place, save_every, watch)
        return trainer.run(stop or (lambda: False), tell or (lambda _: None))


def settle(
    task: str | Task | Settings | Mapping[str, Any], chosen: Mapping[str, Any], data_dir: str | Path | None = None
) -> tuple[Settings, Task]:
    """The settings, with everything decided that this machine decides; and the task."""
    if isinstance(task, Settings):
        made = make_task(str(chosen.get("task", task.task)), data_dir)
        settings = task.with_changes(chosen, made)
    else:
        given = {"task": _text(task)} if isinstance(task, (str, Task)) else dict(task)
        given |= {name: value for name, value in chosen.items() if value is not None}
        made = task if isinstance(task, Task) else make_task(str(given.get("task", "")), data_dir)
        settings = Settings.of(given, made)
    start = None if settings.start is None else folders.pinned(settings.start)
    return replace(settings, device=_device(settings.device), start=start), made


def _device(name: str) -> str:
    """The device that a name stands for here."""
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        kind = torch.device(name).type
    except RuntimeError:
        raise InvalidArgument(f"unknown device {name!r}: cpu, cuda, or auto") from None
    if kind != "cpu" and not (kind == "cuda" and torch.cuda.is_available()):
        raise InvalidArgument(f"there is no {name} on this machine: --device cpu, or auto")
    return name


def _text(task: str | Task) -> str:
    """A task as it is written: by its name, one of the user's own by its class; and options."""
    if isinstance(task, str):
        return task
    name = next((name for name, kind in TASKS.items() if kind is type(task)), type(task).__name__.lower())
    options = {each.name: getattr(task, each.name) for each in fields(task)}  # type: ignore[arg-type]
    return with_options(name, {k: v for k, v in options.items() if v is not None})


def _place(
    settings: Settings, out: str | Path | None, restart: bool, tried: Callable[..., None]
) -> AbstractContextManager[RunFolder | RunMemory]:
    if out is None:
        return nullcontext(RunMemory())
    return RunFolder.open(Path(out), settings, restart=restart, tried=tried)


def _try_out(settings: Settings, task: Task, state: Checkpoint | None) -> None:
    """Complain where a run cannot begin, or go on from a checkpoint: one is made in memory, and forgotten."""
    with torch.random.fork_rng(_devices(settings)):
        trainer = Trainer(settings, task, RunMemory(), math.inf)
        if state is not None:
            trainer.take(state)
        trainer.loss(trainer.batch("train", 0), None)[0].backward()
        for split in ("valid", "test"):
            trainer.measure(split, 1)


def _devices(settings: Settings) -> list[torch.device]:
    """Those besides the processor whose generators a run draws from."""
    return [torch.device(settings.device)] if settings.device.startswith("cuda") else []


@contextmanager
def global_state(settings: Settings) -> Iterator[None]:
    """PyTorch's global state as the settings want it; given back as it was."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        with torch.random.fork_rng(_devices(settings)):
            if settings.threads:
                torch.set_num_threads(settings.threads)
            torch.use_deterministic_algorithms(settings.deterministic)
            torch.manual_seed(settings.seed)
            yield
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(strict)


@dataclass
class Counters:
    """Every number of a run that changes on the way."""

    step: int = 0
    loss: float = 0.0
    """Sum of the training losses since the last line of them."""
    gradient: float = 0.0
    """Sum of the gradients' norms, likewise."""
    summed: int = 0
    best_step: int = -1
    best: Measures = field(default_factory=dict)
    waited: int = 0
    """Evaluations since the best one."""
    solved_at: int | None = None
    status: str = ""
    seconds: float = 0.0


class Trainer:
    """One run: what it is made of, one step, one evaluation, its checkpoint."""

    def __init__(
        self,
        settings: Settings,
        task: Task,
        place: RunFolder | RunMemory,
        save_every: float,
        watch: Callable[[Mapping[str, Any]], None] | None = None,
    ) -> None:
        self.watch = watch or (lambda _: None)
        self.settings, self.task, self.place, self.save_every = settings, task, place, save_every
        self.device = torch.device(settings.device)
        network, self.anew = folders.started(settings, task)
        self.network = network.to(self.device)
        self.optimizer = make_optimizer(settings, self.network)
        self.schedule = make_schedule(settings, self.optimizer, task.better)
        self.data = task.fingerprint()
        self.counters = Counters()
        self.carried: Any = None
        self.best: dict[str, Tensor] = {}
        self.said = ""
        self.held: dict[int, Batch] = {}
        self.room = HELD

    # --- the loop ---

    def run(self, stop: Callable[[], bool], tell: Callable[[str], None]) -> Result:
        """Train to the end, or until ``stop`` says so."""
        counters, settings = self.counters, self.settings
        if note := self.resume():
            tell(note)
        if self.anew and counters.best_step < 0:
            tell(f"not taken from {settings.start}, as of another shape or meaning: {', '.join(self.anew)}")
        self.started = self.saved = time.monotonic()
        if counters.best_step < 0:
            self.evaluate()
            self.save()
        with Meter(name_of(settings.task), settings.steps, counters.step) as meter:
            while not counters.status and counters.step < settings.steps:
                if stop():
                    self.save()
                    return self.result("interrupted")
                loss = self.descend()
                if not counters.status:
                    self.look_around()
                if self.save_every <= time.monotonic() - self.saved:
                    self.save()
                meter.update(counters.step, f"loss {loss:.4g}")
        return self.finish()

    def descend(self) -> float:
        """One step of the optimiser; its loss. Where that is not finite the weights stay as they are."""
        settings, counters = self.settings, self.counters
        self.network.train()
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for number in range(counters.step * settings.accumulate, (counters.step + 1) * settings.accumulate):
            batch = self.batch("train", number)
            loss, self.carried = self.loss(batch, self.carried)
            (loss / settings.accumulate).backward()
            total += loss.item() / settings.accumulate
        weights = [each for each in self.network.parameters() if each.grad is not None]
        norm = float(torch.nn.utils.clip_grad_norm_(weights, settings.clip or math.inf))
        if not math.isfinite(total + norm):
            self.give_up(total, batch)
            return total
        self.optimizer.step()
        if self.schedule is not None and not self._waits_for_scores():
            self.schedule.step()
        counters.step += 1
        counters.loss, counters.gradient = counters.loss + total, counters.gradient + norm
        counters.summed += 1
        return total

    def loss(self, batch: Batch, state: Any) -> tuple[Tensor, Any]:
        """The loss of a batch, and the state to carry to the next one."""
        with self.autocast():
            answers, state = self.network(batch.inputs, state, batch.lengths)
        answers = answers.float() if answers.dtype is torch.bfloat16 else answers
        return self.task.loss(answers, batch), _cut(state) if self.task.carries else None

    def look_around(self) -> None:
        """Record the training loss, evaluate, and decide whether to stop: each at its steps."""
        counters, settings = self.counters, self.settings
        if counters.step % settings.log_every == 0 or counters.step == settings.steps:
            count = counters.summed
            rate = self.optimizer.param_groups[0]["lr"]
            self.note("train", loss=counters.loss / count, gradient=counters.gradient / count, lr=float(rate))
            counters.loss = counters.gradient = counters.summed = 0
        if counters.step % settings.evaluate_every == 0 or counters.step == settings.steps:
            self.evaluate()
            if settings.stop_when_solved and counters.solved_at is not None:
                counters.status = "solved"
            elif settings.patience and counters.waited >= settings.patience:
                counters.status = "no better"

    def evaluate(self) -> None:
        """The measures on "valid", and what the gates do; the best weights are kept."""
        counters, task = self.counters, self.task
        measures = self.measure("valid")
        self.note("valid", **measures)
        batch, every = self.batch("valid", 0), self.settings.record_units
        if layers := statistics(self.network, task, batch if every else few(batch), units=every):
            self.note("gates", layers=layers)
        if self._waits_for_scores() and counters.step:
            self.schedule.step(measures[task.score])
        if counters.solved_at is None and task.solved(measures):
            counters.solved_at = counters.step
        counters.waited += 1
        if not counters.best or _is_better(measures[task.score], counters.best[task.score], task.better):
            counters.best, counters.best_step, counters.waited = measures, counters.step, 0
            self.best = {name: part.detach().clone() for name, part in weights_of(self.network).items()}

    def measure(self, split: Split, most: int | None = None) -> Measures:
        """The measures over a whole split, or over its first batches."""
        self.network.eval()
        sums: dict[str, list[float]] = {}
        state: Any = None
        with torch.no_grad():
            for batch in itertools.islice(self.batches(split), most):
                with self.autocast():
                    answers, last = self.network(batch.inputs, _fit(state, batch), batch.lengths)
                state = last if self.task.carries else None
                answers = answers.float() if answers.dtype is torch.bfloat16 else answers
                for name, pair in self.task.measures(answers, batch).items():
                    found = sums.setdefault(name, [0.0, 0.0])
                    found[0] += pair[0]
                    found[1] += pair[1]
        if not sums:
            raise InvalidArgument(f"{self.settings.task} has no batch of {self.settings.batch} for {split!r}")
        return self.task.summarise({name: total / count for name, (total, count) in sums.items()})

    def finish(self) -> Result:
        """The measures of the best weights on "test", and the files of a run that has ended."""
        counters = self.counters
        counters.status = counters.status or "finished"
        self.save()
        set_weights(self.network, self.best)
        test = self.measure("test")
        self.note("test", **test)
        result = self.result(counters.status, test)
        self.place.end(result, weights_of(self.network), served(self.task))
        return result

    def give_up(self, loss: float, batch: Batch) -> None:
        """Record a loss or gradient that is not finite, and what the gates looked like."""
        counters = self.counters
        counters.status = "not finite"
        what = "its gradient" if math.isfinite(loss) else "the loss"
        self.said = f"{what} is not finite at step {counters.step + 1}"
        if layers := statistics(self.network, self.task, few(batch)):
            self.note("gates", layers=layers)
            means = ", ".join(f"{layer['mean']:.6g}" for layer in layers)
            taus = ", ".join(f"{layer['timescales'][-1]:.4g}" for layer in layers)
            full = ", ".join(f"{layer['saturated']:.2%}" for layer in layers)
            self.said += f"; forget gates: mean {means}, longest time constant {taus}, saturated {full}"
        self.note("stopped", said=self.said)

    # --- parts ---

    def batch(self, split: Split, number: int) -> Batch:
        """A batch on the device, in the precision of the run; those of "valid" are kept, as far as there is room."""
        if split == "valid" and number in self.held:
            return self.held[number]
        batch = self._made(split, number)
        if split == "valid" and (size := _size(batch)) <= self.room:
            self.held[number], self.room = batch, self.room - size
        return batch

    def _made(self, split: Split, number: int) -> Batch:
        batch = self.task.batch(split, number, self.settings.batch, self.settings.seed).to(self.device)
        kind = torch.float64 if self.settings.precision == "float64" else torch.float32
        floats = {name: x for name, x in vars(batch).items() if x is not None and x.is_floating_point()}
        return replace(batch, **{name: x.to(kind) for name, x in floats.items()})

    def batches(self, split: Split) -> Iterator[Batch]:
        """All batches of a split that ends."""
        for number in itertools.count():
            try:
                yield self.batch(split, number)
            except IndexError:
                return

    def autocast(self) -> AbstractContextManager[Any]:
        mixed = self.settings.precision == "bfloat16"
        return torch.autocast(self.device.type, torch.bfloat16) if mixed else nullcontext()

    def note(self, kind: str, **facts: Any) -> None:
        """One line of metrics.jsonl."""
        line = {"step": self.counters.step, "kind": kind, **facts}
        self.place.note(line)
        self.watch(line)

    def result(self, status: str, test: Measures | None = None) -> Result:
        """How things stand."""
        counters = self.counters
        counters.seconds += time.monotonic() - self.started
        self.started = time.monotonic()
        best = counters.best_step, counters.solved_at, counters.best
        rest = {"said": self.said, "network": self.network, "metrics": self.place.metrics()}
        return Result(self.settings, status, counters.step, *best, test or {}, counters.seconds, **rest)

    def _waits_for_scores(self) -> bool:
        return isinstance(self.schedule, torch.optim.lr_scheduler.ReduceLROnPlateau)

    # --- the checkpoint ---

    def save(self) -> None:
        """Write a checkpoint of the state between two steps."""
        now = time.monotonic()
        self.counters.seconds, self.started = self.counters.seconds + now - self.started, now
        optimizer, moments = checkpoints.optimizer_parts(self.optimizer)
        facts = {
            "settings": self.settings.as_dict(),
            "data": self.data,
            "counters": asdict(self.counters),
            "optimizer": optimizer,
            "schedule": None if self.schedule is None else checkpoints.schedule_facts(self.schedule),
            "said": self.said,
        }
        state = Checkpoint(facts)
        state.add("network", weights_of(self.network))
        state.add("best", self.best)
        state.add("optimizer", moments)
        state.add("generator", checkpoints.generator_states())
        state.add("carried", {str(i): part for i, part in enumerate(_as_tuple(self.carried))})
        self.place.save(state)
        self.saved = time.monotonic()

    def resume(self) -> str:
        """Go back to the last checkpoint, if there is one; what the user should know of it."""
        state, note = self.place.latest()
        if state is not None:
            self.take(state)
        return note

    def take(self, state: Checkpoint) -> None:
        """Go on from a checkpoint.

        Raises
        ------
        InvalidArgument
            It is of other data, or of another run.
        """
        if state.facts["data"] != self.data:
            raise InvalidArgument("the data are not those this run began with; choose another --out")
        try:
            self.restore(state)
        except (KeyError, IndexError, TypeError, ValueError, AttributeError, RuntimeError) as problem:
            reason = str(problem).partition("\n")[0][:80]
            raise InvalidArgument(f"the checkpoint is not of this run ({reason}); --restart begins anew") from None

    def restore(self, state: Checkpoint) -> None:
        """Take over everything a checkpoint holds."""
        facts = state.facts
        if (facts["schedule"] is None) is not (self.schedule is None):
            raise ValueError("another schedule")
        set_weights(self.network, state.under("network"))
        self.best = {name: part.to(self.device) for name, part in state.under("best").items()}
        checkpoints.restore_optimizer(self.optimizer, facts["optimizer"], state.under("optimizer"))
        if self.schedule is not None:
            self.schedule.load_state_dict(facts["schedule"])
        carried = state.under("carried")
        self.carried = _as_state([carried[str(i)].to(self.device) for i in range(len(carried))])
        vars(self.counters).update(vars(Counters(**facts["counters"])))
        if self.counters.status == "finished":  # and perhaps it is to go on
            self.counters.status = ""
        self.said = facts["said"]
        checkpoints.restore_generators(state.under("generator"))


def _is_better(score: float, than: float, better: str) -> bool:
    """Whether a score is better than another; any is than one that is not a number."""
    return math.isnan(than) or (score > than if better == "higher" else score < than)


def _as_tuple(state: Any) -> tuple[Tensor, ...]:
    return () if state is None else (state,) if isinstance(state, Tensor) else tuple(state)


def _as_state(parts: list[Tensor]) -> Any:
    """The parts of a state as a cell takes them."""
    return None if not parts else parts[0] if len(parts) == 1 else tuple(parts)


def _size(batch: Batch) -> int:
    return sum(part.nbytes for part in vars(batch).values() if part is not None)


def _cut(state: Any) -> Any:
    """The state without its history: back-propagation is cut here."""
    return state.detach() if isinstance(state, Tensor) else tuple(part.detach() for part in state)


def _fit(state: Any, batch: Batch) -> Any:
    """The state of as many rows as the batch has; the last batch of a split may be smaller."""
    rows = batch.inputs.shape[0]
    return _as_state([part[:, :rows] for part in _as_tuple(state)])
