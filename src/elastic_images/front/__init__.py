"""The listener in front of the server: it answers reads of images, and tunnels every other connection."""
