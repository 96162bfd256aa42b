"""The pure scheduler: events in, commands out. No clock, no asyncio, no I/O."""
