"""Nothing that looks at photographs talks to anybody."""

import os
import subprocess
import sys

import pytest

_COUNT_THREADS = "import os, {module}; print(len(os.listdir('/proc/self/task')))"


def _threads(module: str, *, reporting_forbidden: str) -> int:
    environment = {**os.environ, "ORT_DISABLE_TELEMETRY": reporting_forbidden}
    command = [sys.executable, "-c", _COUNT_THREADS.format(module=module)]
    return int(subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout)


def test_onnx_runtime_does_not_report_to_its_maker() -> None:
    """Imported by us it has no threads that send reports, even where the environment would let it."""
    silent = _threads("onnxruntime", reporting_forbidden="1")
    assert _threads("adapters.vision.networks.onnx_network", reporting_forbidden="0") == silent


def test_mediapipe_does_not_report_to_its_maker() -> None:
    """What MediaPipe sends once a minute goes to a proxy that is nobody, whatever proxy the environment names."""
    environment = {**os.environ, "https_proxy": "http://proxy.example:3128", "no_proxy": "*", "NO_PROXY": "*"}
    program = "import os, adapters.vision.detection.blazeface; print(os.environ['https_proxy'], os.environ['no_proxy'])"

    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["http://127.0.0.1:9", "localhost"]


def test_openvino_does_not_report_to_its_maker() -> None:
    """Its package for statistics is never imported, also where it is installed."""
    pytest.importorskip("openvino", reason="NOT TESTED: the extra openvino is not installed")
    program = (
        "import sys, adapters.vision.networks.openvino_network; "
        "print(*(name for name, module in sys.modules.items() if module))"
    )

    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "openvino" in done.stdout.split()
    assert not [name for name in done.stdout.split() if name.startswith("openvino_telemetry")]
