"""Images in and out: the write path, the catalog and the object stores."""
