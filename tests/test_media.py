"""Tags as cameras and old programs write them, read by every PyAV in the range."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from ladle_rt.media import open_media

WRITTEN = b"Kaefer-Strasse"
LATIN_1 = "K\xe4fer-Stra\xdfe".encode("latin-1").ljust(len(WRITTEN), b".")


def test_a_tag_that_is_not_utf_8_does_not_hide_the_video(tmp_path: Path) -> None:
    path = tmp_path / "in.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = WRITTEN.decode()
        stream = container.add_stream("ffv1", rate=25, width=16, height=16, pix_fmt="gray")
        frame = av.VideoFrame.from_ndarray(np.zeros((16, 16), np.uint8), format="gray")
        container.mux([*stream.encode(frame), *stream.encode(None)])
    held = path.read_bytes()
    assert held.count(WRITTEN) == 1
    path.write_bytes(held.replace(WRITTEN, LATIN_1))

    with open_media(str(path)) as container:
        assert "fer-Stra" in container.metadata["title"]
        assert len(list(container.decode(video=0))) == 1
