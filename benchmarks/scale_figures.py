"""Texts of archives and of many cameras, from what was recorded; see `fill_figures`."""

from __future__ import annotations

import statistics

from figure_tables import Record, machine, number, table

from ladle_rt.archive.work import TELL_S

WORKERS = 8
"""Of a node."""
NODES = 1000
S3_WRITES = 3500
"""A second for a prefix: "Best practices design patterns: optimizing Amazon S3 performance"."""
WRITES = ("put", "write")
SEGMENT_S = 60
"""What a worker as fast as real time takes for a segment of a minute."""


def overhead(record: Record) -> str:
    """One recording by all means."""
    settings, turns = record["settings"], record["results"]["turns"]
    titles = {
        "video": "`ladle-rt video`",
        "local_1": "`archive`, 1 local worker",
        "ray_1": "`archive`, 1 node of a cluster",
        "local_2": "`archive`, 2 local workers",
        "ray_2": "`archive`, 2 nodes of a cluster",
        "local_start": "`archive` that is done already",
        "ray_start": "the same with a cluster",
    }
    ratios = [
        f"{measure}_over_video{without}"
        for without in ("", "_without_start")
        for measure in ("wall", "cpu")
    ]
    rows = [
        (
            f"{turns['frames']} frames of 320x256 at {settings['quality']}",
            *("wall s", "CPU s", "wall, of `video`", "CPU, of `video`"),
            *("wall without the start", "CPU without the start"),
        )
    ]
    for name, title in titles.items():
        if name not in turns["wall_s"]:
            continue
        times = (
            number(statistics.median(turns[f"{of}_s"][name])) if name in turns[f"{of}_s"] else ""
            for of in ("wall", "cpu")
        )
        of_video = (f"{turns[key][name]:.3f}" if name in turns[key] else "" for key in ratios)
        rows.append((title, *times, *of_video))
    return (
        f"{machine(record)}; segments of {settings['segment_s']} s, medians of "
        f"{settings['turns']} turn(s), load average before {settings['load_average_before']:g}. "
        f"The idle cluster takes {turns['cluster_idle_cores']:g} cores beside the others.\n\n"
        f"{table(*rows)}"
    )


def archive(record: Record) -> str:
    """The same, and the archive whose nodes were killed."""
    killed = record["results"]["killed_nodes"]
    kills = "; ".join(
        f"when {one['recordings_done']} recordings were done and {one['segments_finished']} "
        "segments of others finished"
        for one in killed["kills"]
    )
    once = "every frame once" if killed["every_frame_once"] else "NOT every frame once"
    return (
        f"{overhead(record)}\n"
        f"{killed['recordings']} recordings of eight kinds, {killed['damaged_on_purpose']} of them "
        f"broken on purpose, on two nodes, of which one was killed each time {kills}: "
        f"{killed['workers_lost']} workers lost, {killed['videos']} videos, {killed['frames']} "
        f"frames, {once}. The largest difference of a pixel before encoding was "
        f"{killed['largest_difference_to_undisturbed']} of 255 to what undisturbed local workers "
        f"made, and {killed['largest_difference_to_single_run']} to one run of `ladle-rt video`. "
        f"It took {killed['ray_2_nodes_killed_s']:g} s, {killed['local_2_workers_s']:g} s by two "
        f"local workers undisturbed; skipping all of them {killed['again_all_skipped_s']:g} s.\n"
    )


def thousand(record: Record) -> str:
    """Where driver, storage and object store are full."""
    results = record["results"]
    driver, turns = results["driver"], results["turns"]
    asked = results["requests"]["per_segment"]
    requests, writes = sum(asked.values()), sum(asked.get(one, 0) for one in WRITES)
    events = (SEGMENT_S / TELL_S + 1) / SEGMENT_S
    workers = NODES * WORKERS
    segments = workers / SEGMENT_S
    minutes = record["settings"]["seconds"] / 60
    full = {
        "the driver's core": 1000 / driver["cpu_ms_per_event"] / events,
        "the driver's round trips": driver["events_per_s"] / events,
        f"the storage, at {S3_WRITES:,} writes a second, what S3 documents for one prefix": (
            S3_WRITES * SEGMENT_S / writes
        ),
    }
    first = min(full, key=lambda name: full[name])
    rows = [("full at", "workers", f"nodes of {WORKERS}")]
    rows += [(name, f"{n:,.0f}", f"{n / WORKERS:,.0f}") for name, n in full.items()]
    share = workers * events * driver["cpu_ms_per_event"] / 1000
    read = turns["recording_bytes"] / minutes * segments / 2**20
    written = turns["video_bytes"] / minutes * segments / 2**20
    calls = ", ".join(f"{count:g} {name}" for name, count in asked.items() if count)
    return (
        f"{machine(record)}. An event takes {driver['cpu_ms_per_event']:g} ms of the driver's CPU "
        f"and at most {driver['event_bytes']} bytes; {driver['events_per_s']:,.0f} a second came "
        f"through. A segment asks the storage {requests:g} times ({calls}), {writes:g} of them "
        f"writing.\n\n"
        f"{table(*rows)}\n"
        f"{NODES:,} nodes of {WORKERS} take {share:.0%} of the driver's core. They ask the storage "
        f"{requests * segments:,.0f} times a second, {writes * segments:,.0f} of them writing, and "
        f"with recordings as here read {read:,.0f} and write {written:,.0f} MiB a second. The "
        f"object store holds the model, {driver['model_bytes'] / 2**20:.1f} MiB on each node, and "
        f"sees {workers * events * driver['event_bytes'] / 2**20:.2f} MiB of events a second. "
        f"First full is {first}.\n"
    )


def serve(record: Record) -> str:
    """Frames and latency of every camera."""
    settings, results = record["settings"], record["results"]
    heads = ("captured", "presented", "dropped", "frames/s", "latency p50", "p95", "p99 ms")
    rows = [("camera", *heads)]
    for name, one in results["cameras"].items():
        rows.append(
            (
                *(name, f"{one['captured']}", f"{one['presented']}"),
                ", ".join(f"{count} {why}" for why, count in one["dropped"].items()) or "0",
                number(one["fps"]["before"]),
                *(number(one["latency_ms"][key]) for key in ("p50", "p95", "p99")),
            )
        )
    before, during, after = results["fps_others_before_during_after"]
    agree = "Every account adds up" if results["accounts_add_up"] else "Accounts do NOT add up"
    back = "came back" if results["came_back"] else "did NOT come back"
    busy = results["load_average"]
    return (
        f"{machine(record)}; {settings['minutes']:g} minutes; clips: {settings['clips']}; "
        f"load average {busy:.1f} at the end, {results['cores_used']:g} cores used.\n\n"
        f"{table(*rows)}\n"
        f"{agree}. The killed camera was {results['state_while_unplugged']} meanwhile and {back}; "
        f"the others together showed {before:g} pictures a second before, {during:g} meanwhile and "
        f"{after:g} after.\n"
    )
