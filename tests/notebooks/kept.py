"""Notebooks with their outputs: what is kept of a run, and whether another run gives the same.

``python -m tests.notebooks.kept`` runs every notebook and keeps what it shows; words at its end, such as ``2 3``,
choose those whose names begin so.
"""

from __future__ import annotations

import re
import sys
import tempfile
from itertools import zip_longest
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
NAMES = re.compile(r'\b(?:id|xlink:href|href|clip-path|aria-labelledby|for)="[^"]*"')
"""Of the parts of a picture, by which they refer to each other."""
METADATA = re.compile(r"\s*<metadata>.*?</metadata>", re.DOTALL)
"""What Matplotlib says of a picture, with the time of day."""


def kept(outputs: list[Any]) -> list[dict[str, Any]]:
    """Outputs as they are kept: without counts of runs, without sliders, which need a kernel, and lines as one text."""
    found = []
    for output in outputs:
        if WIDGET in output.get("data", {}):
            continue
        output = dict(output)
        if "execution_count" in output:
            output["execution_count"] = None
        if "data" in output:
            output["data"] = {kind: data for kind, data in output["data"].items() if kind != "text/latex"}
            if "image/svg+xml" in output["data"]:
                output["data"].pop("text/plain", None)
                output["data"]["image/svg+xml"] = METADATA.sub("", "".join(output["data"]["image/svg+xml"]))
        if "text" in output and found and found[-1].get("name") == output["name"]:  # in parts, as time would have it
            found[-1]["text"] = "".join(found[-1]["text"]) + "".join(output["text"])
        else:
            found.append(output)
    return found


def shown(outputs: list[Any]) -> list[tuple[str, str]]:
    """The kind and the text of all that outputs show."""
    found = []
    for output in kept(outputs):
        if "data" in output:
            found += [(kind, "".join(data)) for kind, data in sorted(output["data"].items())]
        else:
            found.append((output["name"], "".join(output["text"])))
    return found


def alike(one: str, other: str, near: float) -> bool:
    """Equal words, with numbers equal to seven digits or that near: the last digits are another machine's to choose."""
    texts = [NAMES.sub("", text) for text in (one, other)]
    if re.sub(NUMBER, "#", texts[0]) != re.sub(NUMBER, "#", texts[1]):
        return False
    pairs = zip(*(re.findall(NUMBER, text) for text in texts), strict=True)
    return all(a == b or abs(float(a) - float(b)) <= max(near, 1e-7 * abs(float(a))) for a, b in pairs)  # 1e400, say


def differences(book: Any, fresh: Any) -> list[str]:
    """The outputs of a run that are not those that are kept, by the names of their cells."""
    found = []
    for cell, now in zip(book.cells, fresh.cells, strict=True):
        for one, other in zip_longest(shown(cell.get("outputs", [])), shown(now.get("outputs", []))):
            picture = one is not None and "<svg" in one[1]
            if one is None or other is None or one[0] != other[0] or not alike(one[1], other[1], 0.2 if picture else 0):
                place = next((k for k, (a, b) in enumerate(zip(str(one), str(other), strict=False)) if a != b), 0) - 60
                texts = (str(text)[max(place, 0) :][:200] for text in (one, other))
                found.append("{}: {} is now {}".format(cell.id, *texts))
    return found


def remake(path: Path) -> None:
    """Run a notebook, and keep what it shows."""
    import nbclient
    import nbformat

    book = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        nbclient.NotebookClient(book, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    for cell in book.cells:
        cell.metadata = {}
        if cell.cell_type == "code":
            cell.execution_count, cell.outputs = None, [nbformat.from_dict(output) for output in kept(cell.outputs)]
    book.metadata = {"kernelspec": book.metadata.kernelspec, "language_info": {"name": "python"}}
    nbformat.write(book, path)


if __name__ == "__main__":
    for notebook in sorted(FOLDER.glob("*.ipynb")):
        if notebook.name.startswith(tuple(sys.argv[1:] or [""])):
            remake(notebook)
