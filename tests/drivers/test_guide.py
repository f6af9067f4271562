"""Everything in docs/DRIVERS.md runs, and does what it says there."""

from __future__ import annotations

import re
import shlex
import shutil
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

import overseer
from tests.drivers.conftest import ENVIRONMENT, run_python
from tests.harness import ROOT, Daemon, WsClient

GUIDE = (ROOT / "docs" / "DRIVERS.md").read_text()
# A fenced block: its language, the file it is when it is one, and its text.
BLOCKS = re.findall(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", GUIDE, re.MULTILINE | re.DOTALL)
FILES = {name: text for _, name, text in BLOCKS if name}
SESSIONS = [text for language, _, text in BLOCKS if language == "console"]


def write_project(directory: Path) -> None:
    for name, text in FILES.items():
        path = directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide's files, and what pip would leave behind of its pyproject.toml."""
    directory = tmp_path_factory.mktemp("guide")
    write_project(directory)
    described = tomllib.loads(FILES["pyproject.toml"])["project"]
    site = directory / "site"
    info = site / f"acme_drivers-{described['version']}.dist-info"
    info.mkdir(parents=True)
    (site / "acme").symlink_to(directory / "acme")
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {described['name']}\nVersion: {described['version']}\n"
    )
    entries = described["entry-points"]["overseer.drivers"]
    lines = [f"{name} = {value}\n" for name, value in entries.items()]
    (info / "entry_points.txt").write_text("".join(["[overseer.drivers]\n", *lines]))
    return directory


@pytest.fixture(scope="module")
def daemon(project: Path) -> Iterator[Daemon]:
    config = FILES["config.yaml"].replace(":8080", ":0")
    assert config != FILES["config.yaml"]
    daemon = Daemon(config, program=project / "acme_overseer.py", environment=ENVIRONMENT)
    with daemon:
        yield daemon


@pytest.fixture
def client(daemon: Daemon) -> Iterator[WsClient]:
    with daemon.connect() as client:
        yield client


def test_every_block_is_a_file_or_a_session() -> None:
    assert all(name or language in ("console", "text") for language, name, _ in BLOCKS)
    assert GUIDE.count("```") == 2 * len(BLOCKS)
    assert (len(FILES), len(SESSIONS)) == (11, 5)


@pytest.mark.parametrize("session", SESSIONS, ids=lambda text: text.splitlines()[0])
def test_a_session_says_what_is_printed(project: Path, session: str) -> None:
    programs = {"python": [], "sticky-overseer": [str(ROOT / "sticky_overseer.py")]}
    for part in re.split(r"^\$ ", session, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        program, *arguments = shlex.split(command)
        path = str(project / "site") if program == "sticky-overseer" else ""
        _, out, err = run_python(
            *programs[program], *arguments, cwd=project, PYTHONPATH=f"{ROOT}:{path}", PYTHONWARNINGS="error"
        )
        assert out + err == expected


def test_the_process(client: WsClient, daemon: Daemon) -> None:
    source = daemon.directory / "papers"
    source.mkdir()
    (source / "paper.txt").write_text("text")
    _, outputs, exited = client.run("pack", task_id="papers", params={"source": str(source)})
    assert [output["data"] for output in outputs] == ["./", "./paper.txt"]
    assert exited["exit_code"] == 0
    with tarfile.open(daemon.directory / "archives" / "papers.tar.gz", "r:gz") as archive:
        assert archive.getnames() == [".", "./paper.txt"]
    error = client.request("start", action="pack", params={"source": str(source), "level": "11"})
    assert error["message"] == "level is a digit from 1 to 9"
    assert client.request("start", action="pack")["message"] == "say which directory to pack: source"
    (info,) = client.request("describe", action="pack")["actions"]
    assert (info["description"], info["params"], info["dedupe_key"]) == (
        "Pack a directory into archives/",
        {"source": None, "level": {"default": "6"}},
        ["source"],
    )


def test_the_function(client: WsClient) -> None:
    _, outputs, exited = client.run("launch", params={"start": "3"})
    assert [output["data"] for output in outputs] == ["3", "2", "1", "lift-off"]
    assert exited["exit_code"] == 0
    assert client.request("start", action="launch")["message"] == "start is a number up to 100"
    assert client.request("start", action="launch", params={"start": "101"})["type"] == "error"
    client.request("start", action="launch", task_id="aborted", params={"start": "100"})
    client.send("stop", task_id="aborted")
    exited = client.expect("exited", task_id="aborted")
    assert (exited["exit_code"], exited["intentional"]) == (2, True)
    assert client.outputs("aborted")[-1]["data"] == "aborted"


def test_the_service(client: WsClient, daemon: Daemon) -> None:
    client.request("subscribe", task_id="pack-letters")
    letters = daemon.directory / "letters"
    letters.mkdir()
    (letters / "first.txt").write_text("Dear reader,\n")
    letters.rename(daemon.directory / "inbox" / "letters")
    assert client.expect("exited", task_id="pack-letters")["exit_code"] == 0
    assert {output["data"] for output in client.outputs("pack-letters")} == {"./", "./first.txt"}
    assert (daemon.directory / "archives" / "pack-letters.tar.gz").stat().st_size > 0
    _, (output,), _ = client.run("inbox")
    assert output["data"] == "letters"


def test_the_callbacks(client: WsClient, daemon: Daemon) -> None:
    _, outputs, exited = client.run("login")
    assert [output["data"] for output in outputs] == ["user=me password=***"]
    assert exited["exit_code"] == 0
    daemon.wait_stderr("there was nothing to do")


@pytest.mark.long  # tests/testing has the same checks made of drivers of its own
@pytest.mark.timeout(220)
def test_its_drivers_keep_the_contract(project: Path) -> None:
    """Checked by the guide's own test, and by one for the others."""
    shutil.copy(Path(__file__).parent / "contract_of_guide.py", project / "test_others.py")
    # Functions are shown to give up, sooner, by tests/testing.
    patient = "TestCountdown and gives_up"
    arguments = ["-q", "-c", "/dev/null", "-p", "no:cacheprovider", "-W", "error", "-k", f"not ({patient})"]
    files = ["test_countdown.py", "test_others.py"]
    status, out, err = run_python("-m", "pytest", *arguments, *files, cwd=project, timeout=200)
    assert status == 0, out + err
    found = dict(re.findall(r"^Test(\w+) keeps its contract: (\d+) checks", out, re.MULTILINE))
    least = {"Countdown": 30, "Tidy": 40, "Archive": 18, "Inbox": 15}
    assert all(int(found[name]) >= number for name, number in least.items()), out
    (told,) = re.findall(r"^TestCountdown keeps.* checks(;.*)$", GUIDE, re.MULTILINE)
    assert f"{told}\n" in out


def test_what_it_names_is_there() -> None:
    named = set(re.findall(r"(?<!_)overseer\.([A-Za-z_]\w*)", GUIDE)) - {"drivers", "testing"}
    assert named <= set(overseer.__all__)
