"""Where cache nodes come from: processes on this machine, or instances elsewhere."""
