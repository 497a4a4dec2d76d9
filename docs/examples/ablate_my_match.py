"""Ablate an algorithm of your own from Python: `python docs/examples/ablate_my_match.py`, or cell by cell in a notebook.

`my_match.py` beside this file holds the algorithm. Nothing in the package knows of it.
"""

# %% The question, as a study file would have it.
import sys
from pathlib import Path

from orchestrator import load_study, plan, run

here = Path(__file__).parent
sys.path.insert(0, str(here))  # where my_match.py is; a study file finds a module beside itself without this

study = load_study(
    {
        "study": "my-match",
        "question": "Which parts of MyMatch matter on handwritten digits?",
        "method": "my_match:MyMatch",
        "ablation": {"design": ["leave-one-out", "one-at-a-time"]},
        "baselines": ["supervised"],
        "data": {"dataset": "digits", "labels_per_class": 2, "contamination": 0.0, "generators": []},
        "training": {"steps": 120, "reports": 6},
        "search": {
            "trials": 4,
            "spaces": ["optimiser"],
            "ranges": {"certainty_weight": {"low": 0.01, "high": 1.0, "log": True}},
        },
        "evaluate": {"seeds": 6},
    },
    overrides=sys.argv[1:],  # such as evaluate.seeds=10
)

# %% What it would run and cost, and what its seeds can show.
print(plan(study))

# %% Run what is missing. In a notebook, the result shows itself as a table.
if __name__ == "__main__":
    result = run(study)
    print(result)
    print(result.to_pandas().groupby(["arm", "phase"])["seconds"].agg(["count", "mean"]))
    print(f"report: {result.report}")
