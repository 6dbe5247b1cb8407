"""``ladle-rt doctor``: is everything there, and if not, what to type."""

from __future__ import annotations

import click


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(as_json: bool) -> None:
    """Check model, GPU, engines, encoders, cameras, display and permissions.

    The exit code is 0 when videos can be translated, whatever else is missing.
    """
    import json
    from dataclasses import asdict

    from ladle_rt.pipeline.doctor import examine

    findings = []
    for one in examine():
        findings.append(one)
        if not as_json:
            sign = click.style("OK", fg="green") if one.ok else click.style("--", fg="yellow")
            remedy = "" if one.ok or not one.remedy else f" -> {one.remedy}"
            click.echo(f"{sign}  {one.name}: {one.detail}{remedy}")
    if as_json:
        click.echo(json.dumps([asdict(one) for one in findings], indent=2))
    if any(one.needed and not one.ok for one in findings):
        raise SystemExit(1)
