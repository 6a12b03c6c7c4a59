"""A sweep as an xarray Dataset, and as a netCDF file that holds neither clock nor path."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gateflow import __version__
from gateflow.errors import InvalidArgument, MissingExtra
from gateflow.files import Place, Standing, fits, from_json, opened
from gateflow.sweeps.chunks import Sweep, digest_of


def xarray(*, file: bool) -> Any:
    """The module; with ``file``, h5netcdf is there too."""
    try:
        import xarray

        if file:
            import h5netcdf  # noqa: F401
    except ImportError:
        raise MissingExtra("a sweep", "sweep") from None
    return xarray


def dataset(plan: Sweep, values: Mapping[str, np.ndarray]) -> Any:
    """The numbers of a sweep with their coordinates and how they were made."""
    labels = np.array([label for label, _ in plan.gates], dtype=object)
    formulas = np.array([gate.spelled for _, gate in plan.gates], dtype=object)
    coordinates = {
        "gate": ("gate", labels, {"long_name": "gate, by name or formula in z"}),
        "formula": ("gate", formulas, {"long_name": "the gate as a formula, with its parameters"}),
        **{axis.name: (axis.name, axis.values, plan.kind.inputs[axis.name].attributes) for axis in plan.axes},
    }
    shaped = {name: array.reshape(plan.shape) for name, array in values.items()}
    variables = {name: (plan.dims, shaped[name], dict(kept.attributes)) for name, kept in plan.kind.variables.items()}
    made = xarray(file=False).Dataset(
        variables, coordinates, {"title": plan.kind.title, "source": f"gateflow {__version__}"}
    )
    return made.assign_attrs(record=json.dumps({**plan.made(), "numbers": _numbers(made, plan.digest)}))


def _numbers(data: Any, digest: str) -> str:
    """A digest of all that a data set holds, but its attributes."""
    arrays = {str(name): data[name].values for name in [*data.data_vars, *data.coords]}
    texts = {name: np.array(list(map(str, array)), dtype="U") for name, array in arrays.items() if _is_text(array)}
    return digest_of({**arrays, **texts}, digest)


def _is_text(array: np.ndarray) -> bool:
    return array.dtype.kind in "OUST"


def write(data: Any, path: Path, before: Standing) -> None:
    """Write the file in one go where ``before`` still stands, and see that it is on the disk."""
    contiguous = {name: {"_FillValue": None} for name in [*data.data_vars, *data.coords] if data[name].dtype != object}
    file = io.BytesIO()  # HDF5 prints tracebacks of its own where it meets a full disk
    data.to_netcdf(file, engine="h5netcdf", encoding=contiguous)
    with Place(path.parent) as place, place.draft(path.name, before) as draft:
        draft.file.write(file.getbuffer())


def read(path: Path) -> Any:
    """The whole file in memory."""
    return xarray(file=True).load_dataset(path, engine="h5netcdf")


def digest_in(path: Path) -> str:
    """The digest of the sweep in a file.

    Raises
    ------
    InvalidArgument
        The file holds no sweep, or its numbers are not those that were written; it is not for us to overwrite.
    """
    modules = xarray(file=True)
    try:
        with opened(path) as file:
            size = os.fstat(file.fileno()).st_size
        if path.is_symlink():
            raise OSError
        with modules.open_dataset(path, engine="h5netcdf") as data:
            made = from_json(data.attrs["record"])
            if not fits(made, {"digest": str}) or data.nbytes > size:
                raise ValueError
            right = made.get("numbers") == _numbers(data, made["digest"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError):
        raise InvalidArgument(f"{path} is there and holds no sweep; choose another file") from None
    if not right:
        raise InvalidArgument(f"{path} was altered: its digest does not fit; choose another file")
    return made["digest"]
