"""Answers of a trained network to new data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import Csv, Force, Json, switch
from gateflow.cli._terminal import Listing, number, pairs, print_json, say

if TYPE_CHECKING:
    from gateflow.training import Predicted, PredictedText

Folder = Annotated[Path, Parameter(name="RUN", help="The folder of a run.")]
Data = Annotated[Path, Parameter(name="--data", help="A file as those that the run was trained with.")]
Unlabelled = Annotated[bool, switch("--unlabelled", "The series in the file have no classes.")]

MOST = 40
"""Rows that are printed; --csv and --json have all."""

LAST = 10
"""Tokens at the end of a text that are printed; --csv and --json have all."""

STRANGERS = 5
"""Tokens that a vocabulary does not have, as many as are printed."""


def run(
    folder: Folder,
    /,
    *,
    data: Data,
    unlabelled: Unlabelled = False,
    csv: Csv = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Answer new data with the network of a run: classes and their probabilities, values, or the loss on a text.

    The data are prepared as those of the training were, which the run keeps; a file of any kind that the task reads, or
    .npz with an array x, (n, time) or (n, time, channels). A class of ? is one that is not known. Where the classes
    are given, the share that was found is printed.

    A language model reads a text: the answer is its mean loss in nats, bits per character or perplexity, and the
    likeliest tokens in place of each and after the end. What its vocabulary does not have is counted, and read as
    <unk>. A network of symbols, such as one that copies, takes a table of whole numbers, a sequence a line.

    Examples
    --------
    $ gateflow train series --data waves.csv --hidden 4 --steps 2 --out runs/waves
    $ gateflow predict runs/waves --data waves.csv
    $ gateflow predict runs/waves --data waves.csv --csv answers.csv --json
    $ gateflow train characters --text book.txt --window 8 --hidden 4 --steps 2 --out runs/book
    $ gateflow predict runs/book --data book.txt
    """
    from gateflow.errors import InvalidArgument
    from gateflow.files import Output, write_all
    from gateflow.training import load

    sheet = None if csv is None else Output(csv, force=force)
    trained = load(folder)
    if trained.vocabulary is not None:
        if unlabelled:
            raise InvalidArgument("a text has no classes: leave out --unlabelled")
        text = trained.predict_text(data)
        written = write_all([] if sheet is None else [(sheet, _table([_HEADS, *_fields(text)]))])
        names = [path.as_posix() for path in written]
        return print_json({**_text_facts(text), "written": names}) if json else _say_text(text, names)
    found = trained.predict(data, labelled=not unlabelled)
    written = write_all([] if sheet is None else [(sheet, _sheet(found))])
    if json:
        return print_json(
            {
                "predictions": [_facts(found, n) for n in range(len(found.names))],
                **({} if found.accuracy is None else {"accuracy": found.accuracy}),
                "written": [path.as_posix() for path in written],
            }
        )
    rows = [_row(found, n) for n in range(min(len(found.names), MOST))]
    columns = ["what", *([] if found.classes is None else ["class"]), *found.columns]
    if found.classes is not None and len(found.columns) > 6:
        columns, rows = ["what", "class", "probability"], [[*row[:2], max(row[2:], key=float)] for row in rows]
    parts: list[Any] = [Listing(columns, rows, numeric=columns[1 if found.classes is None else 2 :])]
    if len(rows) < len(found.names):
        parts += [f"... {len(found.names) - len(rows)} more: --csv FILE or --json has all"]
    if found.accuracy is not None:
        parts += ["", f"accuracy {number(found.accuracy, 4)} of {len(found.given)}"]
    return say(*parts, *(path.as_posix() for path in written))


def _row(found: Predicted, n: int) -> list[str]:
    values = [number(x) for x in found.answers[n]]
    return [found.names[n], *([] if found.classes is None else [found.classes[n]]), *values]


def _facts(found: Predicted, n: int) -> dict[str, Any]:
    answers = dict(zip(found.columns, map(float, found.answers[n]), strict=True))
    if found.classes is None:
        return {"what": found.names[n], "values": answers}
    given = {"given": found.given[n]} if found.given else {}
    return {"what": found.names[n], "class": found.classes[n], "probabilities": answers, **given}


def _sheet(found: Predicted) -> str:
    rows = [["what", *([] if found.classes is None else ["class"]), *found.columns]]
    for n, name in enumerate(found.names):
        own = [] if found.classes is None else [found.classes[n]]
        rows.append([name, *own, *map(repr, map(float, found.answers[n]))])
    return _table(rows)


def _table(rows: Iterable[Sequence[str]]) -> str:
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


# --- texts -----------------------------------------------------------------------------------------------------------

_HEADS = ("what", "given", "loss", "class", "probability")
_END = "after the end"


def _fields(found: PredictedText, first: int = 0) -> Iterator[tuple[str, ...]]:
    """A row for each token after the first of all, from one on, and one for after the end."""
    names, unit = found.vocabulary.tokens, found.vocabulary.unit
    for n in range(first, len(found.tokens)):
        best, chance = names[found.guesses[n, 0]], repr(float(found.probabilities[n, 0]))
        if n < len(found.losses):
            yield f"{unit} {n + 2}", names[found.tokens[n + 1]], repr(float(found.losses[n])), best, chance
        else:
            yield _END, "", "", best, chance


def _text_facts(found: PredictedText) -> dict[str, Any]:
    names, unit = found.vocabulary.tokens, found.vocabulary.unit
    predictions = []
    for n in range(len(found.tokens)):
        expected = found.expected(n)
        answer = {"class": next(iter(expected)), "probabilities": expected}
        if n < len(found.losses):
            given = {"given": names[found.tokens[n + 1]], "loss": float(found.losses[n])}
            predictions.append({"what": f"{unit} {n + 2}", **answer, **given})
        else:
            predictions.append({"what": _END, **answer})
    return {"predictions": predictions, **found.measures, "unknown": dict(found.unknown)}


def _say_text(found: PredictedText, written: list[str]) -> None:
    unit, count = found.vocabulary.unit, len(found.losses)
    show = _quoted if unit == "character" else str
    last = [*_fields(found, max(0, count - LAST))][:-1]
    rows = [[what, show(token), number(loss), show(best), number(p)] for what, token, loss, best, p in last]
    rows += [[_END, "", "", show(best), number(p)] for best, p in found.expected(-1).items()]
    parts: list[Any] = [Listing(_HEADS, rows, numeric=("loss", "probability"))]
    if len(last) < count:
        parts += [f"... {count - len(last)} before these: --csv FILE or --json has all"]
    facts = [(name, number(value)) for name, value in found.measures.items()]
    facts[0] = ("loss", f"{number(found.loss)} nats, the mean of {count} {unit}s after the first")
    if found.unknown:
        most = ", ".join(f"{show(token)} ({n})" for token, n in [*found.unknown.items()][:STRANGERS])
        more = f" and {len(found.unknown) - STRANGERS} more" if len(found.unknown) > STRANGERS else ""
        total = sum(found.unknown.values())
        facts.append(("unknown", f"{total} of {len(found.tokens)} {unit}s, read as <unk>: {most}{more}"))
    say(*parts, "", pairs(facts), *written)


def _quoted(token: str) -> str:
    return repr(token) if len(token) == 1 else token
