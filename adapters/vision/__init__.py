"""Vision: decoders, detectors, aligners and recognisers, and the pool of processes they run in."""

import os

# Once imported, ONNX Runtime's builds for Linux report to their maker, unless they were forbidden to beforehand.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
