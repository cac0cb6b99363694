"""What all tests share: which of them can run here, pictures without a screen, R's data sets."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable
from functools import cache

import pytest

os.environ.setdefault("MPLBACKEND", "Agg")  # before anyone imports matplotlib
os.environ["FORMULA_NEURO_CACHE"] = ""  # tests that want a cache say where: none writes to the user's

R_REQUIRED = os.environ.get("FN_REQUIRE_R", "") not in ("", "0")
BROWSER_REQUIRED = os.environ.get("FN_REQUIRE_BROWSER", "") not in ("", "0")


def _missing_for_r() -> str | None:
    return "R is not on PATH" if shutil.which("R") is None else None


def _missing_for_rpy2() -> str | None:
    return "rpy2 is not installed" if importlib.util.find_spec("rpy2") is None else _missing_for_r()


def _missing_for_browser() -> str | None:
    if not any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        return "chromium is not on PATH"
    if importlib.util.find_spec("playwright") is None:
        return "playwright is not installed"
    return None


def _missing_for_gpu() -> str | None:
    import torch

    return None if torch.cuda.is_available() else "torch finds no CUDA device"


MISSING = {
    "r": cache(_missing_for_r),
    "rpy2": cache(_missing_for_rpy2),
    "browser": cache(_missing_for_browser),
    "gpu": cache(_missing_for_gpu),
}


@pytest.hookimpl(tryfirst=True)  # before -m selects
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The bridge's doctests talk to R, so they carry its mark; the hook below does not see them, out of tests/."""
    for item in items:
        if isinstance(item, pytest.DoctestItem) and "r_bridge" in item.path.parts:
            item.add_marker(pytest.mark.r)
            if not R_REQUIRED and (reason := MISSING["r"]()):
                item.add_marker(pytest.mark.skip(reason=reason))


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, ask in MISSING.items():
        reason = ask() if item.get_closest_marker(marker) else None
        if reason is None:
            continue
        if marker in ("r", "rpy2") and R_REQUIRED:
            pytest.fail(f"{reason}, and FN_REQUIRE_R is set: a skipped cross-check would be a false green")
        if marker == "browser" and BROWSER_REQUIRED:
            pytest.fail(f"{reason}, and FN_REQUIRE_BROWSER is set: a page that nobody opened would be a false green")
        pytest.skip(reason)


@pytest.fixture(scope="session")
def rdata() -> Callable:
    """rdata("lme4", "sleepstudy") -> a DataFrame of the data set of an installed R package, read once a session.

    The tests that use it are marked `r`.
    """
    from formula_neuro_r import data

    read = cache(data)
    return lambda package, name: read(package, name).copy()
