"""Pure ASGI layers in front of the endpoints."""
