"""Write the exact posterior of every hard table to exact/NAME.json.

.venv/bin/python -m experiments.hard_tables.build
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

import dag_gfn as dg
from experiments.hard_tables.barriers import NUM_VARIABLES, barriers, way_out_of_the_empty_graph
from experiments.hard_tables.tables import TABLES, local_scores

FOLDER = Path(__file__).parent / "exact"


def exact_facts(name: str) -> dict[str, Any]:
    """Return what `exact/NAME.json` holds."""
    scores = local_scores(name)
    exact = dg.ExactPosterior(progress=False, random_state=0).infer(scores)
    best = exact.posterior_.most_probable(10).adjacency
    log_scores = scores.log_score(best)
    facts = {
        "what": TABLES[name].what,
        "rows": scores.num_rows,
        "variables": list(scores.names),
        "score": TABLES[name].score,
        "prior": "uniform",
        "log_evidence": exact.log_evidence_,
        "edge_marginals": exact.edge_marginals_.to_numpy().round(9).tolist(),
        "most_probable": [
            {
                "probability": float(np.exp(log_score - exact.log_evidence_)),
                "edges": [f"{scores.names[i]} -> {scores.names[j]}" for i, j in np.argwhere(graph)],
            }
            for graph, log_score in sorted(
                zip(best, log_scores, strict=True), key=lambda pair: -pair[1]
            )
        ],
    }
    if scores.num_variables == NUM_VARIABLES:
        facts["barriers"] = [barrier._asdict() for barrier in barriers(scores)]
        facts["way_out_of_the_empty_graph"] = way_out_of_the_empty_graph(scores)
    return facts


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name in TABLES:
        facts = exact_facts(name)
        text = json.dumps(facts, indent=1)
        (FOLDER / f"{name}.json").write_text(text + "\n", encoding="utf-8")
        print(name, len(facts["variables"]), "variables", facts.get("barriers", [])[:3])


if __name__ == "__main__":
    main()
