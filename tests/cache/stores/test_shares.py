"""Who gives way: the tenant that holds most, by its least recently used; checked against the plain way to say it."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from cache.stores.shares import Shares, Stake


def filled(**held: int) -> Shares:
    """Entries named a1, a2, ... of ten bytes each for each tenant."""
    shares = Shares()
    for tenant, count in held.items():
        for number in range(count):
            shares.add(Stake(f"{tenant}{number}", tenant, 10))
    return shares


def test_of_one_tenant_the_least_recently_used_go_but_not_who_leaves_anyway() -> None:
    shares = filled(a=4)
    shares.use("a0")

    assert shares.surplus(50, Stake("new", "a", 10)) == []
    assert shares.surplus(30, Stake("new", "a", 10)) == ["a1", "a2"]
    assert shares.surplus(30, Stake("new", "a", 10), leaving=["a1"]) == ["a2"]
    assert shares.check()


def test_who_holds_most_gives_way_for_who_holds_less() -> None:
    shares = filled(flood=9, quiet=1)

    assert shares.surplus(100, Stake("new", "quiet", 10)) == ["flood0"]
    assert shares.surplus(100, Stake("new", "flood", 10)) == ["flood0"]
    assert shares.surplus(100, Stake("new", "third", 30)) == ["flood0", "flood1", "flood2"]


def test_what_exceeds_its_tenants_share_is_turned_away_itself() -> None:
    shares = filled(quiet=5, big=1)

    assert shares.surplus(60, Stake("giant", "big", 55)) == ["big0", "giant"]


def test_a_surplus_is_thought_through_and_changes_nothing() -> None:
    shares = filled(a=5, b=3)

    assert shares.surplus(10) == shares.surplus(10) == ["a0", "a1", "a2", "b0", "a3", "b1", "a4"]
    assert (shares.bytes, len(shares)) == (80, 8)
    assert shares.check()


def test_the_order_of_who_holds_most_does_not_grow_with_what_comes_and_goes() -> None:
    shares = filled(a=1, b=1)
    for _ in range(2_000):
        shares.drop("a0")
        shares.add(Stake("a0", "a", 10))

    assert len(shares._heaviest) < 200


_DEEDS = st.lists(
    st.tuples(
        st.sampled_from(["put", "put", "put", "use", "drop"]),
        st.integers(0, 11),
        st.sampled_from("abc"),
        st.integers(0, 40),
    ),
    max_size=60,
)


@given(deeds=_DEEDS, bytes_max=st.integers(40, 160))
def test_it_chooses_as_the_plain_way_does_and_pushes_nobody_below_an_even_share(
    deeds: list[tuple[str, int, str, int]], bytes_max: int
) -> None:
    shares = Shares()
    plain: dict[str, Stake] = {}  # in the order of last use
    for deed, number, tenant, weight in deeds:
        name = str(number)
        if deed == "put" and name not in plain:
            stake = Stake(name, tenant, weight)
            before = Counter[str]()
            for each in [*plain.values(), stake]:
                before[each.tenant] += each.weight
            gone = shares.surplus(bytes_max, stake)
            assert gone == _plainly({**plain, name: stake}, bytes_max)
            plain[name] = stake
            shares.add(stake)
            for one in gone:
                loser = plain.pop(one).tenant
                shares.drop(one)
                assert loser == tenant or before[loser] * len(before) > bytes_max
        elif name in plain and deed == "use":
            plain[name] = plain.pop(name)
            shares.use(name)
        elif name in plain and deed == "drop":
            del plain[name]
            shares.drop(name)
        assert shares.check()
        assert shares.bytes <= bytes_max


def _plainly(stakes: dict[str, Stake], bytes_max: int) -> list[str]:
    gone: list[str] = []
    while sum(stake.weight for stake in stakes.values()) > bytes_max:
        held: Counter[str] = Counter()
        for stake in stakes.values():
            held[stake.tenant] += stake.weight
        most = min(held, key=lambda tenant: (-held[tenant], tenant))
        gone.append(next(name for name, stake in stakes.items() if stake.tenant == most))
        del stakes[gone[-1]]
    return gone
