"""A digest inside a JSON object over all the rest of it: by it gateflow knows its own files again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def digest(data: bytes) -> str:
    """SHA-256 in 64 characters."""
    return hashlib.sha256(data).hexdigest()


def sealed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with their digest.

    Examples
    --------
    >>> is_sealed(sealed({"kind": "run"})), is_sealed({"kind": "run", "digest": "0"})
    (True, False)
    """
    return {**facts, "digest": _digest(facts)}


def is_sealed(found: Any) -> bool:
    """Whether a value read from JSON is an object whose digest fits."""
    if not isinstance(found, dict) or not isinstance(found.get("digest"), str):
        return False
    try:
        return found["digest"] == _digest({name: value for name, value in found.items() if name != "digest"})
    except (RecursionError, ValueError, TypeError):
        return False


def _digest(facts: Mapping[str, Any]) -> str:
    text = json.dumps(facts, sort_keys=True, separators=(",", ":"))
    return digest(f"gateflow\n{text}".encode())
