"""Metadata that says where a picture was taken."""

from __future__ import annotations

from PIL import ExifTags, Image

TIME = "2026:05:01 12:30:00"
XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description exif:GPSLatitude="52,31.5N" dc:title="at home">'
    b"<exif:GPSLongitude>13,24.5E</exif:GPSLongitude></rdf:Description></x:xmpmeta>"
)
SECRETS = (b"52,31.5N", b"13,24.5E", b"Berlin")


def exif(order: str = "<") -> bytes:
    found = Image.Exif()
    found.endian = order
    found[ExifTags.Base.Orientation] = 6
    found.get_ifd(ExifTags.IFD.Exif).update({ExifTags.Base.DateTimeOriginal: TIME})
    found.get_ifd(ExifTags.IFD.GPSInfo).update(
        {
            ExifTags.GPS.GPSLatitudeRef: "N",
            ExifTags.GPS.GPSLatitude: (52.0, 31.0, 5.0),
            ExifTags.GPS.GPSAreaInformation: b"ASCII\0\0\0Berlin, at home",
        }
    )
    return found.tobytes()
