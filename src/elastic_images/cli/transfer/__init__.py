"""`export` and `import`: all images into a folder, and a folder's images in."""
