"""The stages, one file each; what they share is in `contract/`, what they tell MLflow in `tracking/`."""

import os

# ONNX Runtime reads it at import, and would keep an id of this device and look up its maker's host.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
