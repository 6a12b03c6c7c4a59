"""Language modelling: the text that batches spell, the vocabulary, perplexity and bits."""

from __future__ import annotations

import gzip
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from gateflow.errors import InvalidArgument
from gateflow.training.tasks import _text
from gateflow.training.tasks.characters import Characters
from gateflow.training.tasks.words import Words


@pytest.fixture
def text(files: Path) -> str:
    return (files / "text.txt").read_text(encoding="utf-8")


@pytest.fixture
def characters(files: Path) -> Characters:
    return Characters(text=str(files / "text.txt"), window=20)


def spelled(task: Characters, tokens: torch.Tensor) -> str:
    return "".join(task.lexicon[token] for token in tokens.flatten().tolist())


def test_training_rows_go_on_where_they_stopped_round_a_circle(characters: Characters, text: str) -> None:
    train = text[: len(text) * 9 // 10]
    size = 4
    passes = 2 * characters.batches("train", size)
    batches = [characters.batch("train", number, size, seed=3) for number in range(passes)]
    starts = []
    for row in range(size):
        read = "".join(spelled(characters, batch.inputs[row]) for batch in batches)
        foreseen = "".join(spelled(characters, batch.targets[row]) for batch in batches)
        assert read[1:] == foreseen[:-1]
        assert foreseen in train * 3
        starts.append((train * 2).index(read[: len(train)]))
    gaps = np.diff(sorted(starts), append=min(starts) + len(train))
    assert set(gaps) <= {len(train) // size, len(train) // size + 1}


def test_held_out_text_is_foretold_once(characters: Characters, text: str) -> None:
    parts = {"valid": text[len(text) * 9 // 10 : len(text) * 19 // 20], "test": text[len(text) * 19 // 20 :]}
    for split, part in parts.items():
        for size in (1, 4, 7):
            rows = [""] * size
            for number in range(characters.batches(split, size)):
                batch = characters.batch(split, number, size, 0)
                mask = torch.ones_like(batch.targets, dtype=torch.bool) if batch.mask is None else batch.mask
                for row in range(size):
                    rows[row] += spelled(characters, batch.targets[row][mask[row]])
            assert "".join(rows) == part[1:]


def test_inputs_are_the_tokens_before_the_targets(characters: Characters, text: str) -> None:
    batch = characters.batch("test", 0, 3, 0)
    part = text[len(text) * 19 // 20 :]
    assert spelled(characters, batch.inputs[0]) == part[:20]
    assert spelled(characters, batch.targets[0]) == part[1:21]


def test_the_vocabulary_is_the_training_parts(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("ab" * 45 + "abc§é" * 2, encoding="utf-8")
    task = Characters(text=str(path))
    assert task.lexicon == ["a", "b", "<unk>"]
    batch = task.batch("test", 0, 1, 0)
    assert batch.targets.tolist() == [[1, 2, 2, 2]]  # b c § é, after a


def test_blocks_do_not_show(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(files / "text.txt")
    for kind in (Characters, Words):
        whole = kind(text=path).batch("train", 0, 3, 0)
        monkeypatch.setattr(_text, "BLOCK", 5)
        task = kind(text=path)
        assert torch.equal(task.batch("train", 0, 3, 0).inputs, whole.inputs)
        monkeypatch.undo()


def test_words_are_what_stands_between_spaces(files: Path, text: str) -> None:
    expected = text.replace("\n", " <eos> ").split()
    task = Words(text=str(files / "text.txt"), vocabulary=4)
    train = expected[: len(expected) * 9 // 10]
    ranked = [word for word, _ in Counter(train).most_common()]
    assert set(task.lexicon[:4]) == set(ranked[:4])
    assert task.lexicon[4] == "<unk>"
    test = expected[len(expected) * 19 // 20 :]
    batch = task.batch("test", 0, 1, 0)
    known = [word if word in ranked[:4] else "<unk>" for word in test]
    assert [task.lexicon[token] for token in batch.inputs[0].tolist()] == known[: batch.inputs.shape[1]]


def test_punctuation_is_cut_off_where_asked(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_text("And he said, Don't: well-known <unk>.\n" * 20, encoding="utf-8")
    cut = Words(text=str(path), punctuation=True)
    assert sorted(cut.lexicon) == sorted(["And", "he", "said", ",", "Don't", ":", "well-known", "<unk>", ".", "<eos>"])
    assert sorted(Words(text=str(path)).lexicon) == sorted(
        ["And", "he", "said,", "Don't:", "well-known", "<unk>.", "<eos>", "<unk>"]
    )


def test_three_files_are_the_three_parts(tmp_path: Path) -> None:
    for part, content in (("train", "a b <unk> c\n"), ("valid", "c b\n"), ("test", "a d\n")):
        (tmp_path / part).write_text(content, encoding="utf-8")
    task = Words(*(str(tmp_path / part) for part in ("train", "valid", "test")), vocabulary=None)
    unknown = task.lexicon.index("<unk>")
    assert task.input_size == 5
    assert task.batch("test", 0, 1, 0).targets.tolist() == [[unknown, task.lexicon.index("<eos>")]]
    with pytest.raises(InvalidArgument, match="both or neither"):
        Words(str(tmp_path / "train"), str(tmp_path / "valid"))


def test_even_answers_cost_the_logarithm_of_the_vocabulary(files: Path) -> None:
    characters, words = Characters(text=str(files / "text.txt")), Words(text=str(files / "text.txt"))
    for task, score, expected in (
        (characters, "bits_per_character", math.log2(characters.output_size)),
        (words, "perplexity", words.output_size),
    ):
        batch = task.batch("valid", 0, 2, 0)
        total, count = task.measures(torch.zeros(*batch.inputs.shape, task.output_size), batch)["loss"]
        assert task.summarise({"loss": total / count})[score] == pytest.approx(expected, rel=1e-6)
    assert words.summarise({"loss": 1e4})["perplexity"] == math.inf


def test_chance_is_the_entropy_of_single_characters(characters: Characters, text: str) -> None:
    train = text[: len(text) * 9 // 10]
    entropy = -sum(n / len(train) * math.log(n / len(train)) for n in Counter(train).values())
    assert characters.chance == pytest.approx(entropy, rel=1e-12)


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b""], ids=["mark", "none"])
@pytest.mark.parametrize("end", [b"\r\n", b"\n"], ids=["crlf", "lf"])
@pytest.mark.parametrize("ending", ["txt", "txt.gz"])
def test_marks_and_line_ends_do_not_show(tmp_path: Path, start: bytes, end: bytes, ending: str) -> None:
    path = tmp_path / f"text.{ending}"
    content = start + (b"one" + end + b"two" + end) * 9
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    assert Characters(text=str(path)).lexicon == [*sorted("onetw\n"), "<unk>"]


def test_texts_that_are_none_are_refused_in_a_line(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(b"abc\xff" * 50)
    with pytest.raises(InvalidArgument, match="no text in UTF-8"):
        Characters(text=str(path)).batch("train", 0, 1, 0)
    path.write_text("short", encoding="utf-8")
    with pytest.raises(InvalidArgument, match="too short"):
        Characters(text=str(path)).batch("train", 0, 1, 0)
    path.write_text("long enough " * 20, encoding="utf-8")
    with pytest.raises(InvalidArgument, match="more than the 216 tokens"):
        Characters(text=str(path)).batch("train", 0, 217, 0)
    broken = tmp_path / "text.gz"
    broken.write_bytes(gzip.compress(b"many words " * 50)[:-12])
    with pytest.raises(InvalidArgument, match="cannot be read"):
        Words(text=str(broken)).batch("train", 0, 1, 0)
    with pytest.raises(InvalidArgument, match="window must be"):
        Characters(text=str(path), window=0)
    with pytest.raises(InvalidArgument, match="vocabulary must be"):
        Words(text=str(path), vocabulary=0)
