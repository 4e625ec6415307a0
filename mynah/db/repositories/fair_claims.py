"""Whose turn it is: the claim of a waiting step, fair among users.

A message says that a step waits; which one is worked on is decided here. First comes the user
for whom what was done of late and what is left of the job are least together: a short job
overtakes long stories of others from its first piece to its last, and whoever orders many short
ones has soon been served more than they are worth (shortest remaining processing time, L. Schrage
1968, and least attained service, L. Kleinrock, "Queueing Systems" II, 1976, in one sum). Among the
jobs of one user comes the one that has got least so far.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID, uuid4

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from mynah.db.models import Job, Piece, Step, Voice

# What was done for a user counts for half after 80 s: a story of yesterday is no one's fault.
FADING_S = 120.0

_JOB, _STEP, _PIECE = Job.__table__.c, Step.__table__.c, Piece.__table__.c
_VOICE = Voice.__table__.c
# The rows as this statement leaves them: a SELECT sees what was there before.
_STARTED = {name: f"coalesce(started.{name}, j.{name})" for name in ("state", "started_at")}
_ROWS = ", ".join(
    [
        *(_STARTED.get(column.name, f"j.{column.name}") for column in _JOB),
        *(f"taken.{column.name}" for column in _STEP),
        *(f"p.{column.name}" for column in _PIECE),
        *(f"v.{column.name}" for column in _VOICE),
    ]
)

# Steps of the hint's queue and task that wait. Compared with values, not joined: only then does
# the index give them in the order in which the statement wants them, and a row ends each look.
_CLAIMABLE = (
    "s.queue = (SELECT queue FROM hint) AND s.task = (SELECT task FROM hint) AND s.state = 'ready'"
)

# One statement, so that a claim costs one round trip:
#  hint     the queue that a message names; and nobody waits for the claim to reach the disk: one
#           that is lost with the server leaves a step that waits, as if the worker had died
#  waiting  the users who have steps to claim, by jumping along the index from one to the next
#  turns    those users, least served and least left of their next job first
#  picked   the first step that nobody else is claiming right now
#  charged  adds its weight to what the user was served
#  started  moves a pending job, unless somebody holds its row: finishing the step will then;
#           IS TRUE keeps the planner from reading all pending jobs by their index
# The order of locks is step, share; a job's row is never waited for, so nothing can deadlock with
# those who lock the job first.
_CLAIM = text(
    f"""
WITH RECURSIVE hint AS (
    SELECT queue, task FROM steps
    WHERE id = :step_id AND set_config('synchronous_commit', 'off', true) IS NOT NULL
), waiting (user_id) AS (
    (SELECT s.user_id FROM steps s WHERE {_CLAIMABLE} ORDER BY s.user_id LIMIT 1)
    UNION ALL
    SELECT (SELECT s.user_id FROM steps s WHERE {_CLAIMABLE} AND s.user_id > w.user_id
            ORDER BY s.user_id LIMIT 1)
    FROM waiting w WHERE w.user_id IS NOT NULL
), turns AS (
    SELECT w.user_id FROM waiting w
    LEFT JOIN served_shares v
        ON v.user_id = w.user_id AND v.queue = (SELECT queue FROM hint)
    CROSS JOIN LATERAL (
        SELECT s.job_id FROM steps s WHERE {_CLAIMABLE} AND s.user_id = w.user_id
        ORDER BY s.ordinal, s.job_id LIMIT 1
    ) following
    JOIN jobs j ON j.id = following.job_id
    ORDER BY j.work_total - j.work_done + coalesce(
        v.served * exp(-extract(epoch FROM now() - v.updated_at)::float / :fading_s), 0)
), picked AS (
    SELECT first.id FROM turns t CROSS JOIN LATERAL (
        SELECT s.id FROM steps s WHERE {_CLAIMABLE} AND s.user_id = t.user_id
            AND (s.not_before IS NULL OR s.not_before <= now())
        ORDER BY s.ordinal, s.job_id LIMIT 1
        FOR UPDATE OF s SKIP LOCKED
    ) first LIMIT 1
), taken AS (
    UPDATE steps SET state = 'running', claim_token = :token, attempts = attempts + 1,
        lease_until = now() + :lease, not_before = NULL
    FROM picked WHERE steps.id = picked.id
    RETURNING steps.*
), charged AS (
    INSERT INTO served_shares AS v (queue, user_id, served, updated_at)
    SELECT queue, user_id, weight, now() FROM taken
    ON CONFLICT (queue, user_id) DO UPDATE SET updated_at = now(), served = excluded.served
        + v.served * exp(-extract(epoch FROM now() - v.updated_at)::float / :fading_s)
), started AS (
    UPDATE jobs SET state = 'processing', started_at = now()
    WHERE id = (SELECT j.id FROM jobs j WHERE j.id = (SELECT job_id FROM taken)
                AND (j.state = 'pending') IS TRUE FOR UPDATE OF j SKIP LOCKED)
    RETURNING state, started_at
)
SELECT {_ROWS} FROM taken
JOIN jobs j ON j.id = taken.job_id
LEFT JOIN pieces p ON p.step_id = taken.id
LEFT JOIN voices v ON p.step_id IS NOT NULL
    AND v.id = coalesce(CAST(p.speech ->> 'voice_id' AS uuid), j.voice_id)
    AND (v.user_id = j.user_id OR v.visibility = 'public')
LEFT JOIN started ON true
"""  # noqa: S608 - the columns' names are the models'
).columns(*_JOB, *_STEP, *_PIECE, *_VOICE)
_CLAIMED = select(Job, Step, Piece, Voice).from_statement(_CLAIM)


class FairClaims:
    """Claims of steps."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def claim(
        self, step_id: UUID, lease: timedelta
    ) -> tuple[Job, Step, Piece | None, Voice | None] | None:
        """Take a waiting step from the queue of the step that a message names.

        With its piece the voice that is to speak it, if the job's user may speak as it. None:
        nothing waits there, so the message was a repeated one.
        """
        row = self._session.execute(
            _CLAIMED,
            {"step_id": step_id, "token": uuid4(), "lease": lease, "fading_s": FADING_S},
        ).one_or_none()
        return None if row is None else (row[0], row[1], row[2], row[3])
