"""What a machine may lack beside Python: tests that need it are skipped there, and fail where everything has been installed."""

from __future__ import annotations

import os
import shutil

import pytest

from trainables.data import DATASETS

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PDFLATEX = shutil.which("pdflatex")
SKIP_NOTHING = bool(os.environ.get("ABLATE_TESTS_SKIP_NOTHING"))
"""As CI has it, after `scripts/system-packages`: a test that is skipped there would be one that nobody ran."""


def _needs(found: bool, what: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not found and not SKIP_NOTHING, reason=f"{what} is not here; see `make system`")


needs_chromium = _needs(CHROMIUM is not None, "Chromium")
needs_latex = _needs(PDFLATEX is not None, "pdflatex")
needs_fashion_mnist = _needs(DATASETS["fashion-mnist"].missing() is None, "Fashion-MNIST")
