"""Hostler: one URL for all the AI models on a machine."""

__version__ = "0.1.0"
__commit__ = "unknown"
__build_date__ = "unknown"
