"""What a new voice says to introduce itself."""

from __future__ import annotations

_TEXTS = {
    "en": "Hello! This is my new voice. Once upon a time, there was a bird that could speak.",
    "de": "Hallo! Das ist meine neue Stimme. Es war einmal ein Vogel, der sprechen konnte.",
    "fr": "Bonjour ! Voici ma nouvelle voix. Il était une fois un oiseau qui savait parler.",
    "es": "¡Hola! Esta es mi nueva voz. Había una vez un pájaro que sabía hablar.",
    "it": "Ciao! Questa è la mia nuova voce. C'era una volta un uccello che sapeva parlare.",
    "nl": "Hallo! Dit is mijn nieuwe stem. Er was eens een vogel die kon praten.",
    "pt": "Olá! Esta é a minha nova voz. Era uma vez um pássaro que sabia falar.",
    "pl": "Cześć! To mój nowy głos. Dawno temu żył ptak, który umiał mówić.",
    "sv": "Hej! Det här är min nya röst. Det var en gång en fågel som kunde prata.",
    "tr": "Merhaba! Bu benim yeni sesim. Bir varmış bir yokmuş, konuşabilen bir kuş varmış.",
    "uk": "Привіт! Це мій новий голос. Колись давно жив собі птах, який умів говорити.",
    "ru": "Привет! Это мой новый голос. Жила-была птица, которая умела говорить.",
    "cmn": "你好！这是我的新声音。从前，有一只会说话的鸟。",
    "ja": "こんにちは。これが私の新しい声です。むかしむかし、話せる鳥がいました。",
    "ko": "안녕하세요! 이것은 저의 새 목소리예요. 옛날 옛적에 말을 할 줄 아는 새가 있었어요.",
    "hi": "नमस्ते! यह मेरी नई आवाज़ है। एक समय की बात है, एक चिड़िया थी जो बोल सकती थी।",
    "ar": "مرحبا! هذا صوتي الجديد. كان يا ما كان، كان هناك طائر يستطيع الكلام.",
}


def sample_text_for(language: str) -> str:
    """The text in a voice's language, where there is one; else in English."""
    return _TEXTS.get(language.partition("-")[0], _TEXTS["en"])
