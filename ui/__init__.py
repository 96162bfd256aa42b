"""The web page, as package data."""
