"""Ways to start an upstream: one file each, one contract (`protocol.py`)."""
