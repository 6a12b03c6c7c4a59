"""Small curves for notebooks, as svg, without Matplotlib."""

from __future__ import annotations

import numpy as np

from gateflow.flow.density import Array

MARGIN = 8


def curve(x: Array, y: Array, title: str, width: int = 320, height: int = 120) -> str:
    """A curve through the points, scaled to the frame; nothing for fewer than two.

    Examples
    --------
    >>> curve(np.array([0.0, 1.0]), np.array([0.0, 2.0]), "up").count("points")
    1
    """
    if x.size < 2:
        return ""
    across, up = ((a - a.min()) / max(np.ptp(a), 1e-300) for a in (x, y))
    points = " ".join(
        f"{MARGIN + (width - 2 * MARGIN) * a:.1f},{height - MARGIN - (height - 2 * MARGIN) * b:.1f}"
        for a, b in zip(across, up, strict=True)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="img"><title>{title}</title>'
        f'<polyline fill="none" stroke="currentColor" stroke-width="1.5" points="{points}"/></svg>'
    )
