"""The seam between the pipeline and a compute engine."""

from ladle_rt.translate.colorize import PictureSpec
from ladle_rt.translate.select import create_translator, load_network

__all__ = ["PictureSpec", "create_translator", "load_network"]
