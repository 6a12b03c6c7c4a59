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
from gateflow.sweeps.parts import digest_of
from gateflow.sweeps.plan import Plan

COORDINATES = {
    "gate": {"long_name": "gate, by name or formula in z"},
    "horizon": {"long_name": "horizon T: the steps over which the cell decays", "units": "steps"},
    "target": {"long_name": "target lambda*: what the cell is to keep over the horizon", "units": "1"},
    "gap": {"long_name": "gap to the target 1 - lambda*: what may be lost over the horizon", "units": "1"},
    "log_gap": {"long_name": "natural logarithm of the gap to the target 1 - lambda*", "units": "1"},
    "decay": {"long_name": "total decay of the target h* = -log lambda*", "units": "1"},
    "timescale": {"long_name": "time constant of the target -1/log phi", "units": "steps"},
    "z0": {"long_name": "pre-activation z at learning time 0", "units": "1"},
    "scale": {"long_name": "scale c of the loss", "units": "1"},
}
"""Attributes of the axes."""


def xarray(*, file: bool) -> Any:
    """The module; with ``file``, h5netcdf is there too."""
    try:
        import xarray

        if file:
            import h5netcdf  # noqa: F401
    except ImportError:
        raise MissingExtra("a sweep", "sweep") from None
    return xarray


def dataset(plan: Plan, values: Mapping[str, np.ndarray]) -> Any:
    """The numbers of a sweep with their coordinates and how they were made."""
    labels = np.array([label for label, _ in plan.gates], dtype=object)
    formulas = np.array([_formula(gate) for _, gate in plan.gates], dtype=object)
    coordinates = {
        "gate": ("gate", labels, COORDINATES["gate"]),
        "formula": ("gate", formulas, {"long_name": "the gate as a formula, with its parameters"}),
        **{axis.name: (axis.name, axis.values, COORDINATES[axis.name]) for axis in plan.axes},
    }
    variables = {name: (plan.dims, values[name], dict(kept.attributes)) for name, kept in plan.kind.variables.items()}
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


def _formula(gate: Any) -> str:
    values = ", ".join(f"{name}={value}" for name, value in gate.parameters.items())
    return f"{gate.text}; {values}" if values else gate.text


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
