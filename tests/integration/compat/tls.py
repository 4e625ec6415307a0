"""TLS in front of a server, as a proxy has it: for clients that dial wss:// and nothing else."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import trustme

_CHUNK_BYTES = 64 * 1024


@contextmanager
def tls_in_front(url: str, folder: Path) -> Iterator[tuple[str, Path]]:
    """An https:// address before ``url``, and the certificates to trust for it."""
    authority, target = trustme.CA(), urlsplit(url)
    trusted = folder / "trusted.pem"
    authority.cert_pem.write_to_path(str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    loop = asyncio.new_event_loop()

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there = await asyncio.open_connection(target.hostname, target.port)
        await asyncio.gather(_copy(reader, there[1]), _copy(there[0], writer))

    with closing(loop):
        server = loop.run_until_complete(asyncio.start_server(pass_on, "localhost", 0, ssl=context))
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            yield f"https://localhost:{server.sockets[0].getsockname()[1]}", trusted
        finally:
            server.close()
            asyncio.run_coroutine_threadsafe(_end_all(), loop).result(timeout=10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(_CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
    writer.close()
    with suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()


async def _end_all() -> None:
    """Connections whose client is gone end by themselves; others are cut."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        _, left = await asyncio.wait(others, timeout=2)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
