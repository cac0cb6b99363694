"""Files that are there whole or not at all."""

from __future__ import annotations

import pytest

from formula_neuro.running.whole import whole


def test_a_file_appears_when_all_of_it_is_written(tmp_path):
    with whole(tmp_path / "a") as file:
        file.write(b"first")
        assert not (tmp_path / "a").exists()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"first")]


def test_a_failure_leaves_the_older_file_and_nothing_else(tmp_path):
    (tmp_path / "a").write_bytes(b"older")
    with pytest.raises(KeyboardInterrupt), whole(tmp_path / "a") as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"older")]


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    with whole(tmp_path / "a") as one, whole(tmp_path / "a") as other:
        one.write(b"one")
        other.write(b"other")
    assert (tmp_path / "a").read_bytes() == b"one"
