"""A camera as the grid shows it."""

from __future__ import annotations

from typing import Any

from ladle_rt.serve.camera_worker import CameraWorker


def camera_overview(name: str, worker: CameraWorker) -> dict[str, Any]:
    """Figures, alarms and recordings of one camera, JSON-ready."""
    figures, state = worker.figures(), worker.state()
    recording = worker.recording
    return {
        "name": name,
        "source": figures.source,
        "state": figures.state,
        "problem": figures.problem,
        "captured": figures.captured,
        "presented": figures.presented,
        "dropped": dict(figures.dropped),
        "in_flight": figures.in_flight,
        "fps_captured": figures.fps_captured,
        "fps_presented": figures.fps_presented,
        "recent_latency_ms": {
            "p50": figures.recent_latency_ms.p50,
            "p95": figures.recent_latency_ms.p95,
        },
        "network_size": figures.network_size,
        "reconnects": figures.reconnects,
        "restarts": state.restarts,
        "alarms": [{"kind": one.kind, "text": one.text} for one in state.alarms],
        "recorded": state.recorded if recording is None else recording.name,
    }
