"""Language models, and networks that answer each step, put to use: losses and guesses against plain PyTorch."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gateflow import cli
from gateflow.errors import InvalidArgument
from gateflow.guards.calls import name_of
from gateflow.training import TASKS, Vocabulary, load, train, trained

TEXT = "The gate opens, and the gate shuts.\nDon't hold it - it holds you!\n" * 20
NEW = "Then it öpens; it\nshuts: é é\n"
TINY: dict[str, Any] = {"hidden": 5, "layers": 2, "batch": 1, "threads": 1, "cell": "lstm", "forget_gate": "sigmoid"}
"""Layers that PyTorch has too."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two language models whose texts are gone, and a text that is new to both."""
    folder = tmp_path_factory.mktemp("texts")
    (folder / "old.txt").write_text(TEXT, encoding="utf-8")
    (folder / "new.txt").write_text(NEW, encoding="utf-8")
    characters, words = (f'{name}(text="{folder / "old.txt"}", window=9' for name in ("characters", "words"))
    train(f"{characters})", steps=10, lr=0.1, out=folder / "characters", **TINY)
    train(f"{words}, punctuation=true, vocabulary=9)", steps=10, lr=0.1, out=folder / "words", **TINY)
    (folder / "old.txt").rename(folder / "gone.txt")
    return folder


def plain(run: Path, tokens: list[int]) -> torch.Tensor:
    """log p of every token after each of these, by PyTorch's own layers with the weights of a run, step by step."""
    weights = load(run).network.state_dict()
    lstm = torch.nn.LSTM(5, 5, 2)
    own = {name.removeprefix("cell."): part for name, part in weights.items() if name.startswith("cell.")}
    lstm.load_state_dict({name: own[name] for name in lstm.state_dict()})
    state, rows = None, []
    for token in tokens:
        output, state = lstm(weights["embedding.weight"][token][None, None], state)
        logits = output[0, 0] @ weights["readout.weight"].T + weights["readout.bias"]
        rows.append(logits.double() - torch.logsumexp(logits.double(), 0))
    return torch.stack(rows).detach()


def numbered(tokens: list[str], known: list[str]) -> list[int]:
    return [known.index(token) if token in known else len(known) for token in tokens]


def test_the_loss_on_a_text_is_that_of_a_plain_loop(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trained, "STEPS", 7)  # so that the state is handed on
    known = sorted(set(TEXT[: len(TEXT) * 9 // 10]))
    tokens = numbered([*NEW], known)
    logs = plain(runs / "characters", tokens)
    losses = [-logs[n, token].item() for n, token in enumerate(tokens[1:])]
    found = load(runs / "characters").predict_text(runs / "new.txt")
    np.testing.assert_array_equal(found.tokens, tokens)
    np.testing.assert_allclose(found.losses, losses, rtol=1e-5)
    assert found.loss == pytest.approx(sum(losses) / len(losses), rel=1e-6)
    assert found.measures["bits_per_character"] == pytest.approx(sum(losses) / len(losses) / math.log(2), rel=1e-6)
    assert found.accuracy == np.mean(logs[:-1].argmax(1).numpy() == tokens[1:])
    order = logs.argsort(descending=True)[:, :5]
    np.testing.assert_array_equal(found.guesses, order)
    np.testing.assert_allclose(found.probabilities, logs.gather(1, order).exp(), rtol=1e-5)
    after = found.expected(-1)
    assert [*after] == [[*known, "<unk>"][token] for token in order[-1]]
    assert [*after.values()] == pytest.approx(logs[-1, order[-1]].exp().tolist(), rel=1e-5)
    assert found.unknown == {"é": 2, "ö": 1, ";": 1, ":": 1}


def test_words_are_cut_as_in_training(runs: Path) -> None:
    cut = ["Then", "it", "öpens", ";", "it", "<eos>", "shuts", ":", "é", "é", "<eos>"]
    model = load(runs / "words")
    known = [token for token in model.classes or () if token != "<unk>"]
    tokens = numbered(cut, known)
    logs = plain(runs / "words", tokens)
    loss = -np.mean([logs[n, token].item() for n, token in enumerate(tokens[1:])])
    found = model.predict_text(runs / "new.txt")
    np.testing.assert_array_equal(found.tokens, tokens)
    assert found.measures["perplexity"] == pytest.approx(math.exp(loss), rel=1e-6)
    assert found.unknown == {word: cut.count(word) for word in dict.fromkeys(cut) if word not in known}
    # runs of version 1.0.0 do not keep how words are cut but in their settings
    older = replace(model, facts={name: fact for name, fact in model.facts.items() if name != "punctuation"})
    assert older.predict_text(runs / "new.txt") == found


@pytest.mark.parametrize("name", ["characters", "words"])
def test_a_run_finds_its_own_loss_again(runs: Path, name: str) -> None:
    folder = runs / f"own-{name}"
    folder.mkdir()
    for part in ("train", "valid", "test"):
        (folder / part).write_text(TEXT[: {"train": 400, "valid": 70, "test": 131}[part]], encoding="utf-8")
    parts = ", ".join(f'{key}="{folder / file}"' for key, file in zip(KEYS, ("train", "valid", "test"), strict=True))
    result = train(f"{name}({parts}, window=9)", steps=3, out=folder / "run", **TINY)
    found = load(folder / "run").predict_text(folder / "test")
    assert found.measures == pytest.approx(result.test, rel=1e-6)


KEYS = ("text", "valid_text", "test_text")


def test_texts_are_encoded_and_decoded(runs: Path) -> None:
    characters, words = (load(runs / name).vocabulary for name in ("characters", "words"))
    assert characters is not None
    assert words is not None
    assert characters.tokens == (*sorted(set(TEXT)), "<unk>")
    assert characters.encode("gate\r\n").tolist() == [characters.tokens.index(token) for token in "gate\n"]
    assert characters.decode(characters.encode("shuts é\n")) == "shuts \N{REPLACEMENT CHARACTER}\n"
    text = "gate , it <unk> .\n\nit it"
    numbers = words.encode(text)
    assert [words.tokens[n] for n in numbers] == ["gate", ",", "it", "<unk>", ".", "<eos>", "<eos>", "it", "it"]
    assert torch.equal(words.encode("gate, it strange.\n\nit it"), numbers)
    assert words.decode(numbers) == text
    for vocabulary in (characters, words):
        every = torch.arange(len(vocabulary))
        assert torch.equal(vocabulary.encode(vocabulary.decode(every)), every)
        assert vocabulary.encode("").tolist() == []
    logits = load(runs / "words").module(numbers[None])
    assert logits.shape == (1, len(numbers), len(words))
    assert words.decode(np.array([1, 2], dtype=np.uint16)) == words.decode([1, 2])
    for bad in ([len(words)], [-1], [0.5], ["the"], [[0, 1]], [True, False], [[0], [0, 1]], [2**64]):
        with pytest.raises(InvalidArgument, match="tokens must be whole numbers from 0 to 9"):
            words.decode(bad)  # type: ignore[arg-type]
    with pytest.raises(InvalidArgument, match="a text must be a str"):
        words.encode(b"the")  # type: ignore[arg-type]


def test_words_that_hold_a_lines_end_stay_one() -> None:
    vocabulary = Vocabulary(TASKS["words"], ("a<eos>b", "<eos>", "<unk>"))
    assert vocabulary.decode(vocabulary.encode("a<eos>b\na<eos>b")) == "a<eos>b\na<eos>b"


def test_the_command_reads_texts(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    words = ["predict", str(runs / "characters"), "--data", str(runs / "new.txt")]
    found = load(runs / "characters").predict_text(runs / "new.txt")
    assert cli.main(words) == 0
    told = capsys.readouterr().out
    assert f"bits_per_character  {found.measures['bits_per_character']:.6g}\n" in told
    assert f"loss                {found.loss:.6g} nats, the mean of {len(NEW) - 1} characters after the first\n" in told
    assert f"5 of {len(NEW)} characters, read as <unk>: 'é' (2), 'ö' (1), ';' (1), ':' (1)\n" in told
    assert f"... {len(NEW) - 11} before these: --csv FILE or --json has all\n" in told
    assert told.count("after the end") == 5
    assert cli.main([*words, "--json", "--csv", str(tmp_path / "answers.csv")]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["loss"] == found.loss
    assert told["accuracy"] == found.accuracy
    assert told["unknown"] == {"é": 2, "ö": 1, ";": 1, ":": 1}
    assert [each["loss"] for each in told["predictions"][:-1]] == found.losses.tolist()
    assert [each["probabilities"] for each in told["predictions"]] == [found.expected(n) for n in range(len(NEW))]
    assert [(told["predictions"][n]["what"], told["predictions"][n].get("given")) for n in (0, -1)] == [
        ("character 2", "h"),
        ("after the end", None),
    ]
    with (tmp_path / "answers.csv").open(encoding="utf-8", newline="") as file:
        heads, *rows = csv.reader(file)
    assert heads == ["what", "given", "loss", "class", "probability"]
    assert [float(row[2]) for row in rows[:-1]] == found.losses.tolist()
    assert [row[3] for row in rows] == [each["class"] for each in told["predictions"]]
    assert rows[-1][:3] == ["after the end", "", ""]


def test_what_is_no_text_is_refused_in_one_line(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "short.txt").write_text("g")
    (tmp_path / "bytes.txt").write_bytes(b"\xff\xfe\xff")
    run = str(runs / "characters")
    for arguments, said in (
        (["--data", "nowhere.txt"], "there is no text file nowhere.txt"),
        (["--data", str(tmp_path / "short.txt")], "short.txt has too few characters: 1, 2 at least"),
        (["--data", str(tmp_path / "bytes.txt")], "bytes.txt is no text in UTF-8"),
        (["--data", str(runs / "new.txt"), "--unlabelled"], "a text has no classes: leave out --unlabelled"),
    ):
        assert cli.main(["predict", run, *arguments]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    with pytest.raises(InvalidArgument, match="characters reads tokens: predict_text answers texts"):
        load(run).predict(str(runs / "new.txt"))


# --- networks that answer each step ----------------------------------------------------------------------------------

SMALL: dict[str, dict[str, int]] = {
    "copying": {"horizon": 4, "symbols": 3, "alphabet": 5, "held_out": 6},
    "selective-copying": {"horizon": 6, "symbols": 3, "alphabet": 5, "held_out": 6},
    "associative-recall": {"horizon": 6, "pairs": 3, "alphabet": 4, "held_out": 6},
}


@pytest.mark.parametrize("name", SMALL)
def test_rows_of_symbols_are_answered_where_they_ask(name: str, tmp_path: Path) -> None:
    task = TASKS[name](**SMALL[name])
    result = train(task, steps=2, hidden=4, threads=1, out=tmp_path / "run")
    model, batch = load(tmp_path / "run"), task.batch("test", 0, 5, 1)
    assert name_of(model.settings.task) == name  # though an object was given
    rows = batch.inputs.argmax(-1).tolist()
    (tmp_path / "rows.csv").write_text("# as drawn\n" + "\n".join(",".join(map(str, row)) for row in rows))
    found = model.predict(tmp_path / "rows.csv")
    last = torch.arange(batch.targets.shape[1]).expand_as(batch.targets) >= batch.targets.shape[1] - 3
    asked = last if batch.mask is None else batch.mask
    assert found.names == tuple(f"series {n + 1}, step {t + 1}" for n, t in asked.nonzero().tolist())
    assert found.given == tuple(map(str, batch.targets[asked].tolist()))
    with torch.no_grad():
        expected = result.network(batch.inputs)[0].double().softmax(-1)
    np.testing.assert_allclose(found.answers, expected[asked], atol=1e-6)
    assert found.accuracy == (expected.argmax(-1) == batch.targets)[asked].double().mean().item()
    assert model.predict(tmp_path / "rows.csv", labelled=False).accuracy is None
    every = model.predict([batch.inputs[0].numpy(), batch.inputs[1, :4].numpy()])
    np.testing.assert_allclose(every.answers, torch.cat([expected[0], expected[1, :4]]), atol=1e-6)
    assert every.names[-1] == "series 2, step 4"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("0,1,7,5,6,5,5", "line 1: '7' is no whole number from 0 to 6"),
        ("0,1,5,6,5,5\n0,1.5,6,5", "line 2: '1.5' is no whole number"),
        ("0,-1,6,5", "'-1' is no whole number"),
        ("0,1,5,6,5", "line 1: asks for 1 answers and tells 2 of them; --unlabelled compares none"),
        ("5,6", "asks for no answer"),
        ("# nothing", "holds no sequences"),
    ],
)
def test_rows_that_are_none_of_the_task_are_refused(rows: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text(rows)
    with pytest.raises(InvalidArgument, match=said):
        TASKS["copying"].read_new(tmp_path / "rows.csv", {"input_size": 7}, labelled=True)
