"""A page that shows the stream in a browser."""

from ladle_rt.sinks.preview.preview_sink import PreviewSink, open_preview

__all__ = ["PreviewSink", "open_preview"]
