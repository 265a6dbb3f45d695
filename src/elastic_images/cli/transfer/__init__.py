"""`export` and `import`: images to and from a folder."""
