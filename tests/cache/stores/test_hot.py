from cache.stores.hot import Hot


def test_the_least_recently_used_reply_leaves_first() -> None:
    hot = Hot(80)
    for name in "abcdefgh":
        hot.put(name, bytes(10), "t")
    hot.get("a")
    hot.put("i", bytes(5), "t")

    assert bytes(10) == hot.get("a")
    assert hot.get("b") is None
    assert bytes(10) == hot.get("c")


def test_a_giant_is_not_kept() -> None:
    hot = Hot(80)
    hot.put("a", b"small", "t")
    hot.put("b", bytes(11), "t")

    assert hot.get("b") is None
    assert hot.get("a") == b"small"


def test_replaced_and_dropped_replies_free_their_room() -> None:
    hot = Hot(80)
    for _ in range(100):
        hot.put("a", bytes(10), "t")
    hot.put("b", bytes(10), "t")
    hot.drop("b")
    hot.drop("b")

    assert bytes(10) == hot.get("a")
    assert hot._shares.bytes == 10


def test_one_tenants_replies_do_not_push_out_anothers() -> None:
    hot = Hot(80)
    hot.put("mine", bytes(10), "a")
    for number in range(50):
        hot.put(str(number), bytes(10), "b")

    assert bytes(10) == hot.get("mine")
