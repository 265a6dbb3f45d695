"""Images in and out: the write path, the catalog, the object stores. The only writer of both."""
