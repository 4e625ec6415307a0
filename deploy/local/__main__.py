"""The command line of the local stack: ``python -m deploy.local up|down|status|…``.

``make up``, ``make down`` and so on call this; it can be used directly just as well.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from deploy.local import stack
from deploy.local.environment import ROOT, Layout, Ports, StackEnvironment
from deploy.local.errors import LocalStackError
from deploy.local.state import AlreadyRunning, StackState


def main() -> int:
    """Run one command; return the exit status."""
    arguments = _parser().parse_args()
    layout = Layout.from_environment()
    try:
        return _COMMANDS[arguments.command](layout, arguments)
    except LocalStackError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _up(layout: Layout, arguments: argparse.Namespace) -> int:
    environment = stack.up(layout, _ports(arguments), print)
    _describe(environment)
    return 0


def _down(layout: Layout, arguments: argparse.Namespace) -> int:
    stack.down(layout, print)
    if arguments.remove_data:
        stack.remove_data(layout)
        print(f"Removed {layout.home}.")
    return 0


def _run(layout: Layout, arguments: argparse.Namespace) -> int:
    try:
        return 0 if stack.run(layout, _ports(arguments)) else 1
    except AlreadyRunning:
        raise LocalStackError("The stack already runs.") from None


def _restart(layout: Layout, arguments: argparse.Namespace) -> int:
    stack.restart(layout, arguments.part, print)
    return 0


def _status(layout: Layout, _: argparse.Namespace) -> int:
    state = stack.find_running(layout)
    if state is None:
        print("The stack does not run. Start it with 'make up'.")
        return 1
    _print_parts(state)
    _describe(stack.running_environment(layout, state))
    return 0 if state.is_ready else 1


def _logs(layout: Layout, arguments: argparse.Namespace) -> int:
    logs = [layout.log(arguments.part)] if arguments.part else sorted(layout.logs.glob("*.log"))
    if not logs or not all(log.exists() for log in logs):
        raise LocalStackError(f"There is no log of '{arguments.part or 'anything'}' yet.")
    follow = ["-F"] if arguments.follow else []
    return subprocess.run(["tail", "-n", "40", *follow, *logs], check=False).returncode


def _execute(layout: Layout, arguments: argparse.Namespace) -> int:
    state = stack.find_running(layout)
    if state is None:
        raise LocalStackError("The stack does not run. Start it with 'make up'.")
    variables = stack.running_environment(layout, state).variables()
    return subprocess.run(arguments.argv, env=variables, cwd=ROOT, check=False).returncode


def _demo(layout: Layout, arguments: argparse.Namespace) -> int:
    from deploy.local.demo import run_demo  # noqa: PLC0415 - only this command needs httpx

    running = stack.find_running(layout)
    environment = (
        stack.running_environment(layout, running)
        if running
        else stack.up(layout, _ports(arguments), print)
    )
    run_demo(environment, arguments.recording, arguments.story, arguments.language)
    if running is None:
        print("\nThe stack stays up. Stop it with 'make down'.")
    return 0


_COMMANDS = {
    "up": _up,
    "down": _down,
    "run": _run,
    "restart": _restart,
    "status": _status,
    "logs": _logs,
    "exec": _execute,
    "demo": _demo,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_ports(commands.add_parser("up", help="start what is missing, wait until it serves"))
    _add_ports(commands.add_parser("run", help="run in the foreground until Ctrl-C"))
    down = commands.add_parser("down", help="stop everything")
    down.add_argument("--remove-data", action="store_true", help="and delete all that is stored")
    restart = commands.add_parser("restart", help="restart a part, or all services")
    restart.add_argument("part", nargs="?")
    commands.add_parser("status", help="show what runs")
    logs = commands.add_parser("logs", help="show the end of the logs")
    logs.add_argument("part", nargs="?")
    logs.add_argument("--follow", action="store_true")
    execute = commands.add_parser("exec", help="run a command with the services' settings")
    execute.add_argument("argv", nargs=argparse.REMAINDER, metavar="COMMAND …")
    demo = commands.add_parser("demo", help="clone a voice and speak a story")
    demo.add_argument("--recording", type=_optional_path, default=None)
    demo.add_argument("--story", type=_optional_path, default=None)
    demo.add_argument("--language", default="en")
    _add_ports(demo)
    return parser


def _add_ports(parser: argparse.ArgumentParser) -> None:
    for name, default in Ports().as_dict().items():
        parser.add_argument(f"--{name}-port", type=int, help=f"default: {default}")


def _ports(arguments: argparse.Namespace) -> Ports:
    chosen = {name: getattr(arguments, f"{name}_port") for name in Ports().as_dict()}
    return Ports.read(chosen, os.environ)


def _optional_path(text: str) -> Path | None:
    return Path(text) if text else None


def _print_parts(state: StackState) -> None:
    print(f"{'part':<13}{'state':<12}{'process':>8}{'up for':>10}{'exits':>7}")
    for part in state.parts:
        pid = str(part.process.pid) if part.process else "-"
        age = f"{time.time() - part.process.started:.0f} s" if part.process else "-"
        print(f"{part.name:<13}{part.state:<12}{pid:>8}{age:>10}{part.exits:>7}")
    print()


def _describe(environment: StackEnvironment) -> None:
    secrets_file = environment.layout.secrets_file
    credentials = environment.credentials
    print(
        f"""
  API          {environment.api_url}
  API docs     {environment.api_url}/docs
  Flower       {environment.flower_url}  (user {credentials.flower_user})
  Demo user    {credentials.demo_email}  (an administrator)
  Password     grep DEMO_PASSWORD {secrets_file}
  API key      grep DEMO_API_KEY {secrets_file}
  Logs         make logs            Stop         make down
"""
    )


if __name__ == "__main__":
    sys.exit(main())
