"""Take the stored runs of the registered study into results/study, and tell the pages how many there are.

    python benchmarks/study_results.py FOLDER

FOLDER is what --keep named; runs of the registered decays are taken and counted too. Only counts are looked at. A file
that lacks a line which results/study has is refused.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from gateflow.files import write_text
from gateflow.study.experiments import EXPERIMENTS

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "results" / "study"
PLANNED = {"study-slopes": 240, "study-tuning": 180, "study-rates": 120, "study-bridge": 1080, "study-start": 40}
DECAYS = {"decays-slopes": 120, "decays-tuning": 108, "decays-rates": 120}
COUNT = re.compile(r"(?P<before><!-- (?P<which>study|decays): counts -->\s*)[\d,]+ of [\d,]+ runs are done")


def stored(folder: Path = RESULTS) -> dict[str, int]:
    """How many runs each experiment has stored."""
    return {
        name: sum(len(path.read_text(encoding="utf-8").splitlines()) for path in (folder / name).glob("*.jsonl"))
        for name in [*PLANNED, *DECAYS]
    }


def counted(which: str, folder: Path = RESULTS) -> str:
    """How many runs of the study, or of the decays, are done."""
    planned = {"study": PLANNED, "decays": DECAYS}[which]
    done = stored(folder)
    return f"{sum(done[name] for name in planned):,} of {sum(planned.values()):,} runs are done"


def told(text: str) -> str:
    """A page with the numbers of runs that are done."""
    return COUNT.sub(lambda found: found["before"] + counted(found["which"]), text)


def take(folder: Path) -> int:
    """Copy what is new; how many runs results/study has."""
    assert set(PLANNED) == {name for name, plan in EXPERIMENTS.items() if plan.registered and name.startswith("study-")}
    for name in [*PLANNED, *DECAYS]:
        for path in sorted((folder / name).glob("*.jsonl")):
            text, kept = path.read_text(encoding="utf-8"), RESULTS / name / path.name
            lost = set(kept.read_text(encoding="utf-8").splitlines() if kept.exists() else ()) - set(text.splitlines())
            if lost:
                raise SystemExit(f"{path} lacks {len(lost)} runs that {kept} has")
            kept.parent.mkdir(parents=True, exist_ok=True)
            write_text(kept, text)
    for page in (ROOT / "README.md", ROOT / "docs" / "study.md"):
        page.write_text(told(page.read_text(encoding="utf-8")), encoding="utf-8")
    return sum(stored().values())


if __name__ == "__main__":
    print(take(Path(sys.argv[1])), "runs are stored")
