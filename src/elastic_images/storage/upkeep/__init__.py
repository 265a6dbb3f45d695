"""Work on stored images beside reads and writes: collecting, checking, copying."""
