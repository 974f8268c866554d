from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from cache.entry import Entry
from gateway.admin.selection import Selection, newest_first, page, place
from tests.contracts.store_contract import record
from tests.examples import examples


def entry(name: str = "a", **fields: object) -> Entry:
    known = {"tenant": "9f31c0de9f31c0de", "prompts": ("51ab", "77cd"), "created_s": 1_000.0}
    return replace(record(name).entry, **(known | fields))  # type: ignore[arg-type]


def test_all_that_is_given_must_hold():
    one, now_s = entry(), 1_100.0

    assert Selection().takes(one, now_s)
    assert Selection("qwen3-vl-8b", "9f31c0de", "77cd", 99, 101).takes(one, now_s)
    for wrong in (
        Selection(model="qwen3-vl-8"),
        Selection(tenant="9f31c0df"),
        Selection(prompt="51"),
        Selection(older_than_s=100),
        Selection(newer_than_s=100),
        Selection("qwen3-vl-8b", "9f31c0de", "77cd", 99, 99),
    ):
        assert not wrong.takes(one, now_s)


def test_a_whole_tenants_digest_names_the_tenant_too_and_nobody_is_not_everybody():
    assert Selection(tenant="9f31c0de9f31c0de" + "0" * 48).takes(entry(), 0.0)
    assert not Selection(tenant="9f31c0de").takes(entry(tenant=""), 0.0)


def test_only_what_was_given_is_told():
    assert Selection(model="m", older_than_s=0.0).facts == {"model": "m", "older_than_s": 0.0}


@examples(100)
@given(st.lists(st.integers(0, 3), max_size=12), st.integers(1, 5), st.data())
def test_the_pages_together_are_the_whole_also_when_entries_go_meanwhile(
    ages: list[int], limit: int, data: st.DataObject
):
    entries = [entry(str(number), created_s=age / 3) for number, age in enumerate(ages)]
    seen, after, gone = [], None, set()
    for _ in range(len(entries) + 1):
        shown, text = page([one for one in entries if one.id not in gone], after, limit)
        seen += shown
        if text is None:
            break
        after = place(text)
        gone.add(data.draw(st.sampled_from(entries)).id)

    assert [one for one in seen if one.id not in gone] == [one for one in newest_first(entries) if one.id not in gone]
    assert len({one.id for one in seen}) == len(seen)
