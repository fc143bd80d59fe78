"""The ten stages of the line, one file each, and what they share.

    1 collect     sources/         6 fine_tune   labels.py
    2 clean       cleaning/        7 evaluate    plots.py
    3 validate                     8 register    registry.py, tracking.py, pyfunc_model.py
    4 tokenize                     9 export
    5 pretrain                    10 deploy

The contract is in stage.py; artifact.py, store.py and fingerprint.py are its parts, child.py and visible.py
its hands and face, errors.py the hierarchy of everything that can go wrong.
"""

import os

# ONNX Runtime reads it at import, and would keep an id of this device and look up its maker's host.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
