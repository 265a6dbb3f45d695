"""`python -m elastic_images` is `elastic-images`."""

from __future__ import annotations

from elastic_images.cli import main

if __name__ == "__main__":
    main(prog_name="elastic-images")
