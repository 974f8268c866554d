import dataclasses

from cache.stores.index import Held, Index
from tests.contracts.store_contract import record


def held(name: str, number: int, **fields: object) -> Held:
    return Held(dataclasses.replace(record(name).entry, **fields), number, 10, 0, None)


def filled(names: str) -> Index:
    index = Index()
    for number, name in enumerate(names):
        index.add(held(name, number))
    return index


def test_dropping_all_leaves_nothing_behind() -> None:
    index = filled("abc")
    for name in "abc":
        index.drop(f"id-{name}")

    assert index.drop("id-a") is None
    maps = {name: value for name, value in vars(index).items() if name != "_expiry"}
    assert not any(maps.values())
    assert index.bytes == 0
    assert index.check() == []


def test_an_entry_that_left_does_not_expire() -> None:
    index = Index()
    index.add(held("a", 0, expires_s=5.0))
    index.drop("id-a")
    index.add(held("a", 1, expires_s=9.0))

    assert index.expired(5.0) == []
    assert index.expired(9.0) == ["id-a"]


def test_the_expiry_order_does_not_grow_with_replacements() -> None:
    index = Index()
    for number in range(5_000):
        index.drop("id-a")
        index.add(held("a", number))

    assert len(index._expiry) < 200
    assert index.check() == []
