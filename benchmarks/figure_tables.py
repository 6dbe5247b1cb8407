"""How recorded figures are written in texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Record = Mapping[str, Any]


def table(*rows: tuple[str, ...]) -> str:
    """Markdown; the first row is the headings."""
    lines = [rows[0], ("---",) * len(rows[0]), *rows[1:]]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def machine(record: Record) -> str:
    """Where and when, in words."""
    of = record["machine"]
    return f"{of['cores']} cores of {of['cpu']}, {of['system']}, {record['date']}"


def number(value: float) -> str:
    """Three significant digits, and no exponent."""
    text = f"{value:.3g}"
    return text if "e" not in text else f"{value:,.0f}"
