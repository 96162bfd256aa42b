"""The performance counters and adapters of Windows by ctypes: pdh.dll and dxgi.dll. Importable anywhere, of use on Windows only."""

from __future__ import annotations

import ctypes
import logging
import sys
from collections.abc import Iterator, Sequence

from monitors.windows import Adapter, Adapters, Counters

logger = logging.getLogger(__name__)

FORMAT_DOUBLE = 0x200
NO_CAP_100 = 0x8000
MORE_DATA = 0x800007D2
NOT_YET = {0x800007D5, 0xC0000BC6, 0xC0000BBA}
"""No data, invalid data, negative denominator: a rate that has been read only once, or no instance at the moment."""

VALID = {0, 1}
"""States of a value that may be used: valid, and new."""

SOFTWARE_ADAPTER = 2

FACTORY_IID = bytes.fromhex("78ae0a77 6ff2 ba4d a829 253c83d1b387".replace(" ", ""))
"""IDXGIFactory1, {770aae78-f26f-4dba-a829-253c83d1b387}, as it lies in memory."""

# Places in the tables of methods.
RELEASE = 2
GET_DESCRIPTION = 10
ENUMERATE_ADAPTERS = 12


class CounterItem(ctypes.Structure):
    """PDH_FMT_COUNTERVALUE_ITEM_W with a double in it."""

    _fields_ = (("name", ctypes.c_wchar_p), ("status", ctypes.c_uint32), ("value", ctypes.c_double))


class AdapterDescription(ctypes.Structure):
    """DXGI_ADAPTER_DESC1."""

    _fields_ = (
        ("description", ctypes.c_wchar * 128),
        ("vendor_id", ctypes.c_uint32),
        ("device_id", ctypes.c_uint32),
        ("subsystem_id", ctypes.c_uint32),
        ("revision", ctypes.c_uint32),
        ("dedicated_video", ctypes.c_size_t),
        ("dedicated_system", ctypes.c_size_t),
        ("shared_system", ctypes.c_size_t),
        ("luid_low", ctypes.c_uint32),
        ("luid_high", ctypes.c_int32),
        ("flags", ctypes.c_uint32),
    )


if sys.platform == "win32":  # pragma: win32

    class PdhQuery:
        """An open query, as `windows.Query`."""

        def __init__(self, counters: Sequence[str]) -> None:
            """Raises OSError if not one of *counters* exists here."""
            self._pdh = ctypes.WinDLL("pdh")
            self._query = ctypes.c_void_p()
            self._counters: dict[str, ctypes.c_void_p] = {}
            _check(self._pdh.PdhOpenQueryW(None, ctypes.c_size_t(0), ctypes.byref(self._query)), "PdhOpenQuery")
            status = 0
            for path in counters:
                counter = ctypes.c_void_p()
                # English names wherever we are: those shown are translated.
                added = self._pdh.PdhAddEnglishCounterW(
                    self._query, ctypes.c_wchar_p(path), ctypes.c_size_t(0), ctypes.byref(counter)
                )
                if _unsigned(added) == 0:
                    self._counters[path] = counter
                else:
                    status = added
            if not self._counters:
                self.close()
                _check(status, "PdhAddEnglishCounter")

        def read(self) -> Counters:
            """Returns what the counters stand at."""
            status = _unsigned(self._pdh.PdhCollectQueryData(self._query))
            if status not in NOT_YET:
                _check(status, "PdhCollectQueryData")
            return {path: self._values(counter) for path, counter in self._counters.items()}

        def _values(self, counter: ctypes.c_void_p) -> list[tuple[str, float]]:
            size, count = ctypes.c_uint32(0), ctypes.c_uint32(0)
            buffer = ctypes.create_string_buffer(0)
            # Processes come and go between the question for the size and the one for the values.
            for _ in range(5):
                status = _unsigned(
                    self._pdh.PdhGetFormattedCounterArrayW(
                        counter, FORMAT_DOUBLE | NO_CAP_100, ctypes.byref(size), ctypes.byref(count), buffer
                    )
                )
                if status != MORE_DATA:
                    break
                size = ctypes.c_uint32(size.value + 4096)
                buffer = ctypes.create_string_buffer(size.value)
            if status in NOT_YET or status == MORE_DATA:
                return []
            _check(status, "PdhGetFormattedCounterArray")
            items = ctypes.cast(buffer, ctypes.POINTER(CounterItem * count.value)).contents
            return [(item.name, item.value) for item in items if item.name and item.status in VALID]

        def adapters(self) -> Adapters:
            """Returns who the adapters are; none if DXGI does not say."""
            try:
                return dict(_adapters())
            except (OSError, AttributeError) as error:
                logger.debug("DXGI does not tell of its adapters: %s", error)
                return {}

        def close(self) -> None:
            """Closes the query."""
            query, self._query = self._query, ctypes.c_void_p()
            if query.value:
                self._pdh.PdhCloseQuery(query)

    def _adapters() -> Iterator[tuple[str, Adapter]]:
        factory = ctypes.c_void_p()
        _check(ctypes.WinDLL("dxgi").CreateDXGIFactory1(FACTORY_IID, ctypes.byref(factory)), "CreateDXGIFactory1")
        try:
            number = 0
            adapter = ctypes.c_void_p()
            while _call(factory, ENUMERATE_ADAPTERS, number, ctypes.byref(adapter)) == 0:
                try:
                    about = AdapterDescription()
                    if _call(adapter, GET_DESCRIPTION, ctypes.byref(about)) == 0 and not about.flags & SOFTWARE_ADAPTER:
                        yield luid(about), described(about)
                finally:
                    _call(adapter, RELEASE)
                number += 1
                adapter = ctypes.c_void_p()
        finally:
            _call(factory, RELEASE)

    def _call(this: ctypes.c_void_p, place: int, *args: object) -> int:
        """Calls a COM method by its place in the table."""
        table = ctypes.cast(this, ctypes.POINTER(ctypes.POINTER(ctypes.c_void_p))).contents
        kinds = [ctypes.c_uint32 if isinstance(argument, int) else ctypes.c_void_p for argument in args]
        method = ctypes.WINFUNCTYPE(ctypes.c_long, ctypes.c_void_p, *kinds)(table[place] or 0)
        return _unsigned(method(this, *args))

    def _check(status: int, what: str) -> None:
        if _unsigned(status) != 0:
            raise OSError(f"{what} failed with 0x{_unsigned(status):08x}")

    def _unsigned(status: int) -> int:
        return status & 0xFFFFFFFF


def luid(about: AdapterDescription) -> str:
    """Returns the LUID as the names of instances have it, in lower case."""
    return f"0x{about.luid_high & 0xFFFFFFFF:08x}_0x{about.luid_low:08x}"


def described(about: AdapterDescription) -> Adapter:
    """Returns what DXGI says of an adapter."""
    return Adapter(
        name=about.description,
        vendor_id=about.vendor_id,
        device_id=about.device_id,
        dedicated_bytes=about.dedicated_video,
        shared_bytes=about.shared_system,
    )
