import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from cache.errors import StoreBusy, StoreFault
from cache.stores.directory import Directory


def claim_and_release(path: Path) -> bytes:
    directory = Directory.claim(path)
    directory.release()
    return directory.secret


def test_the_secret_stays_and_only_the_owner_reads_it(tmp_path: Path) -> None:
    secret = claim_and_release(tmp_path / "deep" / "store")

    assert secret == claim_and_release(tmp_path / "deep" / "store")
    assert stat.S_IMODE(os.stat(tmp_path / "deep" / "store" / "secret").st_mode) == 0o600
    assert stat.S_IMODE(os.stat(tmp_path / "deep" / "store").st_mode) == 0o700


def test_an_unknown_format_is_refused(tmp_path: Path) -> None:
    claim_and_release(tmp_path)
    (tmp_path / "format").write_text("lookalike-store 9\n")

    with pytest.raises(StoreFault, match="lookalike-store 9"):
        Directory.claim(tmp_path)


def test_somebody_elses_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()

    with pytest.raises(StoreFault, match=r"thesis\.odt"):
        Directory.claim(tmp_path)


def test_a_half_made_directory_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    (tmp_path / "secret").write_bytes(b"half")
    (tmp_path / "format.new").write_bytes(b"look")

    assert len(claim_and_release(tmp_path)) == 32


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"short")])
def test_a_lost_secret_is_not_replaced_silently(tmp_path: Path, damage) -> None:
    claim_and_release(tmp_path)
    damage(tmp_path / "secret")

    with pytest.raises(StoreFault, match="secret"):
        Directory.claim(tmp_path)


def test_a_path_that_cannot_be_a_directory_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(StoreFault, match="cannot use"):
        Directory.claim(tmp_path / "file")


def test_a_refused_directory_is_not_kept_locked(tmp_path: Path) -> None:
    (tmp_path / "stranger").touch()
    with pytest.raises(StoreFault):
        Directory.claim(tmp_path)
    (tmp_path / "stranger").unlink()

    claim_and_release(tmp_path)


@pytest.mark.slow
def test_a_second_process_is_refused_until_the_first_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time, pathlib; from cache.stores.directory import Directory;"
        "owner = Directory.claim(pathlib.Path(sys.argv[1])); print('mine', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"mine\n"
        with pytest.raises(StoreBusy, match="another process"):
            Directory.claim(tmp_path)
        owner.kill()

    claim_and_release(tmp_path)
