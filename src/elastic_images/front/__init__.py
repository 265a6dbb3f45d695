"""The listener in front of the server: it answers reads of images, and passes every other request on."""
