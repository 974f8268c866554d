"""Events over real HTTP: taken, refused, kept waiting, and nobody held up."""

import json
from pathlib import Path
from typing import Any

import anyio

from gateway.webhooks.outbox import Outbox
from tests.fakes.receiver import Hang, Says
from tests.webhooks.conftest import Post, event, until


def counts(outbox: Outbox, name: str = "orders") -> dict[str, Any]:
    return outbox.report()[name]


def on_disk(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.glob("webhooks.sqlite*"))


def test_an_event_comes_signed_with_all_that_is_known_but_the_prompt(post: Post):
    receiver, url = post.receiver()
    outbox = post.outbox(post.webhook(url))

    outbox.publish(event(1, label="refund", hit="near", time_s=1_790_000_000.25))
    receiver.wait_for(got=1)

    assert receiver.forged == 0
    assert receiver.got[0] == {
        "type": "rule.matched",
        "id": receiver.ids[0],
        "timestamp": "2026-09-21T14:13:20.250Z",
        "data": {
            "rule": "damage",
            "tags": ["parcel"],
            "label": "refund",
            "answer": "answer 1",
            "prompt": None,
            "model": "m",
            "dialect": "openai-chat",
            "hit": "near",
            "entry": "entry1",
            "request": "request1",
            "tenant": "0123456789ab",
        },
    }


def test_a_wrong_secret_is_noticed_by_the_receiver(post: Post):
    receiver, url = post.receiver()
    receiver.key = b"another secret altogether"
    post.outbox(post.webhook(url)).publish(event())
    receiver.wait_for(asked=1)

    assert receiver.forged == 1


def test_what_fails_is_tried_again_under_the_same_id_until_it_is_taken(post: Post):
    receiver, url = post.receiver(Says(500), Says(429, after_s=0), Says(404), Says(503))
    outbox = post.outbox(post.webhook(url))

    outbox.publish(event())
    receiver.wait_for(got=1)
    until(lambda: counts(outbox)["queued"] == 0)

    assert len(receiver.ids) == 5
    assert len(set(receiver.ids)) == 1
    assert counts(outbox)["attempts_failed"] == 4
    assert counts(outbox)["delivered"] == 1
    assert counts(outbox)["trouble"] is None


def test_a_redirect_is_not_followed(post: Post):
    elsewhere, other_url = post.receiver()
    receiver, url = post.receiver(Says(307, location=other_url))
    outbox = post.outbox(post.webhook(url))

    outbox.publish(event())
    receiver.wait_for(got=1)

    assert elsewhere.ids == []
    assert len(receiver.ids) == 2


def test_a_receiver_that_wants_no_more_gets_no_more_of_that_event(post: Post):
    receiver, url = post.receiver(Says(410))
    outbox = post.outbox(post.webhook(url))

    outbox.publish(event())
    until(lambda: counts(outbox)["failed"] == 1)

    assert len(receiver.ids) == 1
    assert counts(outbox) | {"queued_bytes": 0} == {
        "unwritten": 0,
        "queued": 0,
        "queued_bytes": 0,
        "delivered": 0,
        "failed": 1,
        "dropped": 0,
        "attempts_failed": 1,
        "set_aside": 1,
        "trouble": "HTTP 410",
    }


def test_a_hanging_receiver_holds_up_no_other_and_no_publisher(post: Post):
    hanging, hanging_url = post.receiver(*[Hang()] * 4)
    brisk, brisk_url = post.receiver()
    outbox = post.outbox(post.webhook(hanging_url, "hanging"), post.webhook(brisk_url, "brisk"))

    for number in range(50):
        outbox.publish(event(number, "hanging", "brisk"))
    brisk.wait_for(got=50)
    hanging.wait_for(asked=4)

    assert hanging.got == []
    assert counts(outbox, "hanging")["queued"] == 50
    hanging.go_on.set()
    hanging.wait_for(got=50)

    assert sorted(hanging.answers) == sorted(f"answer {number}" for number in range(50))


def test_one_that_says_nothing_in_time_is_asked_again(post: Post):
    receiver, url = post.receiver(Hang())
    outbox = post.outbox(post.webhook(url, timeout_s=0.05))

    outbox.publish(event())
    receiver.wait_for(got=1)

    assert len(receiver.ids) == 2
    assert counts(outbox)["attempts_failed"] == 1


def test_an_event_that_is_never_taken_holds_up_no_other(post: Post):
    receiver, url = post.receiver(Says(500))
    outbox = post.outbox(post.webhook(url))
    outbox.publish(event(0))
    receiver.wait_for(asked=1)
    for number in range(1, 20):
        outbox.publish(event(number))

    receiver.wait_for(got=20)
    until(lambda: counts(outbox)["delivered"] == 20)

    assert counts(outbox)["attempts_failed"] == 1


def test_a_dead_receiver_costs_its_bounded_queue_and_what_is_beyond_is_counted(post: Post, dead: str):
    outbox = post.outbox(post.webhook(dead, queue_events_max=10))

    for number in range(25):
        outbox.publish(event(number))
    until(lambda: counts(outbox)["attempts_failed"] > 2)

    assert counts(outbox)["queued"] == 10
    assert counts(outbox)["dropped"] == 15
    assert counts(outbox)["trouble"] == "unreachable"


def test_the_queue_is_bounded_in_bytes_too_the_prompt_counted(post: Post, dead: str):
    outbox = post.outbox(post.webhook(dead, queue_bytes_max=4096, prompt=True))

    outbox.publish(event(1, prompt="x" * 5000))
    outbox.publish(event(2))

    assert counts(outbox)["dropped"] == 1
    assert counts(outbox)["queued"] == 1
    assert counts(outbox)["queued_bytes"] < 4096


def test_too_old_it_is_set_aside_and_sent_when_someone_says_so(post: Post, dead: str):
    outbox = post.outbox(post.webhook(dead))
    outbox.publish(event(1))
    until(lambda: counts(outbox)["attempts_failed"] >= 1)
    post.clock.later_s = 3700
    until(lambda: counts(outbox)["failed"] == 1)
    outbox.close()

    receiver, url = post.receiver()
    outbox = post.outbox(post.webhook(url))
    (aside,) = anyio.run(outbox.aside, 10)

    assert (aside["webhook"], aside["why"], aside["entry"]) == ("orders", "unreachable", "entry1")
    assert counts(outbox)["set_aside"] == 1
    assert anyio.run(outbox.retry, "orders", "evt_other") == 0
    assert anyio.run(outbox.retry, "orders", aside["id"]) == 1
    receiver.wait_for(got=1)
    until(lambda: counts(outbox)["queued"] == 0)

    assert receiver.answers == ["answer 1"]
    assert counts(outbox)["set_aside"] == 0


def test_a_clock_that_is_set_back_holds_up_nothing(post: Post):
    receiver, url = post.receiver(Says(500))
    outbox = post.outbox(post.webhook(url, give_up_after_s=1_000_000))
    post.clock.later_s = 400_000
    outbox.publish(event())
    receiver.wait_for(asked=1)
    until(lambda: counts(outbox)["attempts_failed"] == 1)
    post.clock.later_s = 0

    outbox.publish(event(2))
    receiver.wait_for(got=2)


def test_what_waits_is_sent_after_a_restart(post: Post, dead: str):
    outbox = post.outbox(post.webhook(dead))
    for number in range(5):
        outbox.publish(event(number))
    outbox.close()

    receiver, url = post.receiver()
    outbox = post.outbox(post.webhook(url))
    receiver.wait_for(got=5)

    assert sorted(receiver.answers) == [f"answer {number}" for number in range(5)]


def test_a_prompt_is_sent_where_it_may_be_and_is_never_on_disk(post: Post, dead: str):
    receiver, url = post.receiver()
    told, silent = post.webhook(url, "told", prompt=True), post.webhook(dead, "silent", prompt=True)
    outbox = post.outbox(told, silent)

    outbox.publish(event(1, "told", "silent", prompt="what does it SAYSAYSAY?"))
    receiver.wait_for(got=1)
    until(lambda: all(one["unwritten"] == 0 for one in outbox.report().values()))

    assert receiver.got[0]["data"]["prompt"] == "what does it SAYSAYSAY?"
    assert b"answer 1" in on_disk(post.folder)
    assert b"SAYSAYSAY" not in on_disk(post.folder)
    outbox.close()
    later, later_url = post.receiver()
    post.outbox(post.webhook(later_url, "silent", prompt=True))
    later.wait_for(got=1)

    assert later.got[0]["data"] == receiver.got[0]["data"] | {"prompt": None}


def test_an_answer_that_is_not_to_be_kept_is_sent_but_not_on_disk(post: Post, dead: str):
    receiver, url = post.receiver()
    outbox = post.outbox(post.webhook(url), post.webhook(dead, "silent"))

    outbox.publish(event(1, "orders", "silent", answer="a SECRETWORD", keep=False))
    receiver.wait_for(got=1)
    until(lambda: all(one["unwritten"] == 0 for one in outbox.report().values()))

    assert receiver.answers == ["a SECRETWORD"]
    assert b"request1" in on_disk(post.folder)
    assert b"SECRETWORD" not in on_disk(post.folder)


def test_what_is_forgotten_is_not_sent_and_not_on_disk(post: Post, dead: str):
    outbox = post.outbox(post.webhook(dead))
    outbox.publish(event(1, answer="UNWANTEDWORD"))
    outbox.publish(event(2))
    until(lambda: all(one["unwritten"] == 0 for one in outbox.report().values()))
    assert b"UNWANTEDWORD" in on_disk(post.folder)

    anyio.run(outbox.forget, frozenset({"entry1"}))

    assert counts(outbox)["queued"] == 1
    assert b"UNWANTEDWORD" not in on_disk(post.folder)
    outbox.close()
    receiver, url = post.receiver()
    post.outbox(post.webhook(url))
    receiver.wait_for(got=1)

    assert receiver.answers == ["answer 2"]


def test_events_of_a_webhook_that_left_the_settings_are_set_aside(post: Post, dead: str):
    outbox = post.outbox(post.webhook(dead))
    outbox.publish(event(1))
    outbox.close()

    outbox = post.outbox()
    (aside,) = anyio.run(outbox.aside, 10)

    assert (aside["webhook"], aside["why"]) == ("orders", "no such webhook in the settings")
    assert outbox.report() == {}


def test_in_memory_nothing_is_left_behind(post: Post):
    receiver, url = post.receiver()
    outbox = post.outbox(post.webhook(url), memory=True)

    outbox.publish(event())
    receiver.wait_for(got=1)

    assert list(post.folder.iterdir()) == []


def test_without_webhooks_there_is_no_thread_and_no_file(post: Post):
    outbox = post.outbox()
    outbox.publish(event(1, "nobody"))

    assert list(post.folder.iterdir()) == []
    assert anyio.run(outbox.aside, 10) == []


def test_a_damaged_file_is_set_aside_and_the_next_events_are_sent(post: Post):
    (post.folder / "webhooks.sqlite").write_bytes(b"no database at all" * 1000)
    receiver, url = post.receiver()

    post.outbox(post.webhook(url)).publish(event())
    receiver.wait_for(got=1)

    assert (post.folder / "webhooks.sqlite.damaged").exists()


def test_a_queue_that_cannot_be_written_is_in_memory(post: Post):
    receiver, url = post.receiver()
    place = post.folder / "no-such-directory" / "webhooks.sqlite"

    post.outbox(post.webhook(url), file=place).publish(event())
    receiver.wait_for(got=1)

    assert not place.parent.exists()


def test_any_text_is_sent_as_json(post: Post):
    receiver, url = post.receiver()
    text = 'half a pair \ud800, "quotes", \x00, 破损'

    post.outbox(post.webhook(url, prompt=True)).publish(event(1, answer=text, prompt=text))
    receiver.wait_for(got=1)

    said = json.loads(json.dumps(receiver.got[0]))["data"]
    assert said["answer"] == said["prompt"] == text.replace("\ud800", "?")
