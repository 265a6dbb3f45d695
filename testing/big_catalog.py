"""A catalog of any size without any image bytes: bulk inserts of the rows that real uploads would have left."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import Engine, insert

from elastic_images.core.partitions import partition_of
from elastic_images.database.migrate import migrate
from elastic_images.storage.catalog.tables import image_keys, image_usage, images
from testing.query_plans import gather_statistics

CHUNK = 10_000
SIZE_BYTES = 100_000
BEGAN_AT = 1_700_000_000.0


def key(number: int) -> str:
    """The key of an image: ten folders of a thousand folders each, which share all images."""
    return f"album-{number % 10}/day-{number // 10 % 1000:03}/photograph-{number:09}.jpg"


def fill(engine: Engine, rows: int, progress: Callable[[int], object]) -> None:
    """Create the tables and `rows` images, and update the database's statistics."""
    migrate(engine)
    usage: Counter[int] = Counter()
    for start in range(0, rows, CHUNK):
        made = [_row(number) for number in range(start, min(start + CHUNK, rows))]
        usage.update(partition_of(row["key"]) for row in made)
        with engine.begin() as connection:
            connection.execute(insert(images), made)
            connection.execute(
                insert(image_keys), [{name: row[name] for name in ("key", "version", "updated_at")} for row in made]
            )
        if (start // CHUNK) % 20 == 0:
            progress(start + len(made))
    with engine.begin() as connection:
        connection.execute(
            insert(image_usage),
            [{"partition": at, "images": count, "size_bytes": count * SIZE_BYTES} for at, count in usage.items()],
        )
    gather_statistics(engine, "images", "image_keys", "image_changes", "image_usage")


def _row(number: int) -> dict[str, Any]:
    return {
        "key": key(number),
        "object_name": f"{number:032x}",
        "version": 1,
        "sha256": f"{number:064x}",
        "size_bytes": SIZE_BYTES,
        "content_type": "image/jpeg",
        "format": "JPEG",
        "width": 640,
        "height": 480,
        "frames": 1,
        "owner_id": 1,
        "owner": "ann",
        "created_at": BEGAN_AT + number,
        # Some uploads have the same time, as after an import.
        "updated_at": BEGAN_AT + number // 3,
    }
