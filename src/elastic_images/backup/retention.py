"""Removing old backups, and the objects that no set needs any more."""

from __future__ import annotations

from elastic_images.backup.destination import Destination, names_of


def keep_newest(destination: Destination, count: int) -> tuple[int, int]:
    """Remove all but the `count` newest sets; gives how many sets and how many objects were removed.

    No other backup may run on the destination. Interrupted, the next call goes on: records go first, so that no set is
    left without its objects. Objects of a set that is being made are named by no record; so is what an interrupted
    backup left, and both go.

    Raises:
        Unavailable: the destination cannot be changed.
    """
    sets = destination.sets()
    old, kept = sets[: max(0, len(sets) - count)], sets[max(0, len(sets) - count) :]
    for record in old:
        destination.remove(record)
    if not old:
        return 0, 0
    named = {one.object_name for record in kept for one in destination.objects_named_in(record.dump)}
    loose = [name for name in names_of(destination.objects) if name not in named]
    destination.objects.delete_many(loose)
    destination.remove_loose_files()
    return len(old), len(loose)
