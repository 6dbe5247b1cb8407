"""``ladle-rt models``: what ships and what can be trained."""

from __future__ import annotations

import click


@click.command("models")
def command() -> None:
    """List the models that ship and the architectures that can be trained."""
    from rich.console import Console
    from rich.table import Table

    from ladle_rt.models.listing import LISTING_SIZE, registered_rows, shipped_rows

    rows = [("ships", row) for row in shipped_rows()]
    note = None
    try:
        rows += [("trainable", row) for row in registered_rows()]
    except ImportError:
        note = "install 'ladle-rt[train]' to list and train the registered architectures"
    size = f"{LISTING_SIZE[1]}x{LISTING_SIZE[0]}"
    table = Table()
    for name in ("", "model", "parameters (M)", f"GMAC at {size}", "on disk (MB)"):
        table.add_column(name, justify="left" if name in ("", "model") else "right", no_wrap=True)
    for kind, row in rows:
        on_disk = "" if row.size_mb is None else f"{row.size_mb:.1f}"
        table.add_row(
            kind, row.name, f"{row.parameters / 1e6:.2f}", f"{row.macs / 1e9:.2f}", on_disk
        )
    Console(width=None if Console().is_terminal else 100).print(table)
    if note:
        click.echo(note)
