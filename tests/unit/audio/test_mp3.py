from __future__ import annotations

import io

import av
import mutagen.id3
import mutagen.mp3
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.audio.mp3 import Mp3Encoder, Mp3FileWriter, encode_mp3
from mynah.audio.mp3_format import (
    MP3_RATES,
    choose_mp3_rate,
    iter_frames,
    legal_bitrates_kbps,
    parse_frame_header,
)
from mynah.audio.mp3_info import FrameIndex, InfoFrame, InfoTag, crc16
from mynah.audio.tags import Chapter, SpeechTags
from mynah.audio.waveform import Waveform
from mynah.errors import InvalidAudio, UnsupportedFormat
from tests.unit.audio.signals import decode_all, noise, speech_like, stereo_tone, tone


def mp3_info(data: bytes) -> mutagen.mp3.MPEGInfo:
    return mutagen.mp3.MP3(io.BytesIO(data)).info


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1000, 40_000),
    st.sampled_from(MP3_RATES),
    st.sampled_from([64, 96, 160, None]),
)
def test_a_file_holds_exactly_the_samples_that_went_in(
    frames: int, rate: int, bitrate: int | None
) -> None:
    waveform = Waveform(noise(2.0, 24000).samples[:frames], rate)
    if bitrate is None:
        data = encode_mp3(waveform, vbr_quality=4)
    else:
        data = encode_mp3(waveform, bitrate if bitrate in legal_bitrates_kbps(rate) else 64)
    assert decode_all(data, "mp3").frames == frames
    assert soundfile.info(io.BytesIO(data)).frames == frames
    assert mp3_info(data).length == pytest.approx(frames / rate, abs=1e-4)


def test_decoded_samples_lie_where_they_were() -> None:
    speech, _ = speech_like(4.0, 24000)
    decoded = decode_all(encode_mp3(speech, 128), "mp3").samples
    error = decoded - speech.samples
    assert np.mean(np.square(error)) < np.mean(np.square(speech.samples)) / 100


def test_the_info_frame_says_how_it_was_made() -> None:
    constant = mp3_info(encode_mp3(tone(), 96))
    assert constant.encoder_info.startswith("LAME 3.100")
    assert (constant.bitrate_mode, constant.bitrate) == (mutagen.mp3.BitrateMode.CBR, 96000)
    assert not constant.sketchy
    variable = mp3_info(encode_mp3(noise(), vbr_quality=2))
    assert variable.bitrate_mode == mutagen.mp3.BitrateMode.VBR
    assert variable.encoder_settings == "-V 2"


def test_the_info_frame_counts_and_checks_what_follows() -> None:
    data = encode_mp3(noise(3.0), 64)
    first = parse_frame_header(data, 0)
    assert first is not None
    info, audio = data[: first.size_bytes], data[first.size_bytes :]
    start = 4 + first.side_info_bytes
    assert info[start : start + 4] == b"Info"
    frames, total = np.frombuffer(info, ">u4", 2, start + 8).tolist()
    assert frames == len(list(iter_frames(audio)))
    assert total == len(data)
    lame = start + 120
    music_bytes, music_crc, tag_crc = (
        int.from_bytes(info[lame + 28 : lame + 32], "big"),
        int.from_bytes(info[lame + 32 : lame + 34], "big"),
        int.from_bytes(info[lame + 34 : lame + 36], "big"),
    )
    assert (music_bytes, music_crc) == (len(data), crc16(audio))
    assert tag_crc == crc16(info[: lame + 34])


def test_the_seek_table_leads_to_the_part_asked_for() -> None:
    quiet, loud = tone(5.0, level=0.001), noise(5.0)
    data = encode_mp3([quiet, loud], vbr_quality=4)
    first = parse_frame_header(data, 0)
    assert first is not None
    start = 4 + first.side_info_bytes + 16
    table = np.frombuffer(data, np.uint8, 100, start).astype(int)
    assert (np.diff(table) >= 0).all()
    offsets = [offset for offset, _ in iter_frames(data)]
    for percent in (10, 50, 90):
        there = offsets[1 + percent * (len(offsets) - 1) // 100]
        assert table[percent] == pytest.approx(there * 256 / len(data), abs=2)


@pytest.mark.parametrize("size", [0, 1, 2, 9, 100, 1001, 50_000])
def test_the_checksum_is_crc16_arc(size: int) -> None:
    data = np.random.default_rng(size).bytes(size)
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    assert crc16(data) == crc
    assert crc16(b"123456789") == 0xBB3D


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 5000), min_size=1, max_size=12))
def test_how_the_blocks_are_cut_does_not_matter(cuts: list[int]) -> None:
    samples = noise(2.5).samples[: max(sum(cuts), 2000)]
    edges = np.cumsum(cuts)
    blocks = [Waveform(part, 24000) for part in np.split(samples, edges[edges < len(samples)])]
    assert encode_mp3(blocks) == encode_mp3(Waveform(samples, 24000))


def test_a_stream_begins_after_some_forty_milliseconds() -> None:
    encoder = Mp3Encoder(24000)
    hiss = noise(1.0).samples
    fed = 0
    while not encoder.encode(Waveform(hiss[fed : fed + 480], 24000)):
        fed += 480
        assert fed < 24000 * 0.08
    assert encoder.flush()


def test_an_odd_rate_is_resampled_to_the_nearest_legal_one() -> None:
    data = encode_mp3(tone(2.0, 22000))
    decoded = decode_all(data, "mp3")
    assert (decoded.sample_rate, decoded.frames) == (22050, 44100)


@pytest.mark.parametrize(
    ("rate", "bitrate", "chosen"),
    [
        (24000, 96, 24000),
        (24000, 160, 24000),
        (24000, 320, 32000),
        (8000, 64, 8000),
        (8000, 96, 16000),
        (16000, 160, 16000),
        (44100, 320, 44100),
        (48000, 24, 24000),
        (96000, 128, 48000),
        (4000, 64, 8000),
        (20000, 96, 22050),
        (22000, None, 22050),
    ],
)
def test_the_rate_follows_the_bitrate(rate: int, bitrate: int | None, chosen: int) -> None:
    assert choose_mp3_rate(rate, bitrate) == chosen


@pytest.mark.parametrize("bitrate", [0, -1, 100, 321, 1000])
def test_a_bitrate_that_mp3_does_not_have_is_refused(bitrate: int) -> None:
    with pytest.raises(UnsupportedFormat) as caught:
        encode_mp3(tone(), bitrate)
    assert caught.value.code == "unsupported_bitrate"


def test_stereo_stays_stereo_and_more_becomes_mono() -> None:
    assert mp3_info(encode_mp3(stereo_tone(), 128)).channels == 2
    quad = Waveform(np.stack([tone().samples] * 4), 24000)
    assert mp3_info(encode_mp3(quad)).channels == 1


def test_no_audio_is_no_file() -> None:
    for nothing in ([], Waveform(np.zeros(0, np.float32), 24000)):
        with pytest.raises(InvalidAudio) as caught:
            encode_mp3(nothing)
        assert caught.value.code == "empty_audio"
    assert Mp3Encoder(24000).flush() == b""
    assert Mp3Encoder(22000).flush() == b""


def test_a_block_of_another_layout_is_an_error() -> None:
    encoder = Mp3Encoder(24000)
    for other in (tone(0.1, 22050), stereo_tone(0.1)):
        with pytest.raises(ValueError, match="expected 1 channel"):
            encoder.encode(other)
    with pytest.raises(ValueError, match="1 or 2 channels"):
        Mp3Encoder(24000, channels=3)
    with pytest.raises(ValueError, match="vbr_quality"):
        Mp3Encoder(24000, vbr_quality=10)


def test_foreign_bytes_get_no_info_frame() -> None:
    with pytest.raises(ValueError, match="no frames"):
        InfoFrame(FrameIndex(), InfoTag(24000, None, 5))
    with pytest.raises(ValueError, match="no MP3 frame"):
        FrameIndex().add(b"no frames here")
    encoder = Mp3Encoder(24000)
    frames = encoder.encode(tone()) + encoder.flush()
    index = FrameIndex()
    index.add(frames)
    with pytest.raises(ValueError, match="coded samples"):
        InfoFrame(index, InfoTag(48000, None, 5))
    cut = FrameIndex()
    cut.add(frames[:-7])
    with pytest.raises(ValueError, match="no whole MP3 frame"):
        InfoFrame(cut, InfoTag(24000, None, 5))


def test_the_index_of_a_long_stream_stays_small_and_right() -> None:
    encoder = Mp3Encoder(24000, bitrate_kbps=64)
    frames = encoder.encode(noise(30.0)) + encoder.flush()
    index = FrameIndex()
    for start in range(0, 5 * len(frames), 5000):  # cut anywhere
        index.add((5 * frames)[start : start + 5000])
    offsets = [offset for offset, _ in iter_frames(5 * frames)]
    assert index.count == len(offsets) > 4096
    assert index.size_bytes == 5 * len(frames)
    assert len(index._offsets) <= 4096
    places = index.at_percent()
    for percent in (0, 33, 99):
        there = percent * len(offsets) // 100
        assert abs(int(places[percent]) - offsets[there]) <= 200


def test_lames_own_attenuation_is_undone_where_there_is_headroom() -> None:
    speech, _ = speech_like(4.0, 24000)
    for bitrate, headroom_db, gain in ((96, 2.0, 1.0), (96, 0.0, 0.95), (96, 0.2, 0.972)):
        encoder = Mp3Encoder(24000, bitrate_kbps=bitrate, headroom_db=headroom_db)
        frames = encoder.encode(speech) + encoder.flush()
        decoded = decode_all(frames, "mp3").samples[1105 : 1105 + speech.frames]
        found = float(decoded @ speech.samples / (speech.samples @ speech.samples))
        assert found == pytest.approx(gain, abs=0.01)


@pytest.mark.parametrize("cut", [1, 2, 3, 1023, 1024, 1025, 30_000])
def test_a_checksum_goes_on_from_any_byte(cut: int) -> None:
    data = np.random.default_rng(1).bytes(30_001)
    assert crc16(data[cut:], crc16(data[:cut])) == crc16(data)


def test_chapters_stand_in_the_tag_in_their_order() -> None:
    output = io.BytesIO()
    writer = Mp3FileWriter(output, Mp3Encoder(24000))
    writer.add(tone(4.0))
    titles = ["Eins", "Zwei: die lange Reise", "3"]
    chapters = [Chapter(start, title) for start, title in zip((0, 1.25, 3), titles, strict=True)]
    writer.finish(SpeechTags(title="Abend"), chapters)
    writer.close()
    id3 = mutagen.id3.ID3(io.BytesIO(output.getvalue()))
    assert id3["CTOC:toc"].child_element_ids == ["chp0", "chp1", "chp2"]
    found = [id3[f"CHAP:chp{number}"] for number in range(3)]
    assert [(chapter.start_time, chapter.end_time) for chapter in found] == [
        (0, 1250),
        (1250, 3000),
        (3000, 4000),
    ]
    assert [chapter.sub_frames["TIT2"].text[0] for chapter in found] == titles
    with av.open(io.BytesIO(output.getvalue())) as container:
        shown = [chapter["metadata"]["title"] for chapter in container.chapters()]
    assert shown == titles
    assert mp3_info(output.getvalue()).length == pytest.approx(4.0, abs=1e-4)


@pytest.mark.parametrize("rate", MP3_RATES)
def test_frame_headers_survive_reading_and_writing(rate: int) -> None:
    for channels in (1, 2):
        encoder = Mp3Encoder(rate, channels=channels, bitrate_kbps=64)
        audio = tone(0.3, rate) if channels == 1 else stereo_tone(0.3, rate)
        frames = encoder.encode(audio) + encoder.flush()
        for position, header in iter_frames(frames):
            assert header.to_bytes() == frames[position : position + 4]
            assert (header.sample_rate, header.bitrate_kbps) == (rate, 64)
            assert header.is_mono is (channels == 1)


def test_titles_of_every_script_are_kept_and_controls_dropped() -> None:
    tags = SpeechTags(
        title="Die kleine\0 Hexe\x07 🧙 и 月\nZwei",
        artist="Oma",
        album="Abends",
        language="de-DE",
        comment="für\r\nLea",
    )
    data = encode_mp3(tone(), tags=tags)
    id3 = mutagen.id3.ID3(io.BytesIO(data))
    assert data.startswith(b"ID3\x03")
    assert id3["TIT2"].text == ["Die kleine Hexe 🧙 и 月 Zwei"]
    assert (id3["TPE1"].text, id3["TALB"].text) == (["Oma"], ["Abends"])
    assert id3["TLAN"].text == ["deu"]
    assert id3["COMM::deu"].text == ["für Lea"]
    assert mp3_info(data).length == pytest.approx(1.0, abs=1e-4)


@settings(max_examples=30, deadline=None)
@given(st.text(max_size=2000), st.text(max_size=20))
def test_any_text_makes_a_readable_tag(title: str, language: str) -> None:
    data = encode_mp3(tone(0.2), tags=SpeechTags(title=title, language=language))
    frames = mutagen.mp3.MP3(io.BytesIO(data)).tags
    for text in frames["TIT2"].text if frames and "TIT2" in frames else []:
        assert "\0" not in text
        assert len(text) <= 1000


def test_without_tags_the_file_begins_with_the_info_frame() -> None:
    assert parse_frame_header(encode_mp3(tone()), 0) is not None
