"""Events of a job: in order, to the end, and nothing left behind by who leaves."""

from __future__ import annotations

from mynah.contracts.states import JobState
from tests.integration.api.gateway import NOBODY, error_of
from tests.integration.live.listening import events_of, finish, listening, messages_of, ordered
from tests.integration.voices.studio import Studio, json_of
from tests.parts import wait_for


def is_free(studio: Studio) -> bool:
    return studio.container.slots.taken == 0 and not studio.container.watcher.watched


def test_events_come_in_order_from_the_state_to_the_end(studio: Studio) -> None:
    job_id = ordered(studio)
    with listening(studio, job_id, "events") as response:
        assert response.status_code == 200
        assert response.content_type == "text/event-stream"
        assert response.headers["Cache-Control"] == "no-store"
        events = events_of(response)
        first = next(events)
        assert (first.name, first.data["job_id"], first.data["status"]) == (
            "state", job_id, "pending",
        )  # fmt: skip
        seen = []
        while studio.ready_steps():
            done = studio.job(job_id).steps_done
            studio.work(most=1)
            for event in events:
                seen.append(event)
                if event.name != "progress" or event.data["pieces_done"] > done:
                    break
        seen += events
    names = [event.name for event in seen]
    assert set(names[:-1]) == {"progress"}
    assert names[-1] == "completed"
    assert len({event.id for event in (first, *seen)}) == len(seen) + 1
    progress = [event.data for event in seen[:-1]]
    for name in ("progress", "audio_done_s", "pieces_done"):
        assert [data[name] for data in progress] == sorted(data[name] for data in progress)
    pieces = progress[-1]["pieces_total"]
    assert pieces > 2
    assert progress[-1]["pieces_done"] == pieces
    assert progress[-1]["eta_s"] >= 0
    shown = json_of(studio.get(f"/api/tts/job/{job_id}"))
    assert seen[-1].data == shown
    assert (shown["audio_done_s"], shown["eta_s"]) == (shown["actual_duration_s"], None)
    assert is_free(studio)


def test_an_ended_job_has_one_event_and_does_not_ask_to_come_back(studio: Studio) -> None:
    job_id = ordered(studio, "Hello.")
    finish(studio)
    with listening(studio, job_id, "events") as response:
        (event,) = events_of(response)
    assert (event.name, event.data["status"]) == ("completed", "completed")
    with listening(studio, job_id, "events", **{"Last-Event-ID": event.id}) as response:
        assert (response.status_code, response.get_data()) == (204, b"")


def test_who_comes_back_in_the_middle_gets_the_state_as_it_is(studio: Studio) -> None:
    job_id = ordered(studio)
    studio.work(most=1)
    with listening(studio, job_id, "events", **{"Last-Event-ID": "0-pending"}) as response:
        event = next(events_of(response))
    assert (event.name, event.data["status"]) == ("state", "processing")
    assert event.data["audio_done_s"] > 0
    assert event.data["eta_s"] >= 0


def test_a_cancelled_job_says_so(studio: Studio) -> None:
    job_id = ordered(studio)
    with listening(studio, job_id, "events") as response:
        events = events_of(response)
        next(events)
        assert studio.post(f"/api/tts/job/{job_id}/cancel").status_code == 200
        (last,) = events
    assert (last.name, last.data["error_code"]) == ("cancelled", "cancelled")


def test_silence_is_broken_by_comments(studio: Studio) -> None:
    with listening(studio, ordered(studio), "events") as response:
        messages = messages_of(response)
        assert next(messages).startswith("retry: ")
        assert next(messages).startswith("event: state")
        assert next(messages).startswith(":")
        assert next(messages).startswith(":")


def test_many_listeners_hear_of_one_job(studio: Studio) -> None:
    job_id = ordered(studio, "Hello.")
    with listening(studio, job_id, "events") as one, listening(studio, job_id, "events") as two:
        both = [events_of(one), events_of(two)]
        for events in both:
            assert next(events).name == "state"
        assert studio.container.slots.taken == 2
        finish(studio)
        for events in both:
            assert [event.name for event in events][-1] == "completed"


def test_who_leaves_leaves_nothing_behind(studio: Studio) -> None:
    job_id = ordered(studio)
    with listening(studio, job_id, "events") as response:
        next(events_of(response))
        assert not is_free(studio)
    wait_for(lambda: is_free(studio), 5, "the listener left something behind")
    with listening(studio, job_id, "events"):  # gone before the first byte
        pass
    assert is_free(studio)
    assert (
        studio.client.head(f"/api/tts/job/{job_id}/events", headers=studio.account.auth).status_code
        == 200
    )
    assert is_free(studio)


def test_a_job_that_is_removed_ends_its_events(studio: Studio) -> None:
    job_id = ordered(studio)
    with listening(studio, job_id, "events") as response:
        events = events_of(response)
        next(events)
        with studio.worker.new_uow() as uow:
            uow.session.delete(studio.job(job_id))
            uow.commit()
        assert list(events) == []


def test_only_the_owner_may_listen(studio: Studio) -> None:
    job_id = ordered(studio)
    other = studio.with_new_account()
    for path in (f"{job_id}/events", f"{job_id}/stream", f"{NOBODY}/events", f"{NOBODY}/stream"):
        answer = other.get(f"/api/tts/job/{path}")
        assert error_of(answer, 404)["error_code"] == "job_not_found"
        error_of(other.client.get(f"/api/tts/job/{path}"), 401)
    assert studio.job(job_id).state == JobState.PENDING
