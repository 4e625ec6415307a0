"""The local stack: Postgres, Redis, the gateway and the workers as child processes of one machine.

``python -m deploy.local up`` starts what is missing, ``down`` stops it; see :mod:`.__main__`.
Tests start the same parts, one by one, through :mod:`tests.parts`.
"""
