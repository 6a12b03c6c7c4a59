"""Every file that gateflow writes, replaces, locks or removes, and the bounds of those it reads.

Rules, for all commands:

- A file is written beside its place, flushed to the disk, and renamed; until then the old one stays (`place`).
- An output that is there already is replaced only where it proves to be ours, or with ``--force`` (`output`).
- A folder is emptied only of files of exact names, and only where its marker proves that gateflow made it (`folder`).
- Links are never followed to write, replace or remove; nothing but a regular file is replaced.
- A lock file is never cut short, and removed only by the process that made it.
- A file is read only if it is a regular one and no larger than it may be (`read`).
"""

from gateflow.files.folder import Held, alone, held
from gateflow.files.oneline import one_line
from gateflow.files.output import Output, file_path, folder_for, write_all
from gateflow.files.place import Place, Standing, encoded, private_or_temporary, write_bytes, write_text
from gateflow.files.read import (
    LARGEST,
    fits,
    from_json,
    from_toml,
    is_unicode,
    opened,
    read_bytes,
    read_json,
    read_text,
    read_toml,
    unpacked_most,
)
from gateflow.files.seal import digest, is_sealed, sealed

__all__ = [
    "LARGEST",
    "Held",
    "Output",
    "Place",
    "Standing",
    "alone",
    "digest",
    "encoded",
    "file_path",
    "fits",
    "folder_for",
    "from_json",
    "from_toml",
    "held",
    "is_sealed",
    "is_unicode",
    "one_line",
    "opened",
    "private_or_temporary",
    "read_bytes",
    "read_json",
    "read_text",
    "read_toml",
    "sealed",
    "unpacked_most",
    "write_all",
    "write_bytes",
    "write_text",
]
