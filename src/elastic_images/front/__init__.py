"""The listener in front of the server: answers reads of images itself, and passes every other connection on."""
