from cache.stores.hot import Hot


def test_the_least_recently_used_reply_leaves_first() -> None:
    hot = Hot(80)
    for name in "abcdefgh":
        hot.put(name, bytes(10))
    hot.get("a")
    hot.put("i", bytes(5))

    assert bytes(10) == hot.get("a")
    assert hot.get("b") is None
    assert bytes(10) == hot.get("c")


def test_a_giant_is_not_kept() -> None:
    hot = Hot(80)
    hot.put("a", b"small")
    hot.put("b", bytes(11))

    assert hot.get("b") is None
    assert hot.get("a") == b"small"


def test_replaced_and_dropped_replies_free_their_room() -> None:
    hot = Hot(80)
    for _ in range(100):
        hot.put("a", bytes(10))
    hot.put("b", bytes(10))
    hot.drop("b")
    hot.drop("b")

    assert bytes(10) == hot.get("a")
    assert hot._bytes == 10
