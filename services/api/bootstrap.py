"""The composition root: every part that the gateway uses, put together once per process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import current_app

from mynah.db.connection import connect, make_session_factory
from mynah.db.unit_of_work import UnitOfWork, UnitOfWorkFactory
from mynah.messaging.kept_documents import KeptDocuments
from mynah.messaging.live import LiveReader
from mynah.messaging.presence import Presence
from mynah.messaging.questions import QuestionDesk
from mynah.messaging.sender import Broker, CelerySender
from mynah.messaging.socket_lines import SocketLines
from mynah.observability.metrics import BROKEN_SOCKETS
from mynah.settings import Settings
from mynah.storage.base import ObjectStore
from mynah.storage.factory import open_store
from mynah.webhooks.addresses import resolve_host
from mynah.webhooks.asking import ResponderClient
from services.api.compat.names import VendorNames, load_names
from services.api.live.slots import TO_STRANGERS, StreamSlots
from services.api.live.sockets.relaying import Sessions
from services.api.live.watching import JobWatcher

EXTENSION = "mynah"


@dataclass(frozen=True, slots=True)
class Container:
    """The gateway's parts; nothing connects before its first use."""

    settings: Settings
    new_uow: UnitOfWorkFactory
    store: ObjectStore
    sender: CelerySender
    broker: Broker
    presence: Presence
    watcher: JobWatcher
    slots: StreamSlots
    strangers: StreamSlots
    broken_slots: StreamSlots
    sessions: Sessions
    names: VendorNames
    live: LiveReader
    links: KeptDocuments
    single_use_tokens: KeptDocuments
    questions: QuestionDesk
    responders: ResponderClient

    def ping_database(self) -> None:
        """Raises DatabaseUnavailable when the database does not answer."""
        with self.new_uow() as uow:
            uow.ping()


def build_container(settings: Settings) -> Container:
    """Compose the parts. Raises ValueError without a JWT secret, or for a wrong table of names."""
    if len(settings.jwt_secret.get_secret_value()) < 32:
        raise ValueError("MYNAH_JWT_SECRET must be set to at least 32 characters")
    session_factory = make_session_factory(connect(settings))
    sender = CelerySender(settings)

    def new_uow() -> UnitOfWork:
        return UnitOfWork(session_factory, sender)

    return Container(
        settings=settings,
        new_uow=new_uow,
        store=open_store(settings),
        sender=sender,
        broker=Broker(settings),
        presence=Presence(settings),
        watcher=JobWatcher(new_uow),
        slots=StreamSlots(settings.max_streams, settings.max_streams_per_user),
        strangers=StreamSlots(
            settings.max_strangers, settings.max_streams_per_user, refusal=TO_STRANGERS
        ),
        broken_slots=StreamSlots(
            settings.max_streams, settings.max_streams_per_user, BROKEN_SOCKETS
        ),
        sessions=Sessions(SocketLines(settings), settings.stream_stall_timeout_s),
        names=load_names(settings.compat_names_file),
        live=LiveReader(settings),
        links=KeptDocuments(settings, "link"),
        single_use_tokens=KeptDocuments(settings, "token"),
        questions=QuestionDesk(settings),
        responders=ResponderClient(
            resolve_host,
            timeout_s=settings.responder_timeout_s,
            silence_s=settings.responder_silence_s,
            allow_private=settings.webhooks_allow_private,
        ),
    )


def current_container() -> Container:
    """The container of the app that handles this request."""
    return cast(Container, current_app.extensions[EXTENSION])
