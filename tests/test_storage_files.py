"""Where a trace is saved: permissions, links, what is no file, and several that save at once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import attncore
from attncore.storage import check_folder
from attncore.testing import example_trace

TRACE = example_trace(1)
NAME = "trace.attn.safetensors"


@pytest.fixture
def umask() -> Iterator[None]:
    """New files may be read by the group."""
    before = os.umask(0o027)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_a_file_has_the_permissions_of_new_files_or_keeps_its_own(tmp_path: Path) -> None:
    """As any program writes files."""
    path = tmp_path / NAME
    TRACE.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    path.chmod(0o604)
    TRACE.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o604


@pytest.mark.parametrize("exists", [True, False])
def test_a_link_stays_a_link(exists: bool, tmp_path: Path) -> None:
    """What it leads to is written, in its own folder."""
    (tmp_path / "there").mkdir()
    target, link = tmp_path / "there" / NAME, tmp_path / NAME
    link.symlink_to(Path("there") / NAME)
    if exists:
        target.write_text("old")
    TRACE.save(link)
    assert link.is_symlink()
    assert len(attncore.load(target)) == 1
    assert list(target.parent.iterdir()) == [target]


def test_what_is_no_file_is_refused_and_left(tmp_path: Path) -> None:
    """A pipe, and a link to one, are neither replaced nor waited for; a folder is named as one."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        with pytest.raises(OSError, match="is a device, a pipe or a socket"):
            TRACE.save(path)
    with pytest.raises(IsADirectoryError, match="is a folder; give the name of a file"):
        TRACE.save(tmp_path)
    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert link.is_symlink()


def test_a_device_is_refused_and_left(tmp_path: Path) -> None:
    """Tried with one of its own, never with the machine's."""
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except OSError:
        pytest.skip("making a device is not permitted here")
    with pytest.raises(OSError, match="is a device"):
        TRACE.save(device)
    assert stat.S_ISCHR(device.lstat().st_mode)


def test_a_folder_that_may_not_be_written_to_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the run, by what the system says of it."""
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)
    with pytest.raises(PermissionError, match="you may not write to the folder"):
        check_folder(tmp_path / NAME)


def test_several_may_save_to_one_path(tmp_path: Path) -> None:
    """Each writes a file of its own first; one of them stays, whole."""
    path = tmp_path / NAME
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(TRACE.save, path) for _ in range(40)]:
            done.result()
    assert len(attncore.load(path)) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_the_longest_name_can_be_saved(tmp_path: Path) -> None:
    """The file beside it that is written first has a short one."""
    path = tmp_path / ("n" * 255)
    TRACE.save(path)
    assert len(attncore.load(path)) == 1
