"""Telling languages apart."""

import pytest

from mynah.text.language import detect_language


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Once upon a time there was a fox who lived near a wood.", "en"),
        ("Es war einmal ein Fuchs, der wohnte am Rande eines Waldes.", "de"),
        ("Il était une fois un renard qui vivait près d'un bois.", "fr"),
        ("Había una vez un zorro que vivía cerca de un bosque.", "es"),
        ("Era uma vez uma raposa que vivia perto de um bosque.", "pt"),
        ("C'era una volta una volpe che viveva vicino a un bosco.", "it"),
        ("Жила-была лиса, и жила она возле леса.", "ru"),
        ("从前有一只狐狸住在森林旁边。", "zh"),
        ("昔々、森のそばに狐が住んでいました。", "ja"),
        ("كان يا ما كان ثعلب يعيش قرب الغابة.", "ar"),
        ("एक समय की बात है, जंगल के पास एक लोमड़ी रहती थी।", "hi"),
        ("Bir zamanlar ormanın yanında yaşayan bir tilki vardı.", "tr"),
    ],
)
def test_a_sentence_tells_its_language(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize("text", ["", "OK", "123 456.78", "😀😀😀", "Mr. X", "qwx zzt"])
def test_too_little_text_tells_nothing(text: str) -> None:
    assert detect_language(text) is None
