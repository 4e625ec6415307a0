"""What each output format allows, in one table, and the wish for an output checked against it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mynah.audio.mp3_format import MP3_RATES, legal_bitrates_kbps, nearest_rate
from mynah.contracts.audio import FileOptions
from mynah.contracts.speech import CONTENT_TYPES, OutputFormat, SpeechRequest
from mynah.errors import UnsupportedFormat

MAX_CHANNELS = 2
COMMON_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
OPUS_RATES = (8000, 12000, 16000, 24000, 48000)
TELEPHONE_RATES = (8000,)
_LEAST_VBR_KBPS = 32
_BYTES_PER_SAMPLE = {OutputFormat.FLAC: 0.8, OutputFormat.ULAW: 1, OutputFormat.ALAW: 1}

Bitrates = Callable[[int, int], Sequence[int]]


@dataclass(frozen=True, slots=True)
class FormatRules:
    """What one format allows.

    ``bitrates_kbps``: the legal ones by sample rate and channels, ascending; none where the
    format leaves nothing to choose. ``has_chapters``: chapters are written into the file.
    """

    sample_rates: tuple[int, ...]
    max_channels: int
    default_bitrate_kbps: int | None
    bitrates_kbps: Bitrates
    has_vbr: bool = False
    has_tags: bool = False
    has_chapters: bool = False


def _no_bitrates(sample_rate: int, channels: int) -> Sequence[int]:  # noqa: ARG001
    return ()


def _mp3_bitrates(sample_rate: int, channels: int) -> Sequence[int]:  # noqa: ARG001
    return legal_bitrates_kbps(sample_rate)


def _vorbis_bitrates(sample_rate: int, channels: int) -> Sequence[int]:  # noqa: ARG001
    """Vorbis has levels of quality; the nearest to the bitrate is taken."""
    return range(16, 321)


def _opus_bitrates(sample_rate: int, channels: int) -> Sequence[int]:  # noqa: ARG001
    """RFC 6716 2.1.1: 6 to 510 kbit/s; libopus takes 256 per channel."""
    return range(6, 256 * channels + 1)


def _aac_bitrates(sample_rate: int, channels: int) -> Sequence[int]:
    """AAC (ISO/IEC 14496-3) holds 6144 bits per channel and frame of 1024 samples."""
    return range(16, 6 * sample_rate * channels // 1000 + 1)


FORMATS: dict[OutputFormat, FormatRules] = {
    OutputFormat.MP3: FormatRules(
        MP3_RATES, 2, 96, _mp3_bitrates, has_vbr=True, has_tags=True, has_chapters=True
    ),
    OutputFormat.WAV: FormatRules(COMMON_RATES, 2, None, _no_bitrates),
    OutputFormat.OGG: FormatRules(
        COMMON_RATES, 2, 64, _vorbis_bitrates, has_tags=True, has_chapters=True
    ),
    OutputFormat.FLAC: FormatRules(
        COMMON_RATES, 2, None, _no_bitrates, has_tags=True, has_chapters=True
    ),
    OutputFormat.OPUS: FormatRules(
        OPUS_RATES, 2, 48, _opus_bitrates, has_tags=True, has_chapters=True
    ),
    OutputFormat.M4A: FormatRules(COMMON_RATES, 2, 96, _aac_bitrates, has_tags=True),
    OutputFormat.M4B: FormatRules(
        COMMON_RATES, 2, 96, _aac_bitrates, has_tags=True, has_chapters=True
    ),
    OutputFormat.PCM: FormatRules(COMMON_RATES, 2, None, _no_bitrates),
    OutputFormat.ULAW: FormatRules(TELEPHONE_RATES, 1, None, _no_bitrates),
    OutputFormat.ALAW: FormatRules(TELEPHONE_RATES, 1, None, _no_bitrates),
}


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """How a file should be; checked when it is made.

    None leaves the choice: ``bitrate_kbps`` the format's usual one, ``sample_rate`` the nearest
    to the audio's own, ``channels`` the audio's own. ``vbr_quality`` 0 (best) to 9 makes an
    MP3's bitrate variable, and ``bitrate_kbps`` without meaning.

    Raises UnsupportedFormat with one of the codes ``unsupported_format``,
    ``unsupported_sample_rate``, ``unsupported_channels``, ``unsupported_vbr``,
    ``unsupported_bitrate``.
    """

    format: OutputFormat = OutputFormat.MP3
    bitrate_kbps: int | None = None
    vbr_quality: int | None = None
    sample_rate: int | None = None
    channels: int | None = None

    def __post_init__(self) -> None:
        _check_layout(self)
        _check_vbr(self)
        if self.bitrate_kbps is not None and self.vbr_quality is None:
            _check_bitrate(self, self.bitrate_kbps)

    @staticmethod
    def by_name(
        name: str, bitrate_kbps: int | None = None, vbr_quality: int | None = None
    ) -> OutputSpec:
        """A format by its name, "mp3", with the sample rate and channels of the audio."""
        try:
            fmt = OutputFormat(name)
        except ValueError:
            raise UnsupportedFormat(f"The output format {name!r} is not supported.") from None
        return OutputSpec(fmt, bitrate_kbps, vbr_quality)

    @staticmethod
    def of_options(options: FileOptions) -> OutputSpec:
        """What a job of the audio service asks for."""
        return OutputSpec(
            options.output_format,
            options.bitrate_kbps,
            sample_rate=options.sample_rate,
            channels=options.channels,
        )

    @staticmethod
    def of_request(request: SpeechRequest) -> OutputSpec:
        """What a speech job asks for; its bitrate counts where the format has bitrates."""
        fmt = request.output_format
        has_bitrates = FORMATS[fmt].default_bitrate_kbps is not None
        return OutputSpec(
            fmt,
            request.bitrate_kbps if has_bitrates else None,
            request.vbr_quality,
            request.sample_rate,
            request.channels,
        )

    @property
    def rules(self) -> FormatRules:
        """What the format allows."""
        return FORMATS[self.format]

    def resolve(self, sample_rate: int, channels: int) -> OutputLayout:
        """What the file of audio of this rate and these channels will be."""
        own = channels if channels <= self.rules.max_channels else 1
        count = self.channels or own
        rate = self.sample_rate or nearest_rate(sample_rate, self._fitting_rates(count))
        bitrate = self.bitrate_kbps or self.rules.default_bitrate_kbps
        if bitrate is not None:
            bitrate = nearest_bitrate_kbps(self.format, bitrate, rate, count)
        if self.vbr_quality is not None:
            bitrate = None
        return OutputLayout(self.format, rate, count, bitrate, self.vbr_quality)

    def _fitting_rates(self, channels: int) -> tuple[int, ...]:
        """The rates at which the wished bitrate is legal."""
        rates, wished = self.rules.sample_rates, self.bitrate_kbps
        if wished is None or self.vbr_quality is not None:
            return rates
        fitting = tuple(r for r in rates if wished in self.rules.bitrates_kbps(r, channels))
        return fitting or rates


@dataclass(frozen=True, slots=True)
class OutputLayout:
    """What a file is: every choice made. ``bitrate_kbps`` None where there is none to choose."""

    format: OutputFormat
    sample_rate: int
    channels: int
    bitrate_kbps: int | None
    vbr_quality: int | None

    @staticmethod
    def of_output(
        request: SpeechRequest, made: OutputFormat, sample_rate: int, channels: int
    ) -> OutputLayout:
        """A finished job's output; ``made`` is WAV where the encoder of another format failed."""
        if made != request.output_format:
            return OutputLayout(made, sample_rate, channels, None, None)
        return OutputSpec.of_request(request).resolve(sample_rate, channels)

    @property
    def content_type(self) -> str:
        """The format's media type."""
        return CONTENT_TYPES[self.format]

    @property
    def name(self) -> str:
        """One text for one layout: ``mp3-22050hz-1ch-96k``, ``mp3-22050hz-1ch-v4``."""
        parts = [self.format.value, f"{self.sample_rate}hz", f"{self.channels}ch"]
        if self.vbr_quality is not None:
            parts.append(f"v{self.vbr_quality}")
        elif self.bitrate_kbps is not None:
            parts.append(f"{self.bitrate_kbps}k")
        return "-".join(parts)

    @property
    def bytes_per_s(self) -> int:
        """About what a second of speech takes; where its sound decides, rather too little."""
        if self.bitrate_kbps is not None:
            return self.bitrate_kbps * 125
        if self.vbr_quality is not None:
            return _LEAST_VBR_KBPS * 125
        return round(_BYTES_PER_SAMPLE.get(self.format, 2) * self.sample_rate * self.channels)


def nearest_bitrate_kbps(
    fmt: OutputFormat, wished_kbps: int, sample_rate: int | None = None, channels: int = 1
) -> int | None:
    """The legal bitrate nearest to a wish, such as a quality tier's; None where none are."""
    rules = FORMATS[fmt]
    rates = rules.sample_rates if sample_rate is None else (sample_rate,)
    legal = {kbps for rate in rates for kbps in rules.bitrates_kbps(rate, channels)}
    return min(sorted(legal), key=lambda kbps: abs(kbps - wished_kbps)) if legal else None


def _check_layout(spec: OutputSpec) -> None:
    rules, rate, channels = spec.rules, spec.sample_rate, spec.channels
    if rate is not None and rate not in rules.sample_rates:
        allowed = ", ".join(map(str, rules.sample_rates))
        raise UnsupportedFormat(
            f"{spec.format} has no sample rate of {rate} Hz; it has {allowed}.",
            code="unsupported_sample_rate",
        )
    if channels is not None and not 1 <= channels <= rules.max_channels:
        raise UnsupportedFormat(
            f"{spec.format} takes 1 to {rules.max_channels} channels, not {channels}.",
            code="unsupported_channels",
        )


def _check_vbr(spec: OutputSpec) -> None:
    if spec.vbr_quality is None:
        return
    if not spec.rules.has_vbr:
        raise UnsupportedFormat(
            f"{spec.format} has no choice of a variable bitrate.", code="unsupported_vbr"
        )
    if not 0 <= spec.vbr_quality <= 9:
        raise UnsupportedFormat("vbr_quality is 0 (best) to 9.", code="unsupported_vbr")


def _check_bitrate(spec: OutputSpec, bitrate_kbps: int) -> None:
    rules = spec.rules
    rates = rules.sample_rates if spec.sample_rate is None else (spec.sample_rate,)
    channels = spec.channels or rules.max_channels
    legal = sorted({kbps for rate in rates for kbps in rules.bitrates_kbps(rate, channels)})
    if bitrate_kbps in legal:
        return
    at_rate = "" if spec.sample_rate is None else f" at {spec.sample_rate} Hz"
    if not legal:
        raise UnsupportedFormat(
            f"{spec.format} has no bitrate to choose.", code="unsupported_bitrate"
        )
    allowed = ", ".join(map(str, legal)) if len(legal) < 40 else f"{legal[0]} to {legal[-1]}"
    raise UnsupportedFormat(
        f"{spec.format} has no bitrate of {bitrate_kbps} kbit/s{at_rate}; it has {allowed}.",
        code="unsupported_bitrate",
    )
