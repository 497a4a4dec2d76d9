"""NVIDIA's library is a stand-in here: there is no GPU to ask."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
import torch

from orchestrator.cluster.gpu_energy import EnergyMeter, energy_counter


class NVMLError(Exception):
    pass


class Library:
    """A GPU that has taken `millijoules`."""

    NVMLError = NVMLError
    millijoules = 0
    asked: str = ""
    problem: Exception | None = None

    def nvmlInit(self) -> None:
        if self.problem:
            raise self.problem

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        self.asked = uuid
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        assert handle == self.asked
        return self.millijoules


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    made = Library()
    monkeypatch.setitem(sys.modules, "pynvml", made)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(uuid="0a1b-2c"))
    return made


def test_what_the_gpu_counts_is_read_from_the_start_on(library: Library) -> None:
    library.millijoules = 5_000_000
    meter = EnergyMeter()
    meter.start()
    library.millijoules += 7_200_000  # 7,200 J are 2 Wh
    assert meter.watt_hours() == pytest.approx(2.0)
    assert library.asked == "GPU-0a1b-2c"
    meter.start()
    assert meter.watt_hours() == 0.0


def test_a_counter_that_begins_again_says_nothing(library: Library) -> None:
    library.millijoules = 5_000
    meter = EnergyMeter()
    meter.start()
    library.millijoules = 10
    assert meter.watt_hours() is None


@pytest.mark.parametrize("problem", ["no counter", "no library", "no GPU"])
def test_what_cannot_be_measured_is_none(library: Library, monkeypatch: pytest.MonkeyPatch, problem: str) -> None:
    if problem == "no counter":
        library.problem = NVMLError("not supported")
    elif problem == "no library":
        monkeypatch.setitem(sys.modules, "pynvml", None)
    else:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    meter = EnergyMeter()
    meter.start()
    assert energy_counter() is None
    assert meter.watt_hours() is None
