"""The data plane of web: reads of images."""
