"""Eviction policies: which live models must go before another may start. Pure; nothing of app."""
