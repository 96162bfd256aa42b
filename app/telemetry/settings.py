"""What the configuration says of records, in the terms of those who keep them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from app.telemetry.captures import Captures
from app.telemetry.store import StoreSettings

if TYPE_CHECKING:
    from app.config.catalog import Records
    from app.telemetry.capture_recorder import Decode


def store_settings(records: Records) -> StoreSettings:
    """Returns where activity is kept, and for how long."""
    return StoreSettings(
        path=Path(records.store) if records.store else None,
        rows_in_memory=records.in_memory,
        max_age_s=records.store_max_age_s,
        max_bytes=records.store_max_bytes,
    )


def captures_of(records: Records, decode: Decode) -> Captures:
    """Returns the captures, of which there are none yet. decode: undoes a Content-Encoding."""
    folder = Path(records.capture_folder) if records.capture_folder else None
    return Captures(records.capture_bytes, decode, folder, records.capture_folder_bytes)
