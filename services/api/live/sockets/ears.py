"""What a device sends to be heard: ``listen``, then sound. Nothing heavy is loaded before that."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from marshmallow import ValidationError

from mynah.errors import Conflict, InvalidRequest, MynahError, Unavailable
from services.api.live.sockets.messages import show
from services.api.live.sockets.talk import Talk
from services.api.schemas.listening import ListenSchema
from services.api.use_cases.questions import (
    ListenOrder,
    ensure_recognizer,
    find_responder,
    question_language,
)

if TYPE_CHECKING:
    from services.api.live.sockets.hearing import Hearing


class Ears:
    """A conversation's hearing: none before ``listen``, and none after one that was refused."""

    def __init__(self) -> None:
        self._hearing: Hearing | None = None
        self._is_refused = False

    @property
    def is_busy(self) -> bool:
        """Whether somebody is speaking or waits for an answer."""
        return self._hearing is not None and self._hearing.is_busy

    def listen(self, talk: Talk, said: dict[str, Any]) -> None:
        """Begin to hear, or say why not; the connection goes on for texts.

        Raises Conflict when it hears already, InvalidRequest for a message that is not valid.
        """
        if self._hearing is not None:
            raise Conflict("It listens already.", code="already_listening")
        try:
            order: ListenOrder = ListenSchema().load(said)
        except ValidationError as error:
            raise InvalidRequest("The listen is not valid.", fields=error.messages_dict) from None
        try:
            self._hearing = _open_hearing(talk, order)
            self._is_refused = False
        except MynahError as error:
            self._is_refused = True
            talk.socket.send(
                show("error", refused="listen", error_code=error.code, message=error.message)
            )

    def take(self, sound: bytes) -> None:
        """Hear a binary message; after a refusal it is passed over.

        Raises InvalidRequest: before ``listen``, and for sound that cannot be taken.
        """
        if self._hearing is not None:
            self._hearing.take(sound)
        elif not self._is_refused:
            raise InvalidRequest("Send listen before any sound.", code="binary_not_taken")

    def end_question(self) -> None:
        """The question is over, whatever is heard."""
        if self._hearing is not None:
            self._hearing.end_question()

    def drop_answer(self) -> None:
        """Nobody wants the answer that is being made."""
        if self._hearing is not None:
            self._hearing.drop_answer()

    def end(self, then: Callable[[], None]) -> None:
        """No sound comes any more: ``then`` is called behind the answers to what came."""
        if self._hearing is None:
            then()
        else:
            self._hearing.end(then)

    def stop(self) -> None:
        """Hear nothing more; what is being answered is dropped."""
        if self._hearing is not None:
            self._hearing.stop()


def _open_hearing(talk: Talk, order: ListenOrder) -> Hearing:
    """Look whether questions can be recognised and answered, and begin to hear.

    Raises Unavailable (recognizer_unavailable, vad_unavailable), what find_responder and
    question_language raise.
    """
    container, user_id = talk.container, talk.asker.user_id
    ensure_recognizer(container.presence.reports().values())
    with container.new_uow() as uow:
        responder = find_responder(uow, user_id, order.responder_id)
        language = question_language(uow, user_id, order.language, talk.order)
        responder_id = responder.id
    try:
        # onnxruntime and the model of speech activity: with the first who wants to be heard
        from services.api.live.sockets.hearing import Hearing  # noqa: PLC0415

        return Hearing(talk, order, responder_id, language)
    except ModuleNotFoundError as error:
        message = f"This gateway cannot hear: {error.name or error} is not installed."
        raise Unavailable(message, code="vad_unavailable") from error
