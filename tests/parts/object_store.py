"""An S3 server for tests: OpenStack Swift with its S3 interface, one disk, one replica.

It lives in an environment of its own (``make test`` installs it) and checks signatures and
their expiry for real, which the usual mocks do not.
"""

from __future__ import annotations

import http.client
import os
import pwd
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import PartMissing
from deploy.local.ports import HOST, find_spare_port
from deploy.local.processes import Command
from tests.parts.process import ROOT, ServiceProcess

ACCESS_KEY = "dev:key"
REGION = "us-east-1"

_BINARIES = ROOT / ".venv-swift" / "bin"
_STORAGE_SERVERS = ("account", "container", "object")
_PORT_ATTEMPTS = 5

_SWIFT_CONF = """\
[swift-hash]
swift_hash_path_suffix = {secret}

[storage-policy:0]
name = only
default = yes
"""

_STORAGE_CONF = """\
[DEFAULT]
bind_ip = {host}
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}/devices
mount_check = false
fallocate_reserve = 0
log_address = {folder}/no-syslog

[pipeline:main]
pipeline = {name}-server

[app:{name}-server]
use = egg:swift#{name}
"""

_PROXY_CONF = """\
[DEFAULT]
bind_ip = {host}
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
log_address = {folder}/no-syslog

[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck listing_formats s3api tempauth bulk slo dlo \
symlink versioned_writes proxy-server

[filter:catch_errors]
use = egg:swift#catch_errors

[filter:gatekeeper]
use = egg:swift#gatekeeper

[filter:healthcheck]
use = egg:swift#healthcheck

[filter:listing_formats]
use = egg:swift#listing_formats

[filter:s3api]
use = egg:swift#s3api
location = {region}

[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{access_user} = {secret} .admin

[filter:bulk]
use = egg:swift#bulk

[filter:slo]
use = egg:swift#slo

[filter:dlo]
use = egg:swift#dlo

[filter:symlink]
use = egg:swift#symlink

[filter:versioned_writes]
use = egg:swift#versioned_writes
allow_versioned_writes = true

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
"""

# Three rings in one process; the command-line tool would be started nine times.
_BUILD_RINGS = """\
import sys
from swift.common.ring import RingBuilder

host, *servers = sys.argv[1:]
for server in servers:
    name, port = server.split(":")
    builder = RingBuilder(part_power=4, replicas=1, min_part_hours=1)
    place = {"region": 1, "zone": 1, "weight": 1.0, "device": "disk", "meta": ""}
    address = {"ip": host, "port": int(port)}
    replication = {"replication_ip": host, "replication_port": int(port)}
    builder.add_dev({**place, **address, **replication})
    builder.rebalance()
    builder.get_ring().save(f"{name}.ring.gz")
"""


@dataclass(frozen=True)
class _Ports:
    proxy: int
    storage: Mapping[str, int]

    @classmethod
    def spare(cls) -> _Ports:
        return cls(find_spare_port(), {name: find_spare_port() for name in _STORAGE_SERVERS})


class SwiftPart:
    """An S3 server in a temporary folder: ``endpoint``, ``access_key`` and ``secret_key``."""

    access_key = ACCESS_KEY
    region = REGION

    def __init__(self, folder: Path) -> None:
        self.secret_key = secrets.token_hex(16)
        self._folder = folder / "swift"
        self._ports = _Ports.spare()
        self._processes: list[ServiceProcess] = []

    @property
    def endpoint(self) -> str:
        """Host and port, as the ``minio`` client wants it (without a scheme; plain HTTP)."""
        return f"{HOST}:{self._ports.proxy}"

    def start(self) -> SwiftPart:
        """Start the four servers and wait until they serve.

        Raises:
            PartMissing: the environment with Swift is not installed.
        """
        if not (_BINARIES / "swift-proxy-server").exists():
            raise PartMissing("Swift is not installed. Run deploy/local/bootstrap.sh swift.")
        attempts = 1 if self._processes else _PORT_ATTEMPTS
        for remaining in reversed(range(attempts)):
            if not self._processes:
                self._write_configuration()
            try:
                self._start_processes()
            except AssertionError:
                self.kill()
                if not remaining:
                    raise
                self._ports = _Ports.spare()
                self._processes = []
            else:
                break
        return self

    def stop(self) -> None:
        """Stop all four servers."""
        for process in self._processes:
            process.stop()

    def kill(self) -> None:
        """Kill all four servers with SIGKILL."""
        for process in self._processes:
            process.kill()

    def restart(self) -> None:
        """Stop what runs, and start on the same ports with the same data."""
        self.stop()
        self.start()

    def is_ready(self) -> bool:
        """Tell whether the proxy answers."""
        connection = http.client.HTTPConnection(self.endpoint, timeout=2)
        try:
            connection.request("GET", "/healthcheck")
            return connection.getresponse().status == http.client.OK
        except OSError:
            return False
        finally:
            connection.close()

    def _start_processes(self) -> None:
        if not self._processes:
            self._processes = [
                ServiceProcess(
                    f"swift-{name}",
                    Command(
                        [str(_BINARIES / f"swift-{name}-server"), str(self._conf(name)), "-v"],
                        environment={"PATH": os.defpath, "HOME": str(self._folder)},
                        folder=self._folder,
                    ),
                    self._folder / f"{name}.log",
                )
                for name in (*_STORAGE_SERVERS, "proxy")
            ]
        for process in self._processes:
            process.start()
        self._processes[-1].wait_until_ready(self.is_ready)
        for process in self._processes:
            process.wait_until_ready(lambda: True, timeout_s=0)

    def _conf(self, name: str) -> Path:
        return self._folder / f"{name}-server.conf"

    def _write_configuration(self) -> None:
        (self._folder / "devices" / "disk").mkdir(parents=True, exist_ok=True)
        common = {"host": HOST, "folder": self._folder, "user": _user_name()}
        swift_conf = _SWIFT_CONF.format(secret=secrets.token_hex(8))
        (self._folder / "swift.conf").write_text(swift_conf)
        account, access_user = ACCESS_KEY.split(":")
        proxy_conf = _PROXY_CONF.format(
            **common,
            port=self._ports.proxy,
            region=REGION,
            account=account,
            access_user=access_user,
            secret=self.secret_key,
        )
        self._conf("proxy").write_text(proxy_conf)
        for name, port in self._ports.storage.items():
            self._conf(name).write_text(_STORAGE_CONF.format(**common, name=name, port=port))
        self._build_rings()

    def _build_rings(self) -> None:
        servers = [f"{name}:{port}" for name, port in self._ports.storage.items()]
        result = subprocess.run(
            [str(_BINARIES / "python"), "-c", _BUILD_RINGS, HOST, *servers],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode != 0:
            raise RuntimeError(f"Swift's rings could not be built:\n{result.stderr}")


def _user_name() -> str:
    return pwd.getpwuid(os.geteuid()).pw_name
