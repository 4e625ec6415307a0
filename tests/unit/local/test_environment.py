"""Ports, secrets and the services' environment."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from deploy.local.credentials import load_or_create
from deploy.local.environment import Layout, Ports, StackEnvironment
from deploy.local.errors import LocalStackError, PortTaken
from deploy.local.parts import build_parts
from deploy.local.ports import find_spare_port, is_free
from deploy.local.stack import check_ports
from mynah.contracts.tasks import all_queues
from mynah.settings import Settings


@pytest.fixture
def environment(tmp_path: Path) -> StackEnvironment:
    return StackEnvironment.prepare(Layout(tmp_path / "home"), Ports())


def test_secrets_are_for_their_owner_only_and_stay_the_same(tmp_path: Path) -> None:
    path = tmp_path / "secrets.env"
    first = load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_or_create(path) == first


def test_a_secret_that_an_older_file_lacks_is_added_without_changing_the_others(
    tmp_path: Path,
) -> None:
    path = tmp_path / "secrets.env"
    first = load_or_create(path)
    lines = [line for line in path.read_text().splitlines() if "JWT_SECRET" not in line]
    path.write_text("\n".join(lines))
    second = load_or_create(path)
    assert second.postgres_password == first.postgres_password
    assert second.jwt_secret != first.jwt_secret
    assert load_or_create(path) == second


def test_two_stacks_share_no_secret(tmp_path: Path) -> None:
    assert load_or_create(tmp_path / "a").jwt_secret != load_or_create(tmp_path / "b").jwt_secret


def test_secrets_do_not_show_in_representations(environment: StackEnvironment) -> None:
    shown = repr((environment, environment.postgres(), environment.redis()))
    assert environment.credentials.postgres_password not in shown
    assert environment.credentials.redis_password not in shown


def test_the_data_folder_is_closed_to_others(environment: StackEnvironment) -> None:
    assert stat.S_IMODE(environment.layout.home.stat().st_mode) == 0o700
    assert stat.S_IMODE(environment.layout.objects.stat().st_mode) == 0o700


def test_the_settings_read_what_the_stack_tells(
    environment: StackEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.variables().items():
        monkeypatch.setenv(name, value)
    settings = Settings()
    assert ":55432/mynah" in settings.database_url
    assert ":56379/0" in settings.redis_url
    assert settings.storage == "local"
    assert settings.storage_dir == environment.layout.objects
    assert settings.jwt_secret.get_secret_value() == environment.credentials.jwt_secret


def test_every_queue_of_the_contracts_has_a_worker(environment: StackEnvironment) -> None:
    served: set[str] = set()
    for part in build_parts(environment).services:
        argv = list(part.build_command().argv)
        if "-Q" in argv:
            served.update(argv[argv.index("-Q") + 1].split(","))
    expected = {queue for queue in all_queues(("espeak",)) if not queue.startswith("train.")}
    assert served == expected


def test_chosen_engines_have_a_worker_of_threads_and_are_warm(
    environment: StackEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MYNAH_ENGINES", "chatterbox, chatterbox-turbo")
    [part] = [part for part in build_parts(environment).services if part.name == "tts-engines"]
    command = part.build_command()
    queues = command.argv[command.argv.index("-Q") + 1]
    assert queues == (
        "tts.chatterbox.live,tts.chatterbox-turbo.live,"
        "tts.chatterbox.batch,tts.chatterbox-turbo.batch"
    )
    assert command.argv[command.argv.index("-P") + 1] == "threads"
    assert command.environment["MYNAH_WARM_ENGINES"] == "espeak,chatterbox,chatterbox-turbo"
    monkeypatch.setenv("MYNAH_ENGINES", "chaterbox")
    with pytest.raises(LocalStackError, match="no engine 'chaterbox'"):
        build_parts(environment)


def test_no_secret_stands_on_a_command_line(environment: StackEnvironment) -> None:
    parts = build_parts(environment)
    commands = [part.build_command() for part in parts.services] + [parts.migration]
    words = " ".join(word for command in commands for word in command.argv)
    for secret in (
        environment.credentials.postgres_password,
        environment.credentials.redis_password,
        environment.credentials.flower_password,
        environment.credentials.jwt_secret,
    ):
        assert secret not in words


def test_ports_come_from_the_command_line_then_the_variables_then_the_defaults() -> None:
    ports = Ports.read({"gateway": 9000}, {"MYNAH_PORT": "7000", "MYNAH_PG_PORT": "7001"})
    assert (ports.gateway, ports.postgres, ports.redis) == (9000, 7001, 56379)


@pytest.mark.parametrize("text", ["http", "0", "70000"])
def test_a_port_that_is_none_is_refused_by_name(text: str) -> None:
    with pytest.raises(LocalStackError, match="MYNAH_REDIS_PORT"):
        Ports.read({}, {"MYNAH_REDIS_PORT": text})


def test_two_parts_on_one_port_are_refused() -> None:
    with pytest.raises(LocalStackError, match="of its own"):
        Ports.read({"gateway": 5555}, {})


def test_a_port_in_use_is_reported_with_its_owner_and_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        taken = server.getsockname()[1]
        assert not is_free(taken)
        spare = [find_spare_port() for _ in range(3)]
        with pytest.raises(PortTaken) as caught:
            check_ports(Ports(gateway=taken, postgres=spare[0], redis=spare[1], flower=spare[2]))
    message = str(caught.value)
    assert f"Port {taken} for gateway" in message
    assert f"process {os.getpid()}" in message
    assert "make up PORT=" in message


def test_a_spare_port_is_free() -> None:
    assert is_free(find_spare_port())
