"""Data files: where they lie, and readers for the formats of this field.

Nothing here unpickles, nothing is believed about a file before it is checked, and what is wrong with one is said in a
line that names it.
"""

from gateflow.training.data.files import digest, fingerprint, opened
from gateflow.training.data.images import cifar, idx
from gateflow.training.data.series import SeriesSet, csv, npz, ts
from gateflow.training.data.sets import CIFAR10, DATA_SETS, FASHION, MNIST, DataSet, locate
from gateflow.training.data.sound import Recordings, wav

__all__ = [
    "CIFAR10",
    "DATA_SETS",
    "FASHION",
    "MNIST",
    "DataSet",
    "Recordings",
    "SeriesSet",
    "cifar",
    "csv",
    "digest",
    "fingerprint",
    "idx",
    "locate",
    "npz",
    "opened",
    "ts",
    "wav",
]
