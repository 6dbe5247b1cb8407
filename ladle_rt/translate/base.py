"""What every compute engine offers to the pipeline, and nothing more."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, runtime_checkable

from ladle_rt.closing import Closing
from ladle_rt.config import Layout
from ladle_rt.frames import Frame, TranslatedFrame
from ladle_rt.thermal.normalization import FollowedLevels


@runtime_checkable
class Translator(Protocol):
    """Turns thermal frames into colour pictures, in order.

    One thread submits and one (the same or another) collects. Ownership: the translator
    may read ``frame.pixels`` until the frame has been collected; the picture it hands out
    belongs to the caller and is never written again.
    """

    @property
    def name(self) -> str:
        """The engine and what it runs on, for logs: ``"onnxruntime (2 workers)"``."""

    @property
    def depth(self) -> int:
        """How many frames may be in flight; `submit` beyond it blocks."""

    @property
    def network_size(self) -> tuple[int, int]:
        """Height and width of the box the network works in, from the next frame on."""

    @property
    def layout(self) -> Layout:
        """How its pictures are laid out, from the first to the last."""

    def resize(self, size: tuple[int, int]) -> None:
        """Let the network work in another box from the next submitted frame on.

        Called in the submitting thread or any other; frames in flight keep their size.

        Args:
            size: height and width, pixels.
        """

    def supports(self, frame: tuple[int, int], box: tuple[int, int]) -> bool:
        """Whether it can translate frames of a size in a box of the network.

        Called in any thread.

        Args:
            frame: height and width, pixels.
            box: as `resize` takes it.
        """

    def submit(self, frame: Frame) -> int:
        """Enqueue one frame and return its ticket, counting from 0.

        Blocks only while `depth` frames are in flight.

        Raises:
            BackendError: the translator is closed.
        """

    def collect(self, timeout_s: float | None = None) -> TranslatedFrame:
        """The next result, in the order of submission.

        Args:
            timeout_s: how long to wait; ``None`` waits as long as the work takes.

        Raises:
            PipelineError: nothing in flight, or the timeout passed.
            BackendError: the translator is closed, and this frame was dropped.
            LadleError: whatever made this frame fail, with its original traceback.
        """

    def followed_levels(self) -> FollowedLevels | None:
        """The thermal levels after the last submitted frame; ``None`` before the first.

        Called in the submitting thread; may wait for the frames in flight.

        Raises:
            BackendError: the translator is closed, or its engine failed.
        """

    def resume_levels(self, followed: FollowedLevels) -> None:
        """Go on from another translator's levels, from the next submitted frame on.

        Called in the submitting thread; may wait for the frames in flight.

        Raises:
            BackendError: the translator is closed, or its engine failed.
        """

    def close(self) -> None:
        """Drop what is in flight and release the engine; calling it twice is harmless."""

    def __enter__(self) -> Translator: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class DelegatingTranslator(Closing, Translator):
    """A `Translator` that is another one, but for what a subclass does in another way.

    Args:
        engine: translates; belongs to this object. A subclass may put another in its place.
    """

    def __init__(self, engine: Translator) -> None:
        self._engine = engine

    @property
    def name(self) -> str:
        """Of the engine that the next frame goes to."""
        return self._engine.name

    @property
    def depth(self) -> int:
        """Of the engine that the next frame goes to; ask again before each frame."""
        return self._engine.depth

    @property
    def network_size(self) -> tuple[int, int]:
        """Of the engine that the next frame goes to."""
        return self._engine.network_size

    @property
    def layout(self) -> Layout:
        """The engine's, and that of every other in its place."""
        return self._engine.layout

    def resize(self, size: tuple[int, int]) -> None:
        """See `Translator.resize`."""
        self._engine.resize(size)

    def supports(self, frame: tuple[int, int], box: tuple[int, int]) -> bool:
        """Of the engine that the next frame goes to."""
        return self._engine.supports(frame, box)

    def submit(self, frame: Frame) -> int:
        """See `Translator.submit`."""
        return self._engine.submit(frame)

    def collect(self, timeout_s: float | None = None) -> TranslatedFrame:
        """See `Translator.collect`."""
        return self._engine.collect(timeout_s)

    def followed_levels(self) -> FollowedLevels | None:
        """Of the engine that had the last frame."""
        return self._engine.followed_levels()

    def resume_levels(self, followed: FollowedLevels) -> None:
        """See `Translator.resume_levels`."""
        self._engine.resume_levels(followed)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()
