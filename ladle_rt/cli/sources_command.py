"""``ladle-rt sources``: what can be given to ``stream --device``."""

from __future__ import annotations

import click


@click.command("sources")
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def command(as_json: bool) -> None:
    """List cameras with their formats, and the other kinds of sources."""
    import json
    from dataclasses import asdict

    from ladle_rt.sources.camera_listing import list_cameras
    from ladle_rt.sources.gstreamer_source import built_with_gstreamer
    from ladle_rt.sources.select import kinds

    cameras = list_cameras()
    gstreamer = built_with_gstreamer()
    if as_json:
        found = {"cameras": [asdict(one) for one in cameras], "gstreamer": gstreamer}
        click.echo(json.dumps(found, indent=2))
        return
    for one in cameras:
        kind = "thermal camera" if one.thermal else "camera"
        click.echo(f"{one.device}  {one.name} [{kind}]" if one.name else one.device)
        for line in (one.problem, one.chosen and f"captured as {one.chosen}"):
            if line:
                click.echo(f"    {line}")
        for offer in one.formats:
            click.echo(f"    {offer}")
    if not cameras:
        click.echo("no cameras; try: ladle-rt stream --device synthetic --preview 8080")
    click.echo(f"kinds: {kinds()}")
    if not gstreamer:
        click.echo("csi: and gst: need an OpenCV built with GStreamer; this one is not")
