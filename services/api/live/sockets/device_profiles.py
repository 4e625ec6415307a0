"""How audio is sent to different devices over a WebSocket."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class DeviceProfile:
    """What a device can take.

    ``frame_bytes``: the longest binary message. ``prebuffer_ms``: what it should hold before it
    plays. ``ahead_s``: how far the sound may run ahead of its playing; a device has room for so
    much. ``sample_rate`` None = the engine's own.
    """

    format: str
    frame_bytes: int
    prebuffer_ms: int
    ahead_s: float
    bitrate_kbps: int = 64
    sample_rate: int | None = None


DEVICE_PROFILES = {
    "esp32-mp3": DeviceProfile("mp3", 1024, 300, 2.0, 48),
    "esp32-pcm16": DeviceProfile("pcm", 1024, 200, 1.0, sample_rate=16_000),
    "browser": DeviceProfile("mp3", 8192, 150, 10.0, 96),
    "telephony": DeviceProfile("ulaw", 160, 100, 0.5, sample_rate=8_000),
}
