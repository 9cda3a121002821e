"""The embedded Triton: the server from the wheel ``nvidia-pytriton``, which serves the model repository on the CPU."""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import shutil
import sys
import sysconfig
import uuid
from dataclasses import dataclass
from pathlib import Path

from stream.aio.probes import http_ok
from stream.local.errors import LocalStackError, missing_extra
from stream.local.ports import LOOPBACK, choose_port
from stream.local.process import ManagedProcess
from stream.local.triton_files import fetch_server, server_directory

START_TIMEOUT_S = 60.0
EXIT_TIMEOUT_S = 1
"""How long Triton waits for the stubs that run its models. When a stub is dead, it waits for all of this time."""
STOP_TIMEOUT_S = 3.0

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 (Triton's regions lie there)
BACKENDS = Path(__file__).parent / "backends"
STUB_VERSION = f"{sys.version_info.major}.{sys.version_info.minor}"
STUBS_WITH_A_PYTHON_LIBRARY = frozenset({"3.13"})
"""For these versions the wheel brings a libpython, so that a Python without a shared library works, too."""
LIBRARY_ADVICE = (
    f"install it (Debian, Ubuntu: apt install libpython{STUB_VERSION}), use a Python that has it (uv's own, or one that was built with "
    "--enable-shared) or any Python 3.13, or give another Triton with --triton"
)


@dataclass(frozen=True, slots=True)
class TritonPorts:
    """Ports on loopback; 0 = any free port."""

    grpc: int = 0
    http: int = 0
    metrics: int = 0


class TritonServer:
    """A Triton that can be stopped and started again on the same ports.

    Args:
        repository: The model repository; the configuration of each model is its ``configs/cpu.pbtxt``.
        run_directory: Receives its log and its backend directory.
        ports: The ports to listen on.
    """

    def __init__(self, repository: Path, run_directory: Path, ports: TritonPorts | None = None) -> None:
        wanted = ports or TritonPorts()
        self.repository = repository
        self.ports = TritonPorts(
            grpc=choose_port(wanted.grpc, "Triton's gRPC endpoint"),
            http=choose_port(wanted.http, "Triton's HTTP endpoint"),
            metrics=choose_port(wanted.metrics, "Triton's metrics"),
        )
        self.shared_memory_prefix = f"sentistream_{uuid.uuid4().hex[:12]}"
        self._backends = run_directory / "backends"
        self._install = server_directory()
        _require_python_parts()
        self.process = ManagedProcess(
            "the embedded Triton", self._command(), run_directory / "triton.log", self._environment(), stop_timeout_s=STOP_TIMEOUT_S
        )

    @property
    def grpc_url(self) -> str:
        """``HOST:PORT`` of the gRPC endpoint."""
        return f"{LOOPBACK}:{self.ports.grpc}"

    @property
    def http_url(self) -> str:
        """Address of the HTTP endpoint."""
        return f"http://{LOOPBACK}:{self.ports.http}"

    @property
    def metrics_url(self) -> str:
        """Address of the Prometheus metrics."""
        return f"http://{LOOPBACK}:{self.ports.metrics}/metrics"

    async def start(self) -> None:
        """Fetch its files if they are missing, start it, and wait until every model is loaded. Raises `LocalStackError`."""
        await fetch_server()
        build_backends(self._install, self._backends)
        await self.process.start(lambda: http_ok(LOOPBACK, self.ports.http, "/v2/health/ready"), START_TIMEOUT_S)

    async def stop(self) -> None:
        """Stop it and its stubs, and remove the shared memory that killed stubs leave behind."""
        try:
            await self.process.stop()
        finally:
            self._remove_shared_memory()

    async def restart(self) -> None:
        """Kill what is left of it and start it again on the same ports. Triton does not restart a dead stub in any other way."""
        self.process.kill()
        self._remove_shared_memory()
        await self.start()

    def _remove_shared_memory(self) -> None:
        for region in SHARED_MEMORY.glob(f"{self.shared_memory_prefix}*"):
            with contextlib.suppress(OSError):
                region.unlink()

    def _command(self) -> list[str]:
        shared_memory = f"shm-region-prefix-name={self.shared_memory_prefix}"
        return [
            str(self._install / "bin" / "tritonserver"),
            *(f"--model-repository={self.repository.resolve()}", "--model-config-name=cpu"),
            *("--model-control-mode=explicit", "--load-model=*"),
            *(f"--backend-directory={self._backends}", f"--cache-directory={self._install / 'caches'}"),
            *(f"--backend-config=python,{shared_memory}", f"--backend-config=onnxruntime,{shared_memory}"),
            *(f"--grpc-address={LOOPBACK}", f"--grpc-port={self.ports.grpc}"),
            *(f"--http-address={LOOPBACK}", f"--http-port={self.ports.http}"),
            *(f"--metrics-address={LOOPBACK}", f"--metrics-port={self.ports.metrics}", "--allow-gpu-metrics=false"),
            *(f"--exit-timeout-secs={EXIT_TIMEOUT_S}", "--log-warning=true", "--log-info=false"),
        ]

    def _environment(self) -> dict[str, str]:
        """Variables with which the stubs find this Python and its packages (by the PATH), its library and the libraries of the wheel."""
        return {
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.defpath)),
            "LD_LIBRARY_PATH": os.pathsep.join(map(str, (self._backends / "python", bundled_libraries(self._install)))),
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }


def _require_python_parts() -> None:
    if importlib.util.find_spec("onnxruntime") is None:
        raise missing_extra("onnxruntime, which the embedded Triton runs the models with,")
    if python_library() is None and STUB_VERSION not in STUBS_WITH_A_PYTHON_LIBRARY:
        raise LocalStackError(f"the embedded Triton needs libpython{STUB_VERSION}.so.1.0, which this Python lacks; {LIBRARY_ADVICE}")


def python_library() -> Path | None:
    """This Python's shared library, or the bare name of the system's library, which the loader finds itself; None without either."""
    name = f"libpython{STUB_VERSION}.so.1.0"
    for directory in (sysconfig.get_config_var("LIBDIR") or "/", Path(sys.base_prefix) / "lib"):
        if (Path(directory) / name).is_file():
            return Path(directory) / name
    try:
        ctypes.CDLL(name)
    except OSError:
        return None
    return Path(name)


def bundled_libraries(install: Path) -> Path:
    """The directory of the libraries that come with the wheel."""
    return install.parent.parent / "nvidia_pytriton.libs"


def build_backends(install: Path, directory: Path) -> None:
    """Make the backend directory: Triton's Python backend with its stub, and the ``onnxruntime`` backend that runs on top of it."""
    python = directory / "python"
    stub = install / "python_backend_stubs" / STUB_VERSION / "triton_python_backend_stub"
    if not stub.is_file():
        raise LocalStackError(f"the embedded Triton does not support Python {STUB_VERSION}: use Python 3.11, 3.12 or 3.13")
    try:
        python.mkdir(parents=True, exist_ok=True)
        # A copy, not a link: Triton resolves a link, and refuses a library outside of the backend directory.
        _copy(python / "libtriton_python.so", install / "backends" / "python" / "libtriton_python.so")
        _link(python / "triton_python_backend_utils.py", install / "backends" / "python" / "triton_python_backend_utils.py")
        # A copy, too: the program looks for libraries beside its own file first, and in the wheel it would find a libpython 3.13.0
        # instead of this Python's library.
        _copy(python / stub.name, stub)
        _link_python_library(install, python)
        onnxruntime = directory / "onnxruntime"
        onnxruntime.mkdir(exist_ok=True)
        shutil.copyfile(BACKENDS / "onnxruntime" / "model.py", onnxruntime / "model.py")
    except OSError as error:
        raise LocalStackError(f"Triton's backends cannot be put together in {directory}: {error.strerror or error}") from None


def _link_python_library(install: Path, directory: Path) -> None:
    """Link this Python's library under the name that the stub loads: the build of the wheel renamed it."""
    library = python_library()
    if library is not None and library.is_absolute():
        bundled = next(bundled_libraries(install).glob(f"libpython3-*.{sys.version_info.minor}.so.1.0"), library)
        _link(directory / bundled.name, library)


def _copy(copy: Path, source: Path) -> None:
    """Copy a program. The old copy is replaced, not overwritten: after a restart of the server it may still be running."""
    new = copy.with_name(f"{copy.name}.new")
    shutil.copy(source, new)
    new.replace(copy)


def _link(link: Path, target: Path) -> None:
    link.unlink(missing_ok=True)
    link.symlink_to(target)
