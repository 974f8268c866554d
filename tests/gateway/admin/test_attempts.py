from gateway.admin import attempts
from gateway.admin.attempts import ATTEMPTS_MOST, WITHIN_S, Attempts


def failing(address: str, times: int = ATTEMPTS_MOST) -> Attempts:
    made = Attempts()
    for second in range(times):
        made.failed(address, float(second))
    return made


def test_after_the_last_attempt_the_wait_is_until_the_first_is_long_enough_ago():
    assert failing("192.0.2.1", ATTEMPTS_MOST - 1).wait_s("192.0.2.1", 10.0) == 0
    assert failing("192.0.2.1").wait_s("192.0.2.1", 10.0) == WITHIN_S - 10
    assert failing("192.0.2.1").wait_s("192.0.2.1", WITHIN_S) == 0


def test_another_address_does_not_wait_and_a_network_of_ipv6_counts_as_one():
    assert failing("192.0.2.1").wait_s("192.0.2.2", 10.0) == 0
    assert failing("2001:db8::1").wait_s("2001:db8::ffff", 10.0) > 0
    assert failing("2001:db8::1").wait_s("2001:db8:0:1::1", 10.0) == 0
    assert failing("unknown").wait_s("unknown", 10.0) > 0


def test_the_memory_for_addresses_is_bounded():
    made = failing("192.0.2.1")
    for number in range(attempts._ADDRESSES_MOST):
        made.failed(f"address {number}", 10.0)

    assert made.wait_s("192.0.2.1", 10.0) == 0
