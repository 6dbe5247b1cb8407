"""The public face of the package, offered by ``import ladle_rt`` itself.

    translate = ladle_rt.load()
    rgb = translate(thermal)                        one picture, a batch or a list of them
    for rgb in translate.stream(frames): ...        pictures that follow each other in time
    ladle_rt.translate_video("in.mp4", "out.mp4")   a file into a file
    ladle_rt.translate_images(["in"], "out")        still images into PNG files
    for frame in ladle_rt.read_video("in.mkv"): ... thermal frames with their times

The colours are synthesised by a network, not measured. Errors that are raised on purpose are
`LadleError`, each also the natural builtin; see `ladle_rt.errors`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path

from ladle_rt.config import Backend, Isotherm, Quality, TranslateOptions, VideoEncoding
from ladle_rt.errors import LadleError
from ladle_rt.frame_stats import FrameStats
from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.models.artifact import DEFAULT_MODEL, load_artifact
from ladle_rt.pipeline import video_job
from ladle_rt.pipeline.colorizer import Colorizer
from ladle_rt.pipeline.processing import Processing
from ladle_rt.pipeline.video_job import VideoJob, VideoResult
from ladle_rt.sources.video_source import VideoSource
from ladle_rt.thermal.frontend import prepare_still
from ladle_rt.thermal.polarity import Polarity
from ladle_rt.thermal.scene_reader import ReadOptions
from ladle_rt.translate.base import Translator
from ladle_rt.translate.network_size import Size
from ladle_rt.translate.postprocess import PostProcessingTranslator
from ladle_rt.translate.select import FOR_ARRAYS, FOR_VIDEO, TranslatorFactory

__all__ = [
    "Colorizer",
    "Frame",
    "FrameStats",
    "Isotherm",
    "LadleError",
    "ReadOptions",
    "TranslateOptions",
    "TranslatedFrame",
    "VideoEncoding",
    "VideoResult",
    "load",
    "read_video",
    "translate_images",
    "translate_video",
]

logger = logging.getLogger("ladle_rt")

Model = str | Path
"""Name of a shipped model, or path of an ``.onnx`` file with its JSON beside it."""


def load(
    model: Model | None = None,
    *,
    backend: Backend = "auto",
    quality: Quality | Size | None = None,
    threads: int | None = None,
    fixed_range: tuple[float, float] | None = None,
    polarity: Polarity = "white-hot",
    options: TranslateOptions | None = None,
) -> Colorizer:
    """Load a model as a function of thermal arrays.

    Its files are checked here; the engine is made with the first picture, whose size it needs.
    On the CPU, OpenCV's own threads are switched off for the whole process then: they would
    compete with the engine's.

    Args:
        model: name of a shipped model or path of an ``.onnx`` file; ``None``: the default one.
        backend: compute engine; ``auto``: the best that this machine has.
        quality: size the network works in, the larger the finer and slower: ``fast``,
            ``balanced``, ``best``, or a height and width; ``None``: ``best`` in calls,
            ``balanced`` in streams.
        threads: pictures translated at the same time; ``None``: one per usable core.
        fixed_range: values that are black and white in every picture, in the unit of the
            arrays, for example degrees; ``None``: each picture's own percentiles, which a
            stream follows over time.
        polarity: what is bright in arrays: ``white-hot``, ``black-hot``, or ``auto``, which
            looks and on doubt inverts nothing.
        options: how to translate; backend, quality and threads go before it where given.

    Returns:
        A function and context manager; it holds threads and memory until it is closed.

    Raises:
        ModelError: no such model, or its files do not belong together.
        ConfigError: an option outside its range.
    """
    settings = _settings(options, backend, quality, threads)
    return Colorizer(load_artifact(model or DEFAULT_MODEL), settings, fixed_range, polarity)


def translate_video(
    source: str | Path,
    target: str | Path,
    *,
    model: Model | None = None,
    backend: Backend = "auto",
    quality: Quality | Size | None = None,
    threads: int | None = None,
    options: TranslateOptions | None = None,
    overwrite: bool = False,
    read: ReadOptions | None = None,
    fps: float | None = None,
    progress: Callable[[FrameStats, int | None], None] | None = None,
    stop: threading.Event | None = None,
) -> VideoResult:
    """Translate a thermal video file into a colour one, every frame with its time, and the sound.

    The output appears whole or not at all. May be called in several threads at once.

    Args:
        source: a thermal video file; a folder of images, a pattern such as ``frame_%05d.png``, or
            a stack of images.
        target: its extension chooses the container.
        model: as in `load`, as are the next four; ``quality`` is ``balanced`` by default.
        backend: see above.
        quality: see above.
        threads: see above.
        options: see above; also the part to translate, the encoding and the sound.
        overwrite: whether an existing output may be replaced.
        read: what the input holds: polarity, palette, crop, mask, track.
        fps: frames per second of images; 25.
        progress: told after each frame and at the end where the frames are and how many are
            expected, ``None`` where the file does not say; in the calling thread, so it should
            be quick.
        stop: when set, the frames so far become a shorter, whole file.

    Raises:
        InputNotFoundError: no such file; also a `FileNotFoundError`.
        InputError: not a video, or in colour; also a `ValueError`.
        OutputError: it exists, or cannot be written; also an `OSError`.
        PartialResultError: the input is damaged; what could be read has been written.
        LadleError: as in `load`, and what its engine raises.
    """
    settings = _settings(options, backend, quality, threads)
    job = VideoJob(Path(source), Path(target), settings, overwrite, read or ReadOptions(), fps)

    def make(frame: Size) -> Processing:
        # Not before the files were looked at: they are what is most often wrong.
        artifact = load_artifact(model or DEFAULT_MODEL)
        translators = TranslatorFactory(artifact, settings, "balanced", FOR_VIDEO)
        return Processing(translators(frame), settings, artifact.info.thermal)

    return video_job.translate_video(job, make, stop=stop, on_progress=progress)


def translate_images(
    inputs: Iterable[str | Path],
    folder: str | Path,
    *,
    model: Model | None = None,
    backend: Backend = "auto",
    quality: Quality | Size | None = None,
    threads: int | None = None,
    options: TranslateOptions | None = None,
    overwrite: bool = False,
    read: ReadOptions | None = None,
    on_failure: Callable[[LadleError], None] | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Translate thermal stills into colour PNG files of the same size.

    Each has its own thermal levels. One that cannot be translated does not stop the others.

    Args:
        inputs: image files, and folders whose images are meant.
        folder: gets ``<stem>.png`` of each image, ``<stem>_0000.png`` and so on of a file of
            several; made if it does not exist.
        model: as in `load`, as are the next four; ``quality`` is ``best`` by default.
        backend: see above.
        quality: see above.
        threads: see above.
        options: see above; what is said to be for video only does not count.
        overwrite: whether existing files may be replaced.
        read: what the images hold: polarity, palette, crop, mask, size of raw dumps, sub-folders.
        on_failure: told of each image that failed; by default the log is.
        progress: told now and then how many images are done, and of how many.

    Returns:
        Number of images written, which is all of them.

    Raises:
        InputNotFoundError: a missing input; also a `FileNotFoundError`.
        InputError: an empty folder, or not one image could be translated; also a `ValueError`.
        OutputError: two inputs with one stem, or a target that exists or cannot be written.
        PartialResultError: some failed; the others have been written.
        LadleError: as in `load`, and what its engine raises.
    """
    # Brings the readers of every kind of still, which videos and arrays do without.
    from ladle_rt.pipeline import image_job

    chosen = _settings(options, backend, quality, threads)
    settings = replace(chosen, smoothing_s=0.0, steady=0.0, drift_warning=False)
    artifact = load_artifact(model or DEFAULT_MODEL)
    thermal = artifact.info.thermal
    translators = TranslatorFactory(artifact, settings, "best", FOR_ARRAYS)

    def make(frame: Size) -> Translator:
        return PostProcessingTranslator(translators(frame), settings, thermal)

    return image_job.translate_images(
        image_job.ImageJob(
            tuple(map(Path, inputs)),
            Path(folder),
            overwrite,
            settings.allow_colour,
            read or ReadOptions(),
        ),
        make,
        translators.size.box,
        lambda frame: prepare_still(frame, settings, thermal),
        on_failure or (lambda error: logger.error("%s", error)),
        progress,
    )


def read_video(
    path: str | Path,
    *,
    start_s: float = 0.0,
    duration_s: float | None = None,
    allow_colour: bool = False,
    read: ReadOptions | None = None,
) -> Generator[Frame, None, None]:
    """Open a thermal video file and read its frames, as `Colorizer.stream` takes them.

    Args:
        path: any video file that FFmpeg reads.
        start_s: skip so many seconds.
        duration_s: read so many seconds; ``None``: up to the end.
        allow_colour: take the luminance of a coloured video instead of refusing it.
        read: what the video holds: polarity, palette, crop, mask, track.

    Returns:
        Every frame once, in order: ``pixels`` HxW uint8 or uint16 in the file's own counts, which
        the caller owns, and ``time_s``. The file is open until the last one or ``close()``.

    Raises:
        InputNotFoundError: no such file; at the call, as are the next ones.
        InputError: not a readable video, or in colour; also a `ValueError`.
        ConfigError: a negative start or a duration that is not positive.
        PartialResultError: after the last frame, when the file is damaged.
    """
    return _frames(VideoSource(Path(path), start_s, duration_s, allow_colour, read))


def _frames(source: VideoSource) -> Generator[Frame, None, None]:
    with source:
        yield from source


def _settings(
    options: TranslateOptions | None,
    backend: Backend,
    quality: Quality | Size | None,
    threads: int | None,
) -> TranslateOptions:
    """The options, and what was given by itself in their place."""
    settings = options or TranslateOptions()
    if backend != "auto":
        settings = replace(settings, backend=backend)
    if isinstance(quality, tuple):
        settings = replace(settings, size=quality, quality=None)
    elif quality is not None:
        settings = replace(settings, quality=quality, size=None)
    return settings if threads is None else replace(settings, threads=threads)
