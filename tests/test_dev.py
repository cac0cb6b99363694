"""./dev, as far as it can be tried without installing anything: its functions, read by a shell of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MACHINE = ("PIP_", "UV_", "SSL_CERT_FILE", "VENV", "FN_")


def shell(commands: str, **variables: str) -> list[str]:
    """The lines that commands print after reading ./dev, with this interpreter's environment and no settings of pip."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(MACHINE)}
    kept |= {"VENV": sys.prefix, **variables}
    done = subprocess.run(
        ["bash", "-c", f"source ./dev; {commands}"], cwd=ROOT, env=kept, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_settings_in_any_configuration_file_of_pip_reach_uv(tmp_path):
    # `pip config get` reads the user's file alone, so that a machine-wide /etc/pip.conf went unheard
    file = tmp_path / "pip.conf"
    file.write_text("[global]\nfind-links =\n    /wheels\n    /more\ncert = /company.pem\n", encoding="utf-8")
    asked = 'hand_pip_settings_to_uv; printf "%s\\n" "$UV_FIND_LINKS" "$SSL_CERT_FILE"'
    assert shell(asked, PIP_CONFIG_FILE=str(file)) == ["/wheels,/more", "/company.pem"]


def test_what_uv_is_told_already_stays():
    asked = 'hand_pip_settings_to_uv; echo "$UV_FIND_LINKS"'
    assert shell(asked, PIP_FIND_LINKS="/pips", UV_FIND_LINKS="/uvs") == ["/uvs"]


def test_an_unknown_word_is_named_and_the_words_are_listed():
    done = subprocess.run(["./dev", "tset"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    assert "no word 'tset'" in done.stderr
    assert "./dev WORD" in done.stderr
