"""A client that is missing is never passed over in silence, and no line of the document is left untried."""

from pathlib import Path

import pytest

from tests.flows.clients.packages import REQUIRED, client_package, documented_lines

FLOWS = [path for path in Path(__file__).parent.glob("test_*.py") if path != Path(__file__)]


def test_without_its_package_a_client_is_skipped_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(REQUIRED, raising=False)

    with pytest.raises(pytest.skip.Exception, match=r"no_such_client is not installed; run: scripts/clients"):
        client_package("no_such_client")


def test_where_the_clients_are_required_a_missing_one_is_a_failure(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(REQUIRED, "required")

    with pytest.raises(pytest.fail.Exception, match="no_such_client"):
        client_package("no_such_client")


def test_every_documented_line_is_tried_by_a_flow():
    flows = "".join(path.read_text() for path in FLOWS)
    lines = documented_lines()

    assert len(lines) > 10
    assert [client for client in lines if f'"{client}"' not in flows] == []
