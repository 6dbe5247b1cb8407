"""What a still says of itself: when, where and by which camera it was taken."""

from __future__ import annotations

import logging
from pathlib import Path

from PIL import ExifTags, Image

logger = logging.getLogger("ladle_rt")

OF_THE_FILE = (
    ExifTags.Base.ImageWidth,
    ExifTags.Base.ImageLength,
    ExifTags.Base.BitsPerSample,
    ExifTags.Base.Compression,
    ExifTags.Base.PhotometricInterpretation,
    ExifTags.Base.StripOffsets,
    ExifTags.Base.SamplesPerPixel,
    ExifTags.Base.RowsPerStrip,
    ExifTags.Base.StripByteCounts,
    ExifTags.Base.PlanarConfiguration,
    ExifTags.Base.SampleFormat,
    ExifTags.Base.Predictor,
)
"""How pixels lie in the old file: of TIFF files they stand among the others."""
OF_THE_PIXELS = (ExifTags.Base.ExifImageWidth, ExifTags.Base.ExifImageHeight)
NOT_CARRIED = {"xmp": "XMP", "photoshop": "IPTC"}
"""Other blocks of facts, which no chunk of the output is made for."""


def read_exif(path: Path) -> bytes | None:
    """EXIF of an image, for a picture made from it that stands upright.

    Args:
        path: any image; what cannot be read has none.

    Returns:
        A TIFF structure with date, place (GPS), camera and lens; the orientation is 1, because
        it has been applied, and thumbnails are left out. ``None`` where there is nothing to keep.
    """
    try:
        with Image.open(path) as image:
            exif = image.getexif()
            lost = [name for key, name in NOT_CARRIED.items() if key in image.info]
            gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
            facts = exif.get_ifd(ExifTags.IFD.Exif)
    # Pillow has no common error for damaged files, and facts are no reason to refuse a picture.
    except Exception as error:
        logger.debug("%s: no EXIF (%s)", path, error)
        return None
    if lost:
        logger.warning("%s: %s not carried over", path.name, " and ".join(lost))
    for tag in OF_THE_FILE:
        exif.pop(tag, None)
    for tag in OF_THE_PIXELS:
        facts.pop(tag, None)
    if not (len(exif) or gps or facts):
        return None
    if ExifTags.Base.Orientation in exif:
        exif[ExifTags.Base.Orientation] = 1
    return exif.tobytes().removeprefix(b"Exif\0\0")
