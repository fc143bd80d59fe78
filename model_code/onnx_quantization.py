"""A served folder with weights of eight bits: a quarter of the size, and quicker on a CPU.

    python -m model_code.onnx_quantization JOB.json

JOB: served (folder that `model_code.onnx_export` wrote), output (directory that gets the same folder with
other graphs), config (empty).

Weights are rounded once, what goes into a matrix product by its own range each time: "dynamic" quantization,
which needs no examples (Zafrir et al. 2019, arXiv 1910.06188). That range is one for a whole batch, so each
row runs alone, or its answer would depend on its neighbours. Whether answers are still good enough is for
the caller to judge.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

from model_code.job import Job, Reporter, main, write_json


def quantize(served: Path, output: Path) -> None:
    """Write a copy of a served folder whose graphs have weights of eight bits. Needs onnx and onnxruntime."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().setLevel(logging.ERROR)  # it advises a preprocessing that a traced graph doesn't need
    shutil.copytree(served, output, dirs_exist_ok=True)
    settings = json.loads((served / "settings.json").read_text(encoding="utf-8"))
    write_json(output / "settings.json", settings | {"alone": True})
    for graph in served.glob("*.onnx"):
        is_large = graph.with_suffix(".onnx.data").is_file()  # its weights are beside it
        (output / f"{graph.name}.data").unlink(missing_ok=True)
        quantize_dynamic(
            graph, output / graph.name, weight_type=QuantType.QInt8, use_external_data_format=is_large
        )


def run(job: Job, reporter: Reporter) -> dict[str, Any]:
    """Quantize the job's folder; returns its bytes."""
    output = job.paths["output"]
    quantize(job.paths["served"], output)
    return {"bytes": sum(path.stat().st_size for path in output.glob("*.onnx*"))}


if __name__ == "__main__":
    main(run, {"served", "output"})
