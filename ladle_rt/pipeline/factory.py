"""From a model and settings to engines for frames of any size: the wiring that all share."""

from __future__ import annotations

from dataclasses import dataclass

from ladle_rt.config import Quality, TranslateOptions
from ladle_rt.models.artifact import ModelArtifact
from ladle_rt.pipeline.engine_choice import PictureSpec, make_translator
from ladle_rt.pipeline.network_size import NetworkSize, Size
from ladle_rt.translate.base import Translator

FOR_ARRAYS = PictureSpec("rgb24", even=False)
"""Pictures for arrays and still images: of the frame's own size."""
FOR_VIDEO = PictureSpec("yuv420p", even=True)
"""Pictures for encoders."""


@dataclass(frozen=True, slots=True)
class TranslatorFactory:
    """Makes the engine for frames of a size; called with their height and width."""

    artifact: ModelArtifact
    """The model."""
    options: TranslateOptions
    """What the user chose."""
    usual: Quality
    """The quality where the user chose none."""
    picture: PictureSpec
    """What the pictures are for."""
    climbs: bool = False
    """Whether a latency budget moves the network's box."""

    @property
    def size(self) -> NetworkSize:
        """The box that the network works in, by the frame."""
        return NetworkSize(self.options, self.artifact.info, self.usual, self.climbs)

    def __call__(self, frame: Size) -> Translator:
        """Make an engine; the caller closes it.

        Raises:
            BackendError: a backend was asked for by name, and this machine cannot run it.
            MissingDependencyError: the same, because something is not installed.
            ModelError: the model cannot be used.
        """
        size = self.size
        return make_translator(self.artifact, size.settled(frame), self.picture, size.shapes(frame))
