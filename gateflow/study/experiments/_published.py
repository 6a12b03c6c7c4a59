"""Where published settings come from: authors' repositories at the commits that were read, with file and line."""

from __future__ import annotations

JANET = "JosvanderWesthuizen/janet at fa2f0a5"
NRU = "apsarath/NRU at b9972dc"
MAHTO = "HuthLab/multi-timescale-LSTM-LMs at d27de33"
REFINE = "state-spaces/s4 at a0c724a, src/models/nn/gate.py"

NOISY = "NTanhP of caglar/noisy_units, codes/theano/nunits.py, read in copies; the line is not known"

PAPER = "Ohno, Kanai and Ida 2023 (arXiv 2210.01348)"

UNKNOWN = "not known; ours"
"""What no text or code that was read says."""

PAPER_UNKNOWN = dict.fromkeys(("optimizer", "lr", "batch", "clip", "steps"), UNKNOWN)
"""The paper's optimiser, rates, batch, clipping and steps could not be confirmed; no code of it is known."""

FROM_THE_START = {
    "softsign": {"forget_gate": "softsign", "init": "matched"},
    "sigmoid": {"forget_gate": "sigmoid", "init": "matched"},
    "fast": {"forget_gate": "fast", "init": "matched"},
    "refine": {"cell": "refine", "forget_gate": "sigmoid", "init": "matched", "tied": False},
}
"""phi(b_f) = sigma(1) for every gate, refine bias 0."""

SOURCES_OF_THE_START = {
    "forget_gate": PAPER,
    "cell": PAPER,
    "init": f"phi(b_f) = sigma(1), refine bias 0, chrono: {PAPER}",
    "tied": "not known; an input gate of its own, as the others have",
    "method": "each its own source: gateflow train --list",
}
