"""Every folder of modules has a README that names each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "src" / "elastic_images"


def modules(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("*.py") if not file.name.startswith("__"))


ROOMS = sorted(
    folder
    for folder in SOURCE.rglob("*")
    if len(modules(folder)) > 1 and folder.name != "versions"  # database migrations are named by their number
)


def test_rooms_were_found() -> None:
    assert len(ROOMS) > 20


@pytest.mark.parametrize("room", ROOMS, ids=lambda room: str(room.relative_to(SOURCE)))
def test_a_readme_names_every_module(room: Path) -> None:
    """The README of the folder, or of a folder above it."""
    readmes = [folder / "README.md" for folder in (room, *room.parents) if folder.is_relative_to(SOURCE)]
    texts = {readme: readme.read_text(encoding="utf-8") for readme in readmes if readme.is_file()}
    missing = [
        file.name
        for file in modules(room)
        if not any(
            f"`{name}`" in text
            for readme, text in texts.items()
            for name in (file.relative_to(readme.parent).as_posix(), file.name)
        )
    ]
    assert not missing, f"no README names {', '.join(missing)} of {room.relative_to(SOURCE)}/"
