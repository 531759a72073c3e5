"""Where the files of a platform live, below ``runtime.state_dir``. Names only, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PodPaths:
    """Files of one paper user's pod."""

    state_dir: Path
    paper_user: str

    @property
    def folder(self) -> Path:
        """Process records, logs and the gateway's certificate."""
        return self.state_dir / "pods" / self.paper_user

    @property
    def lock(self) -> Path:
        """Held by whoever launches, restarts or retires this pod."""
        return self.folder / "pod.lock"

    def process_record(self, container: str) -> Path:
        """JSON with pid and start time of ``gateway`` or ``streamer``."""
        return self.folder / f"{container}.json"

    def log(self, container: str) -> Path:
        return self.folder / f"{container}.log"

    @property
    def certificate(self) -> Path:
        """The gateway's certificate: the only one the streamer trusts."""
        return self.folder / "gateway.pem"

    @property
    def private_key(self) -> Path:
        return self.folder / "gateway.key"

    @property
    def gateway_folder(self) -> Path:
        """Where IBKR's gateway program runs: its conf.yaml and keystore."""
        return self.folder / "gateway"

    @property
    def unlock_token(self) -> Path:
        """The token that the gateway supervisor is started with; `unlock` writes another."""
        return self.folder / "unlock_token"

    @property
    def pacing(self) -> Path:
        """When the pod's programs last called what IBKR limits: they share the limits."""
        return self.folder / "pacing.json"

    @property
    def login_failures(self) -> Path:
        """Pictures and texts of the login page, of logins that failed."""
        return self.folder / "login_failures"

    @property
    def simulator_control(self) -> Path:
        """JSON with port and pid of a running simulator's control endpoint."""
        return self.folder / "simulator.json"

    @property
    def spool(self) -> Path:
        """Spool of the paper user: outlives runs."""
        return self.state_dir / "spool" / self.paper_user

    @property
    def login_record(self) -> Path:
        """Logins of the paper user, counted: outlives pods, as the spool does."""
        return self.spool / "logins.json"

    @property
    def capability(self) -> Path:
        """JSON: how many ladders a session of the paper user holds, as its frames have proven."""
        return self.spool / "capability.json"
