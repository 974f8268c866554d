"""Weights for the tests of this folder, made once."""

from pathlib import Path

import pytest

from tests.fakes import clip_checkpoint


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clip")
    clip_checkpoint.write(folder, seed=0)
    return folder


@pytest.fixture(scope="session")
def other_clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("other-clip")
    clip_checkpoint.write(folder, seed=1)
    return folder
