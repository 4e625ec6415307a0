"""The first account of a local stack and its API key, made once through the gateway's commands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace

from deploy.local.credentials import save
from deploy.local.environment import ROOT, StackEnvironment
from deploy.local.errors import LocalStackError


def ensure_first_account(environment: StackEnvironment) -> str:
    """The API key of the first account, an administrator; makes both unless they are there."""
    credentials = environment.credentials
    if credentials.demo_api_key:
        return credentials.demo_api_key
    _manage(
        environment,
        *("create-user", "--admin", "--email", credentials.demo_email, "--name", "Demo"),
        password=credentials.demo_password,
    )
    made = _manage(environment, "create-key", "--email", credentials.demo_email, "--name", "demo")
    key = str(json.loads(made)["key"])
    save(environment.layout.secrets_file, replace(credentials, demo_api_key=key))
    return key


def _manage(environment: StackEnvironment, *arguments: str, password: str = "") -> str:
    variables = {**os.environ, **environment.variables(), "MYNAH_NEW_PASSWORD": password}
    result = subprocess.run(
        [sys.executable, "-m", "services.api.manage", *arguments],
        env=variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise LocalStackError(f"The first account could not be made:\n{result.stderr[-2000:]}")
    return result.stdout
