"""Still images in, PNG files out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from ladle_rt.errors import InputError, LadleError, OutputError, PartialResultError
from ladle_rt.files import check_target
from ladle_rt.frames import Frame, ThermalPixels
from ladle_rt.sinks.png import write_png
from ladle_rt.sources.exif import read_exif
from ladle_rt.sources.still_images import list_images, read_scenes
from ladle_rt.sources.stills.decode import count_pictures
from ladle_rt.temperature import Temperatures
from ladle_rt.thermal.scene_reader import ReadOptions
from ladle_rt.translate.base import Translator


@dataclass(frozen=True, slots=True)
class ImageJob:
    """Which images to translate and where to put them."""

    inputs: tuple[Path, ...]
    """Files, and folders whose images are meant."""
    folder: Path
    """Gets ``<stem>.png`` of each image, ``<stem>_0000.png`` and so on of a file of several;
    images of sub-folders go into sub-folders. Made if it does not exist."""
    overwrite: bool = False
    """Whether existing files may be replaced."""
    allow_colour: bool = False
    """See `TranslateOptions.allow_colour`."""
    read: ReadOptions = field(default_factory=ReadOptions)
    """What the images hold."""


def translate_images(
    job: ImageJob,
    make_translator: Callable[[tuple[int, int]], Translator],
    network_box: Callable[[tuple[int, int]], tuple[int, int]],
    prepare: Callable[[Frame], Frame],
    on_failure: Callable[[LadleError], None],
    progress: Callable[[int, int], object] | None = None,
) -> int:
    """Translate every image that can be; one that cannot does not stop the others.

    Args:
        job: what to do.
        make_translator: makes the engine, given the height and width of the first image; its
            pictures must be ``rgb24`` with uneven sides kept and without smoothing. It is closed
            at the end.
        network_box: the box for an image of a height and width.
        prepare: the thermal front end of one still.
        on_failure: told of each image that failed.
        progress: told after each image how many are done, written or failed, and of how many.

    Returns:
        Number of images written, which is all of them.

    Raises:
        InputError: a missing input, an empty folder, or not one image could be translated.
        OutputError: two inputs with one stem, or a target that exists or cannot be written;
            found before any work.
        PartialResultError: some failed; the others have been written.
    """
    targets = _plan(job)
    total = sum(map(len, targets.values()))
    written = 0
    notify = progress or (lambda done, expected: None)
    with ExitStack() as stack:
        translator: Translator | None = None
        pending: deque[tuple[Path, bytes | None]] = deque()

        def finish(translator: Translator) -> int:
            target, exif = pending.popleft()
            try:
                picture = translator.collect().picture
                write_png(target, picture, overwrite=job.overwrite, exif=exif)
            except LadleError as error:
                on_failure(error)
                return 0
            return 1

        for number, (scene, target, exif) in enumerate(_read(job, targets, on_failure)):
            pixels, celsius = scene
            height, width = pixels.shape
            if translator is None:
                translator = stack.enter_context(make_translator((height, width)))
            # A warm start may go over to an engine that takes fewer.
            while len(pending) >= translator.depth:
                written += finish(translator)
            translator.resize(network_box((height, width)))
            notify(number - len(pending), total)
            frame = Frame(pixels, number, timestamp_ns=number, celsius=celsius)
            translator.submit(prepare(frame))
            pending.append((target, exif))
        while translator is not None and pending:
            written += finish(translator)
    notify(total, total)
    failed = total - written
    if not written:
        raise InputError(f"none of {failed} images could be translated")
    if failed:
        raise PartialResultError(f"{failed} of {total} images failed; the others are written")
    return written


def _read(
    job: ImageJob,
    targets: dict[Path, tuple[Path, ...]],
    on_failure: Callable[[LadleError], None],
) -> Iterator[tuple[tuple[ThermalPixels, Temperatures | None], Path, bytes | None]]:
    """Every picture that can be read, where it goes and what its file says of itself."""
    for source, places in targets.items():
        pictures = read_scenes(source, job.allow_colour, job.read)
        exif = read_exif(source)
        try:
            for scene, target in zip(pictures, places, strict=False):
                yield scene, target, exif
        except LadleError as error:
            on_failure(error)


def _plan(job: ImageJob) -> dict[Path, tuple[Path, ...]]:
    """Targets of each input, all checked."""
    if job.folder.exists() and not job.folder.is_dir():
        raise OutputError(f"{job.folder}: expected a folder for the output, found a file")
    targets: dict[Path, tuple[Path, ...]] = {}
    for given in job.inputs:
        for source in list_images([given], job.read.recursive):
            below = source.relative_to(given).parent if given.is_dir() else Path()
            targets[source] = _places(source, job.folder / below, job.read)
    taken: dict[Path, Path] = {}
    for source, places in targets.items():
        for target in places:
            if target in taken:
                raise OutputError(
                    f"{taken[target]} and {source} would both become {target.name}; "
                    "translate them into different folders"
                )
            taken[target] = source
    for folder in {job.folder, *(target.parent for target in taken)}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
    read = {_identity(source) for source in targets}
    for target in taken:
        if target.exists() and _identity(target) in read:
            raise OutputError(
                f"{target}: input and output are the same file; choose another output"
            )
        check_target(target, overwrite=job.overwrite)
    return targets


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _places(source: Path, folder: Path, read: ReadOptions) -> tuple[Path, ...]:
    count = count_pictures(source, read)
    if count == 1:
        return (folder / f"{source.stem}.png",)
    return tuple(folder / f"{source.stem}_{number:04d}.png" for number in range(count))
