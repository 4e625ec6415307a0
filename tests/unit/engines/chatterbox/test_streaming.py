"""Streams against the same utterance decoded at once."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("chatterbox")

from mynah.engines.chatterbox.s3gen.decoder import SpeechDecoder  # noqa: E402
from mynah.engines.chatterbox.streaming import StreamDecoder  # noqa: E402
from mynah.errors import EngineFailed  # noqa: E402
from tests.unit.engines.chatterbox.s3gen_parts import (  # noqa: E402
    make_profile,
    make_tokens,
    small_s3gen,
    snr_db,
)

SEED = 11


@pytest.fixture(scope="module", params=[False, True], ids=["guided", "meanflow"])
def decoder(request):
    return SpeechDecoder(small_s3gen(meanflow=request.param))


def stream(decoder, tokens, step):
    decoding = StreamDecoder(decoder, make_profile(), SEED)
    blocks = [
        block.samples
        for start in range(0, len(tokens), step)
        for block in decoding.add(tokens[start : start + step])
    ]
    return blocks + [block.samples for block in decoding.finish()]


@pytest.mark.parametrize("count", [1, 4, 13, 14, 60, 120])
def test_a_stream_is_as_long_as_the_whole(decoder, count):
    tokens = make_tokens(count)
    whole = decoder.decode(tokens, make_profile(), SEED)
    assert sum(len(block) for block in stream(decoder, tokens, 7)) == whole.frames


def test_how_tokens_arrive_makes_no_difference(decoder):
    tokens = make_tokens(60)
    one_by_one, at_once = stream(decoder, tokens, 1), stream(decoder, tokens, 60)
    np.testing.assert_array_equal(np.concatenate(one_by_one), np.concatenate(at_once))


def test_a_text_shorter_than_the_first_chunk_is_the_whole(decoder):
    tokens = make_tokens(9)
    whole = decoder.decode(tokens, make_profile(), SEED)
    np.testing.assert_allclose(np.concatenate(stream(decoder, tokens, 3)), whole.samples, atol=1e-6)


def test_the_first_sound_comes_after_the_first_chunk_and_its_lookahead(decoder):
    decoding = StreamDecoder(decoder, make_profile(), SEED)
    assert not list(decoding.add(make_tokens(12)))
    (block,) = decoding.add(make_tokens(1))
    assert block.duration_s == pytest.approx(0.24)


def test_with_the_same_mel_the_vocoder_leaves_no_seam(decoder):
    """The flow's chunks differ a little from the whole; the vocoder's must not."""
    tokens, profile = make_tokens(100), make_profile()
    whole = decoder.decode(tokens, profile, SEED).samples
    prompt = decoder.prompt(profile)
    spoken = np.concatenate([tokens, decoder.end_tokens])
    state = decoder.begin(prompt, decoder.encode(prompt, spoken, is_final=True), SEED)
    decoder.solver.solve([state])
    decoding = StreamDecoder(decoder, profile, SEED)
    decoding.feed(tokens)
    decoding.end()
    blocks = []
    while (chunk := decoding.next_chunk()) is not None:
        known = state.speech[chunk.first_frame : chunk.end_frame]
        chunk.state.mel = torch.cat([chunk.state.mel[: chunk.state.prompt_frames], known])
        blocks.append(decoding.render(chunk).samples)
    assert len(blocks) == 4
    assert snr_db(whole, np.concatenate(blocks)) > 40


def test_joins_do_not_click(decoder):
    tokens = make_tokens(120)
    blocks = stream(decoder, tokens, 5)
    steps = np.abs(np.diff(np.concatenate(blocks)))
    joins = np.cumsum([len(block) for block in blocks])[:-1]
    assert len(joins) >= 3
    at_joins = max(steps[join - 240 : join + 240].max() for join in joins)
    assert at_joins <= np.percentile(steps, 99.9) * 1.5


def test_a_stream_is_near_the_whole(decoder):
    tokens = make_tokens(120)
    whole = decoder.decode(tokens, make_profile(), SEED).samples
    streamed = np.concatenate(stream(decoder, tokens, 5))
    assert np.corrcoef(whole, streamed)[0, 1] > 0.9


def test_a_stream_without_tokens_fails(decoder):
    decoding = StreamDecoder(decoder, make_profile(), SEED)
    with pytest.raises(EngineFailed):
        list(decoding.finish())


def test_chunks_smaller_than_what_is_kept_back_are_refused(decoder):
    with pytest.raises(ValueError, match="kept back"):
        StreamDecoder(decoder, make_profile(), SEED, chunk_tokens=(3,))
