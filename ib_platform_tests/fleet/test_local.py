"""The local runtime over real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import filelock
import psutil
import pytest

from ib_platform.errors import ConfigurationError, PlatformError, PlatformInUseError
from ib_platform.fleet import processes
from ib_platform.fleet.local import LocalRuntime, stop_all
from ib_platform.fleet.local_containers import platform_command
from ib_platform.fleet.pods import Container, Phase, Scope
from ib_platform.states import PodState
from ib_platform_tests.fleet.pods import Pods, standin_command
from ib_platform_tests.support import wait_until

LAUNCHER = """
import os, signal, sys
from pathlib import Path
from ib_platform.config import load_config
from ib_platform.errors import PlatformInUseError
from ib_platform.fleet.local import LocalRuntime
from ib_platform_tests.fleet.pods import standin_command
file = Path(sys.argv[1])
try:
    LocalRuntime(load_config(file), file, standin_command).launch("alpha")
    print("launched")
except PlatformInUseError as error:
    print("refused", error)
sys.stdout.flush()
os.kill(os.getpid(), signal.SIGKILL)  # as a run process may end
"""


def launch_elsewhere(pods: Pods) -> subprocess.Popen[str]:
    """Launch pod alpha from another process, which is then killed."""
    command = [sys.executable, "-c", LAUNCHER, str(pods.config_file)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_a_pod_that_never_ran_is_absent(pods: Pods) -> None:
    seen = pods.observe()
    assert (seen.gateway.phase, seen.streamer.phase) == (Phase.ABSENT, Phase.ABSENT)
    assert seen.started_at is None
    assert not seen.settled
    assert seen.gateway_error is None
    assert pods.runtime.observe([]) == []


def test_launch_starts_both_containers_in_sessions_of_their_own(pods: Pods) -> None:
    pods.runtime.launch("alpha")
    seen = pods.wait_settled()
    assert seen.gateway.pid is not None
    assert seen.streamer.pid is not None
    for pid in (seen.gateway.pid, seen.streamer.pid):
        assert os.getsid(pid) == pid
    assert seen.gateway.started_at is not None
    assert seen.streamer.started_at is not None
    assert seen.gateway.started_at <= seen.streamer.started_at == seen.started_at
    assert seen.streamer_health is not None
    assert seen.streamer_health.state is PodState.STREAMING
    assert seen.acting is None
    assert pods.observe("beta").gateway.phase is Phase.ABSENT
    assert "streamer of alpha starts" in pods.runtime.log_tail("alpha", 5)
    assert "(no log)" in pods.runtime.log_tail("beta", 5)


def test_a_second_launch_is_refused_and_changes_nothing(pods: Pods) -> None:
    pods.runtime.launch("alpha")
    before = pods.wait_settled()
    with pytest.raises(PlatformInUseError, match="alpha already runs"):
        pods.runtime.launch("alpha")
    after = pods.observe()
    assert (after.gateway, after.streamer) == (before.gateway, before.streamer)


def test_four_launchers_at_once_start_exactly_one_pod(pods: Pods) -> None:
    launchers = [launch_elsewhere(pods) for _ in range(4)]
    answers = [launcher.communicate(timeout=120)[0] for launcher in launchers]
    assert sorted(answer.split()[0] for answer in answers) == ["launched"] + ["refused"] * 3
    pods.wait_settled()
    assert len(pods.processes_left()) == 2


def test_a_pod_outlives_its_killed_launcher(pods: Pods) -> None:
    launcher = launch_elsewhere(pods)
    assert launcher.communicate(timeout=120)[0] == "launched\n"
    assert pods.wait_settled().gateway.running


def test_a_killed_streamer_is_seen_as_exited_even_as_a_zombie(pods: Pods) -> None:
    pods.runtime.launch("alpha")
    pods.wait_settled()
    # This test is the parent and has not reaped it: it stays a zombie until somebody looks.
    pods.kill("alpha", Container.STREAMER)
    seen = wait_until(
        lambda: (s := pods.observe()).streamer.phase is Phase.EXITED and s, "the death"
    )
    assert seen
    assert seen.gateway.running
    assert seen.gateway_health is not None
    assert seen.streamer_health is None


def test_restart_of_the_streamer_keeps_the_gateway(pods: Pods) -> None:
    pods.runtime.launch("alpha")
    before = pods.wait_settled()
    pods.kill("alpha", Container.STREAMER)
    pods.runtime.restart("alpha", Scope.STREAMER)
    after = pods.wait_settled()
    assert after.gateway == before.gateway
    assert after.streamer.pid != before.streamer.pid
    pods.runtime.restart("alpha", Scope.STREAMER)
    again = pods.wait_settled()
    assert again.gateway == before.gateway
    assert again.streamer.pid != after.streamer.pid
    assert len(pods.processes_left()) == 2


def test_restart_of_the_pod_replaces_both(pods: Pods) -> None:
    pods.runtime.launch("alpha")
    before = pods.wait_settled()
    pods.runtime.restart("alpha", Scope.POD)
    after = pods.wait_settled()
    assert after.gateway.pid != before.gateway.pid
    assert after.streamer.pid != before.streamer.pid
    assert len(pods.processes_left()) == 2


def test_what_ignores_sigterm_is_killed_after_the_deadline(tmp_path: Path) -> None:
    pods = Pods.create(tmp_path, shutdown_deadline=0.5)
    pods.behave("alpha", "streamer", "deaf")
    pods.runtime.launch("alpha")
    before = pods.wait_settled()
    lines = stop_all(pods.config)
    assert lines[0] == f"streamer of alpha: ended pid {before.streamer.pid} (killed)"
    assert lines[1] == f"gateway of alpha: ended pid {before.gateway.pid}"
    assert pods.processes_left() == []


def test_children_of_a_killed_gateway_are_ended_before_the_next_one_starts(pods: Pods) -> None:
    pods.behave("alpha", "gateway", "child")
    pods.runtime.launch("alpha")
    pods.wait_settled()
    pods.behave("alpha", "gateway", "")
    mark = f"{pods.paths('alpha').folder.resolve()}:gateway"
    wait_until(lambda: len(processes.marked(mark)) == 2, "gateway and child")
    pods.kill("alpha", Container.GATEWAY)
    wait_until(lambda: len(processes.marked(mark)) == 1, "the child alone")
    pods.runtime.restart("alpha", Scope.POD)
    assert [p.pid for p in processes.marked(mark)] == [pods.wait_settled().gateway.pid]


def test_retired_stays_stopped_until_launched(pods: Pods) -> None:
    pods.runtime.launch("alpha")
    pods.wait_settled()
    pods.runtime.retire("alpha")
    seen = pods.observe()
    assert seen.retired
    assert seen.gateway.phase is seen.streamer.phase is Phase.ABSENT
    assert pods.processes_left() == []
    pods.runtime.launch("alpha")
    assert not pods.wait_settled().retired


@pytest.mark.parametrize("scope", Scope)
def test_a_restart_that_waited_for_a_retirement_brings_nothing_back(
    pods: Pods, scope: Scope
) -> None:
    pods.runtime.launch("alpha")
    pods.wait_settled()
    failures: list[PlatformError] = []

    def restart() -> None:
        try:
            pods.runtime.restart("alpha", scope)
        except PlatformError as error:
            failures.append(error)

    with filelock.FileLock(pods.paths("alpha").lock):
        waiting = threading.Thread(target=restart)
        waiting.start()
        # What `retire` does under the lock that it holds here.
        (pods.paths("alpha").folder / "retired").touch()
    waiting.join(timeout=60)
    assert not waiting.is_alive()
    pods.runtime.retire("alpha")
    assert "alpha is retired and stays stopped" in str(failures[0])
    assert "launch_pod" in str(failures[0])
    with pytest.raises(PlatformError, match="retired"):
        pods.runtime.restart("alpha", scope)
    assert pods.observe().retired
    assert pods.processes_left() == []


def test_only_a_person_launches_a_retired_pod(pods: Pods) -> None:
    pods.runtime.retire("alpha")
    with pytest.raises(PlatformError, match="retired"):
        pods.runtime.launch("alpha", end_retirement=False)
    assert pods.processes_left() == []
    assert pods.observe().retired
    pods.runtime.launch("beta", end_retirement=False)
    pods.wait_settled("beta")


def test_stop_all_leaves_nothing_and_is_harmless_when_repeated(pods: Pods) -> None:
    pods.runtime.launch("alpha")
    pods.runtime.launch("beta")
    pods.wait_settled("alpha")
    pods.wait_settled("beta")
    lines = stop_all(pods.config)
    assert [line.split(":")[0] for line in lines] == [
        "streamer of alpha",
        "gateway of alpha",
        "streamer of beta",
        "gateway of beta",
    ]
    assert pods.processes_left() == []
    assert stop_all(pods.config) == []


def test_stop_all_of_an_unused_folder_does_nothing(pods: Pods) -> None:
    assert stop_all(pods.config) == []


def test_a_reused_pid_is_neither_observed_nor_stopped(pods: Pods) -> None:
    foreign = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        record = processes.ProcessRecord(foreign.pid, 1000.0, "mark", ["gone"])
        path = pods.paths("alpha").process_record("streamer")
        path.parent.mkdir(parents=True)
        processes.write_record(path, record)
        assert pods.observe().streamer.phase is Phase.EXITED
        assert stop_all(pods.config) == []
        assert foreign.poll() is None
        assert not path.exists()
    finally:
        foreign.kill()
        foreign.communicate()


@pytest.mark.parametrize("content", ["", '{"pid": 12', '{"pid": "x"}', "\xff", "[]"])
def test_a_half_written_record_never_leads_to_a_second_process(pods: Pods, content: str) -> None:
    pods.runtime.launch("alpha")
    before = pods.wait_settled()
    path = pods.paths("alpha").process_record("streamer")
    path.write_text(content, encoding="latin-1")
    assert pods.observe().streamer.phase is Phase.EXITED
    with pytest.raises(PlatformInUseError):
        pods.runtime.launch("alpha")
    assert pods.observe().streamer == before.streamer
    assert len(pods.processes_left()) == 2


def test_a_launcher_killed_before_it_wrote_the_record_leaves_no_orphan(pods: Pods) -> None:
    pods.runtime.launch("alpha")
    before = pods.wait_settled()
    for container in Container:
        pods.paths("alpha").process_record(container.value).unlink()
    assert pods.observe().gateway.phase is Phase.ABSENT
    lines = stop_all(pods.config)
    assert [str(pid) in line for pid, line in zip(
        (before.streamer.pid, before.gateway.pid), lines, strict=True
    )] == [True, True]  # fmt: skip
    assert pods.processes_left() == []


def test_a_step_of_the_clock_does_not_make_a_process_foreign(pods: Pods) -> None:
    pods.runtime.launch("alpha")
    before = pods.wait_settled()
    path = pods.paths("alpha").process_record("streamer")
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "created": record["created"] + 3600}))
    assert pods.observe().streamer.pid == before.streamer.pid


def test_whoever_holds_the_lock_is_named(pods: Pods) -> None:
    impatient = LocalRuntime(pods.config, pods.config_file, standin_command, lock_timeout=0.2)
    paths = pods.paths("alpha")
    paths.folder.mkdir(parents=True)
    with filelock.FileLock(paths.lock):
        processes.write_record(
            paths.folder / "pod.lock.holder", processes.record_of_self("restart")
        )
        assert pods.observe().acting == f"pid {os.getpid()} (restart)"
        with pytest.raises(PlatformInUseError, match=rf"pid {os.getpid()} \(restart\)"):
            impatient.launch("alpha")
    assert pods.processes_left() == []


def test_a_second_launcher_waits_for_the_first(pods: Pods) -> None:
    paths = pods.paths("alpha")
    paths.folder.mkdir(parents=True)
    lock = filelock.FileLock(paths.lock)
    lock.acquire()
    waiting = threading.Thread(target=pods.runtime.launch, args=("alpha",))
    waiting.start()
    assert pods.processes_left() == []
    lock.release()
    waiting.join(timeout=60)
    assert not waiting.is_alive()
    pods.wait_settled()


def test_errors_of_health_are_values(pods: Pods) -> None:
    pods.behave("alpha", "gateway", "mute")
    pods.behave("alpha", "streamer", "foreign")
    pods.runtime.launch("alpha")
    user = pods.config.paper_user("alpha")
    wait_until(
        lambda: "no answer" in (pods.observe().gateway_error or ""), "a gateway that is mute"
    )
    wait_until(
        lambda: "answered by pid 1 of alpha" in (pods.observe().streamer_error or ""),
        f"a foreign answer on port {user.health_port}",
    )
    assert not pods.observe().settled


def test_an_unknown_paper_user_is_an_error_as_a_value(pods: Pods) -> None:
    (seen,) = pods.runtime.observe(["nobody"])
    assert "no paper user 'nobody'" in (seen.error or "")
    with pytest.raises(ConfigurationError):
        pods.runtime.launch("nobody")


def test_the_command_names_the_configuration_and_no_secret(pods: Pods) -> None:
    user = pods.config.paper_user("alpha")
    command = platform_command(user, Container.STREAMER, pods.config_file)
    assert command[1:] == [
        *["-m", "ib_platform.cli", "stream", "--config", str(pods.config_file)],
        *["--paper-user", "alpha"],
    ]
    assert platform_command(user, Container.GATEWAY, pods.config_file)[3] == "gateway"
    assert not any(user.username in word or user.account in word for word in command)


def test_the_pod_lock_is_not_inherited_by_the_pod(pods: Pods) -> None:
    pods.runtime.launch("alpha")
    with filelock.FileLock(pods.paths("alpha").lock, timeout=5):
        pass
    seen = pods.wait_settled()
    files = [file.path for file in psutil.Process(seen.streamer.pid).open_files()]
    assert not any(name.endswith("pod.lock") for name in files)


def _token(pods: Pods) -> str | None:
    """What the gateway process of alpha was started with."""
    pid = pods.observe().gateway.pid
    assert pid is not None
    command = psutil.Process(pid).cmdline()
    return command[command.index("--unlock-token") + 1] if "--unlock-token" in command else None


def test_unlocking_starts_the_pod_with_another_token_each_time(pods: Pods) -> None:
    pods.runtime.launch("alpha")
    before = pods.wait_settled()
    assert _token(pods) is None
    pods.runtime.unlock("alpha")
    after = pods.wait_settled()
    assert after.gateway.pid != before.gateway.pid
    first = _token(pods)
    assert first
    pods.runtime.restart("alpha", Scope.POD)
    pods.wait_settled()
    assert _token(pods) == first, "a restart unlocks nothing"
    pods.runtime.unlock("alpha")
    pods.wait_settled()
    assert _token(pods) not in (None, first)


def test_unlocking_starts_a_pod_that_is_gone_but_not_a_retired_one(pods: Pods) -> None:
    pods.runtime.unlock("alpha")
    pods.wait_settled()
    pods.runtime.retire("alpha")
    with pytest.raises(PlatformError, match="retired"):
        pods.runtime.unlock("alpha")
    assert pods.processes_left() == []
