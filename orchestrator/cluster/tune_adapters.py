"""Ray Tune's side of the driver: one searcher and one scheduler for the whole study, both thin."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from orchestrator.cluster.shared_data import SharedData
from orchestrator.cluster.tune_controller import Controller, no_secrets, session_folder
from orchestrator.cluster.watch import ClusterLost, lost_cluster
from orchestrator.common.signals import end_if_told
from orchestrator.common.temporary_folders import scratch_folder
from orchestrator.engine.driver import StudyDriver
from orchestrator.engine.payload import KEEP_MODEL
from orchestrator.engine.slots import is_first_evaluation
from results.records.trial_record import TrialRecord
from trainables.algorithms import module_folders
from trainables.data.shared_images import SharedBlock
from trainables.specs import TrialSpec
from trainables.trainable import PAYLOAD

SECONDS_BETWEEN_LOOKS = 1.0
"""At the cluster's own processes."""


class StudySearcher(Searcher):  # type: ignore[misc]
    """Hands out slots as Tune has room, and writes the record of each trial that ends.

    Tune logs and swallows what a searcher raises when a trial ends; so the first such exception is kept in `fault`, no further
    trial is handed out, and the runner raises it.
    """

    def __init__(
        self,
        driver: StudyDriver,
        *,
        requests: Callable[[str], Mapping[str, float]],
        places: Callable[[TrialSpec], Mapping[str, Any]],
        shared: SharedData | None,
        on_record: Callable[[TrialRecord], None],
        keep_models: bool = False,
    ) -> None:
        super().__init__()
        self._requests = requests
        self._driver = driver
        self._places = places
        self._shared = shared
        self._handed_out: dict[str, SharedBlock] = {}
        self._constants = {
            "started_in": str(Path.cwd()),
            "modules": module_folders({c.arm.algorithm for c in driver.state.plan.cells}),
        }
        self._on_record = on_record
        self._keep_models = keep_models
        self.fault: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        """Nothing: Tune pickles its searcher for a restore of its own, and the ledger is what a study goes on from."""
        return {}

    def suggest(self, trial_id: str) -> Any:
        """Configuration of the next trial, None to wait, or FINISHED."""
        if self.fault is not None or self._driver.done:
            return Searcher.FINISHED
        slot = self._driver.hand_out(trial_id)
        if slot is None:
            return None
        holds = dict(self._requests(slot.cell.arm.name))
        config: dict[str, Any] = {**self._constants, **self._places(slot.spec)}
        config.update(spec=slot.spec.model_dump_json(), holds=holds)
        if self._keep_models and is_first_evaluation(slot):
            config[KEEP_MODEL] = True
        if self._shared is not None and (shared := self._shared.block(slot.spec)) is not None:
            config["shared"] = self._handed_out[trial_id] = shared
        return config

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """A trial ended by itself, was stopped, or lost its process too often."""
        if (shared := self._handed_out.pop(trial_id, None)) is not None:
            shared.release()  # Tune keeps the configuration, and may write it to a file
        try:
            if result and PAYLOAD in result:
                self._driver.receive(trial_id, result[PAYLOAD][0])
            lost = None
            if error or not result:
                lost = "the trial's process died (killed, or out of memory?)"
            record = self._driver.close(trial_id, lost=lost)
            if record is not None:
                self._on_record(record)
        except Exception as problem:
            self.fault = self.fault or problem

    def save(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, for the same reason."""


class _Ended(BaseException):
    """Leaves Tune's loop at once. Tune catches exceptions and tidies up, which takes a minute where no cluster answers."""

    def __init__(self, why: ClusterLost) -> None:
        super().__init__(str(why))
        self.why = why


class StudyScheduler(FIFOScheduler):  # type: ignore[misc]
    """Stops a trial when it is above its own limits, which come from its own cell's complete generations.

    Being handed Tune's controller at every turn, it also sees to its processes, and to what it keeps of trials that ended: memory
    and time per trial would otherwise grow with the length of the study.
    """

    def __init__(self, driver: StudyDriver, processes: Callable[[], int], idle_seconds: float | None = None) -> None:
        super().__init__()
        self._driver = driver
        self._processes, self._idle_seconds = processes, idle_seconds
        self._controller: Controller | None = None
        self._looked = time.monotonic()

    def __getstate__(self) -> dict[str, Any]:
        """Nothing, as for the searcher."""
        return {}

    def choose_trial_to_run(self, tune_controller: Any) -> Any:
        """As Tune does; called at every step of its loop, and so the place to notice that the cluster is gone."""
        end_if_told()
        if time.monotonic() - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked = time.monotonic()
            if lost := lost_cluster():
                raise _Ended(lost)
        if self._controller is None:
            self._controller = Controller(tune_controller, self._processes, self._idle_seconds)
        self._controller.give_way()
        self._controller.let_idle_nodes_go()
        self._controller.ask_for_processes()
        return super().choose_trial_to_run(tune_controller)

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """STOP or CONTINUE."""
        stop = self._driver.receive(trial.trial_id, result[PAYLOAD][0])
        return str(TrialScheduler.STOP if stop else TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """A process was lost."""
        if self._controller is not None:
            self._controller.drop_idle_processes()

    def on_trial_complete(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> None:
        """Keep the trial's process, and let go of the trials that ended before, for Tune is still busy with this one."""
        assert self._controller is not None, "Tune asks for a trial to run before one can end"
        self._controller.keep_processes(trial.placement_group_factory)
        self._controller.forget_ended_trials()


def run_trials(
    driver: StudyDriver,
    trainable: type[tune.Trainable],
    *,
    processes: Callable[[], int],
    requests: Callable[[str], Mapping[str, float]],
    places: Callable[[TrialSpec], Mapping[str, Any]],
    on_record: Callable[[TrialRecord], None],
    shared: SharedData | None = None,
    keep_models: bool = False,
    idle_seconds: float | None = None,
) -> None:
    """Run all that `driver` hands out, as one Tune experiment whose own folder is temporary, for the ledger is what counts.

    Args:
        driver: What to run, and where records go.
        trainable: `AblationTrainable`, or what answers as it does.
        processes: How many trials shall run side by side; asked again and again, as a cluster may grow.
        requests: What a trial of an arm holds, by Ray's names; asked when it is handed out.
        places: What a trial's configuration says of where its files are.
        on_record: Told of each record once it is durable.
        shared: Images in the object store; without, every process reads the files.
        idle_seconds: For how long a process may wait for its next trial; None for as long as the study goes on.
        keep_models: Ask the first evaluation trial of each cell for its network.

    Raises what the driver raised where a record could not be written, and ClusterLost where Ray ended meanwhile.
    """
    searcher = StudySearcher(
        driver, requests=requests, places=places, shared=shared, on_record=on_record, keep_models=keep_models
    )
    with scratch_folder() as scratch, session_folder(scratch), no_secrets():
        try:
            tune.run(
                tune.with_resources(trainable, lambda config: tune.PlacementGroupFactory([config["holds"]])),
                search_alg=searcher,
                scheduler=StudyScheduler(driver, processes, idle_seconds),
                num_samples=-1,
                reuse_actors=True,
                name=driver.state.plan.study.study,
                storage_path=str(scratch),
                verbose=0,
                max_failures=0,  # the driver starts lost trials again
                raise_on_failed_trial=False,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),  # trials keep their own
                _remote=False,  # with Ray Client, too, Tune's loop stays in this process, where the ledger is
            )
        except _Ended as ended:
            raise ended.why from None
    if searcher.fault is not None:
        raise searcher.fault
