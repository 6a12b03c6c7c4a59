"""The rules of axe-core (https://github.com/dequelabs/axe-core), put to a page in headless Chromium.

The file is that of the package ``axe-core-python``, or another one, a newer one say, that ``AXE_CORE`` names.
"""

from __future__ import annotations

import importlib.util
import os
from functools import cache
from pathlib import Path

import pytest

from tests.reports.chromium import Page

ASK = """
    axe.run({resultTypes: ["violations"]}).then(found => found.violations.flatMap(rule => rule.nodes.map(node =>
        `${rule.id}: ${node.html.slice(0, 150)}: ${(node.any[0] || node.all[0] || node.none[0]).message}`)))
"""


@cache
def source() -> str:
    """The text of axe-core; without it, what asks for it is skipped."""
    package = importlib.util.find_spec("axe_core_python")
    path = os.environ.get("AXE_CORE") or (package and Path(str(package.origin)).with_name("axe.min.js"))
    if not path:
        pytest.skip("no axe-core on this machine: pip install axe-core-python")
    return Path(path).read_text(encoding="utf-8")


def violations(page: Page) -> list[str]:
    """What a page does against the rules, all of them: the rule, the element, and what is wrong with it."""
    page.call("Runtime.evaluate", expression=source())
    found = page.call("Runtime.evaluate", expression=ASK, awaitPromise=True, returnByValue=True)
    assert "exceptionDetails" not in found, found
    return found["result"]["value"]
