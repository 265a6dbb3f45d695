"""What an image is, and smaller ones made from it."""
