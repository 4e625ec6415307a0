"""The account that comes with a new stack, so that its owner can look around at once."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

from deploy.local.credentials import save
from deploy.local.environment import ROOT, StackEnvironment
from deploy.local.errors import LocalStackError


def ensure_demo_account(environment: StackEnvironment) -> StackEnvironment:
    """Create the demo user, an administrator, and an API key of theirs, once per stack.

    Returns:
        The environment with the key among its credentials.

    Raises:
        LocalStackError: the command failed; holds what it said.
    """
    credentials = environment.credentials
    if credentials.demo_api_key:
        return environment
    email = credentials.demo_email
    _manage(environment, "create-user", "--email", email, "--name", "Demo", "--admin")
    created = json.loads(_manage(environment, "create-key", "--email", email, "--name", "demo"))
    credentials = replace(credentials, demo_api_key=created["key"])
    save(environment.layout.secrets_file, credentials)
    return replace(environment, credentials=credentials)


def _manage(environment: StackEnvironment, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", "services.api.manage", *arguments],
        cwd=ROOT,
        env={
            **environment.variables(),
            "MYNAH_NEW_PASSWORD": environment.credentials.demo_password,
        },
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise LocalStackError(
            f"The demo account could not be made ({arguments[0]}):\n{result.stderr}"
        )
    return result.stdout
