"""Pages, public APIs and the image data plane."""
