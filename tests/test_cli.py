"""The command line as a user meets it: exit statuses, one clear line for a mistake, data on stdout."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.main import get_command

from command import netsim
from netsim.cli.app import COMMANDS, make_app, run_app
from netsim.errors import NetsimError

SMALL = ["--gpus", "64", "--schedule", "1f1b", "--set", "workload.parallelism.pipeline=1"]
SMALL += ["--set", "batch.microbatches=2"]


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["run", "--topology", "mpftt"], "no topology preset 'mpftt': did you mean 'mpft'?"),
        (["run", "--gpus", "2047"], "2047"),
        (["run", "--gpus", "999999999"], "999999999"),
        (["run", "--gpus", "0"], "gpus"),
        (["run", "--gpus", "many"], "--gpus many: must be a valid integer"),
        (["run", "--seed=-1"], "--seed -1: must be greater than or equal to 0"),
        (["run", "--gpus", "64"], "nearest: 1024; --set parallelism.pipeline and parallelism.expert make a"),
        (["workload"], "Missing argument 'names': see netsim workload --help"),
        (["run", "--topology", "missing.toml"], "missing.toml: no such topology file"),
        (["run", "--workload", "deepseek-v4"], "did you mean 'deepseek-v3'?"),
        (["run", "--profile", "h801"], "did you mean 'h800'?"),
        (["run", "--routing", "magic"], "routing"),
        (["run", "--schedule", "dualpip"], "did you mean 'dualpipe'?"),
        (["run", "--scaling", "sideways"], "weak"),
        (["run", "--set", "switch.radix"], "must be written key=value"),
        (["run", "--set", "switch.radios=1"], "unknown key"),
        (["run", "--csv"], "add -o DIR"),
        (["run", "--force"], "add -o DIR"),
        (["run", "--set", "batch.sequences=15360"], "has no effect under weak scaling"),
        (["run", "--set", "switch.radix=64", "--set", "topology.switch.radix=128"], "given twice"),
        (["run", "--topology", "x" * 300], "no topology preset"),
        (["run", "--tpology", "mpft"], "No such option"),
        (
            ["run", "--routing", "magic"],
            "mpft.toml with --routing magic: routing = 'magic', input",
        ),
        (["run", "--hardware", "h801"], "did you mean 'h800'?"),
        (["run", "--prices", "publishd"], "did you mean 'published'?"),
        (["run", "--spec", "missing.toml"], "missing.toml: cannot be read: No such file or directory"),
        (["run", "-o", ""], "must name a folder"),
        (["collective", "all_to_all", "--hardware", "h801"], "did you mean 'h800'?"),
        (["run", "--set", "gpu.power=350 W"], "--set gpu.power: has no effect on a run"),
        (["run", "--set", "prices.running.pue=1.1"], "--set prices.running.pue: has no effect on a run"),
        (["runn"], "No such command"),
        (["topology", "mpft", "--gpus", "7"], "7"),
        (["schema", "topologie"], "did you mean 'topology'?"),
    ],
)
def test_a_mistake_is_one_line_and_exit_2(arguments: list[str], line: str) -> None:
    done = netsim(*arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1
    assert line in done.stderr
    assert "Traceback" not in done.stderr


def test_wrong_unit_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    preset = Path(__file__).parents[1] / "topologies" / "mpft.toml"
    path.write_text(preset.read_text().replace('"400 Gb/s"', '"400 furlongs"'))
    done = netsim("run", "--topology", str(path))
    assert done.returncode == 2
    assert "mine.toml: switch.port_rate = '400 furlongs', must be a quantity of bytes/s" in done.stderr
    assert done.stderr.count("\n") == 1


def test_read_only_output(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    done = netsim("run", *SMALL, "-o", str(tmp_path))
    tmp_path.chmod(0o755)
    assert done.returncode == 2
    assert "is read-only" in done.stderr
    assert done.stderr.count("\n") == 1


def test_run_directory_holds_everything_and_is_not_overwritten(tmp_path: Path) -> None:
    import pandas as pd

    out = tmp_path / "out"
    done = netsim("run", *SMALL, "--json", "--csv", "-o", str(out), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((out / "result.json").read_text())
    tasks = pd.read_parquet(out / "tasks.parquet")
    assert len(tasks) == len(pd.read_csv(out / "tasks.csv"))
    assert {"start_ms", "end_ms", "wire_GBps"} <= set(tasks.columns)
    assert (pd.read_parquet(out / "links.parquet")["mean_load"] <= 1 + 1e-9).all()
    assert (out / "spec.toml").read_text().startswith("[run]\ngpus = 64\n")
    again = netsim("run", *SMALL, "-o", str(out))
    assert again.returncode == 2
    assert "already holds a result.json" in again.stderr
    assert netsim("run", *SMALL, "-q", "-o", str(out), "--force").returncode == 0


def test_a_run_is_repeated_from_its_spec(tmp_path: Path) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    options = [
        "--scaling",
        "strong",
        "--set",
        "batch.sequences=128",
        "--set",
        "nic.line_rate=200 Gb/s",
        "--seed",
        "5",
    ]
    assert netsim("run", *SMALL[:-2], *options, "-q", "-o", str(first)).returncode == 0
    spec = str(first / "spec.toml")
    done = netsim("run", "--spec", spec, "-q", "-o", str(again))
    assert done.returncode == 0, done.stderr
    one, two = (json.loads((folder / "result.json").read_text()) for folder in (first, again))
    assert (one["topology"]["gpus"], one["workload"]["scaling"], one["provenance"]["seed"]) == (
        64,
        "strong",
        5,
    )
    assert one.pop("run") != two.pop("run")
    assert one == two
    assert (first / "spec.toml").read_text() == (again / "spec.toml").read_text()
    changed = netsim("run", "--spec", spec, "--seed", "6", "--set", "nic.line_rate=400 Gb/s", "--json")
    assert json.loads(changed.stdout)["provenance"]["seed"] == 6
    assert json.loads(changed.stdout)["step"]["time_s"] < one["step"]["time_s"]
    twice = netsim("run", "--spec", spec, "--topology", "mpft")
    assert (twice.returncode, twice.stderr) == (2, f"netsim: --topology: also given by --spec {spec}\n")


def test_force_leaves_nothing_of_the_run_before(tmp_path: Path) -> None:
    stale = [tmp_path / name for name in ("result.json", "tasks.csv", ".tasks.parquet.part")]
    for path in stale:
        path.write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    assert netsim("run", *SMALL, "-q", "-o", str(tmp_path), "--force").returncode == 0
    assert [path.exists() for path in stale] == [True, False, False]
    assert json.loads(stale[0].read_text())["schema"] == 1
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_folder_with_a_result_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from netsim.reports import gantt, rundir
    from netsim.specs.case import make_case
    from netsim.training.simulate import simulate
    from netsim.training.step_record import contract

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    job = {"parallelism.pipeline": 1, "schedule.name": "1f1b", "batch.microbatches": 1}
    step = simulate(make_case(overrides=job), 64)
    rundir.write_run(tmp_path, step, contract(step))
    monkeypatch.setattr(gantt, "save", full)
    with pytest.raises(NetsimError, match=r"gantt\.svg: cannot be written: No space left on device"):
        rundir.write_run(tmp_path, step, contract(step))
    assert not (tmp_path / "result.json").exists()
    assert not list(tmp_path.glob(".*.part"))


def test_explain_splits_the_bubble() -> None:
    done = netsim(
        "run",
        "--gpus",
        "128",
        "--set",
        "parallelism.pipeline=2",
        "--set",
        "batch.microbatches=4",
        "--explain",
    )
    bubble = next(line for line in done.stdout.splitlines() if line.startswith(" mean")).split()[5]
    text = done.stdout.partition("Bubble by cause (s): ")[2].partition("\n\n")[0]
    causes = {
        cause.rpartition(" ")[0]: float(cause.rpartition(" ")[2])
        for cause in " ".join(text.split()).split(", ")
    }
    assert set(causes) == {"pipeline sends", "exposed exchanges", "uneven stages", "schedule"}
    assert sum(causes.values()) == pytest.approx(float(bubble), abs=0.03)  # five roundings


def test_strict_names_what_was_never_measured() -> None:
    # four stages fit into 200 GB; a rank then updates more parameters than were measured
    job = ["--gpus", "256", "--set", "parallelism.pipeline=4", "--set", "batch.microbatches=8"]
    job += ["--set", "gpu.hbm=200 GB"]
    done = netsim("run", *job, "--strict", "-q")
    assert done.returncode == 3
    assert done.stdout == ""
    assert done.stderr.startswith("netsim: --strict: ")
    assert "% of the compute time is extrapolated: profile h800: operator adamw_update [" in done.stderr
    assert done.stderr.endswith(": outside what was measured of class optimizer\n")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("after_s", [0.1, 4.0])
def test_an_interrupt_is_one_line(after_s: float) -> None:
    start = [
        sys.executable,
        "-c",
        "from netsim.cli import main; main()",
        "run",
        "--gpus",
        "16384",
        "--no-fold",
    ]
    running = subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(after_s)
    running.send_signal(signal.SIGINT)
    out, said = running.communicate(timeout=100)
    assert running.returncode in (
        (130,) if after_s > 1 else (130, -signal.SIGINT)
    )  # before Python's own handler
    assert out == ""
    if running.returncode == 130:
        assert said == "netsim: interrupted\n"


def test_same_seed_same_bits(tmp_path: Path) -> None:
    texts = []
    for _ in range(2):
        done = netsim("run", *SMALL, "--seed", "7", "--json")
        assert done.returncode == 0, done.stderr
        result = json.loads(done.stdout)
        assert result.pop("run")["wall_s"] > 0
        texts.append(json.dumps(result))
    assert texts[0] == texts[1]


def test_no_arguments_print_the_help() -> None:
    done = netsim()
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: netsim" in done.stdout


def test_help_and_version() -> None:
    assert "Usage" in netsim("--help").stdout
    assert "--topology" in netsim("run", "--help").stdout
    assert netsim("--version").stdout.startswith("netsim 0.")


def test_quiet_leaves_only_warnings() -> None:
    done = netsim("run", *SMALL, "--quiet")
    assert (done.returncode, done.stdout) == (0, "")
    # one stage of DeepSeek-V3 does not fit into a GPU, and that is never silent
    assert done.stderr.startswith("netsim: warning: does not fit: rank 0 needs ")
    assert done.stderr.count("\n") == 1


def test_strict_makes_errors_of_warnings() -> None:
    done = netsim("run", *SMALL, "--strict", "--quiet")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("netsim: --strict: does not fit")


def test_a_list_of_cables_is_a_fabric(tmp_path: Path) -> None:
    example = Path(__file__).parents[1] / "topologies" / "example.csv"
    mine = tmp_path / "mine.csv"
    mine.write_text(example.read_text())
    done = netsim("collective", "all_to_all", "-t", str(mine), "-n", "256", "--sizes", "1GiB", "--json")
    assert done.returncode == 0, done.stderr
    assert 30 < json.loads(done.stdout)[0]["algbw_GBps"] < 50
    mine.write_text(example.read_text().replace("400 Gb/s", "-1 Gb/s"))
    wrong = netsim("run", "-t", str(mine), "-n", "256")
    assert wrong.returncode == 2
    assert wrong.stderr.endswith("mine.csv: line 2: rate = '-1 Gb/s', must be above 0\n")


def test_a_full_disk_is_one_line() -> None:
    start = f"{sys.executable} -c 'from netsim.cli import main; main()'"
    done = subprocess.run(
        ["sh", "-c", f"{start} topology mpft > /dev/full"],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr == "netsim: cannot write the output: No space left on device\n"


def test_a_reader_that_leaves_is_no_error() -> None:
    start = f"{sys.executable} -c 'from netsim.cli import main; main()'"
    done = subprocess.run(
        ["bash", "-c", f"{start} schema | head -1; exit ${{PIPESTATUS[0]}}"],
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--placement", "sprad"], "did you mean 'spread'?"),
        (["--placement", "none.csv"], "none.csv: cannot be read"),
        (
            ["--placement", "spread", "--set", "placement.policy=random"],
            "--placement spread: also given by --set",
        ),
        (["--set", "placement.policy=file"], "a file goes with policy 'file'"),
        (["--gpu-hour-usd", "-1"], "--gpu-hour-usd -1.0: must be at least 0"),
        (["--set", "communication.sms=10"], "measured dispatch and combine with 20 SMs, not fewer"),
        (["--set", "communication.sms=132"], "must leave some of the 132 SMs"),
        (["--set", "parallelism.tensor=16"], "tensor parallelism stays within one"),
        (["--set", "parallelism.tensor=3"], "must divide heads = 128"),
        (["--set", "parallelism.zero=5"], "parallelism.zero = 5"),
        (["--set", "parallelism.tenser=2"], "did you mean 'parallelism.tensor'?"),
    ],
)
def test_plans_that_cannot_be_are_one_line(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_app(["run", *arguments]) == 2
    error = capsys.readouterr().err
    assert line in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("command", sorted(get_command(make_app()).commands))
def test_help_says_every_word_of_every_option(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    # text in brackets, such as [default: the workload's] or [[faults]], was once taken for markup and dropped
    run_app([command, "--help"])
    shown = "".join(capsys.readouterr().out.split())
    written = [parameter.help for parameter in get_command(make_app()).commands[command].params]  # type: ignore[attr-defined]
    assert all("".join(words.split()) in shown for words in written if words)


def test_list_of_commands_cuts_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    run_app(["--help"])
    out = capsys.readouterr().out
    assert all(line + "\n" in out for line in COMMANDS.values())


def test_summary_cuts_no_number_on_a_narrow_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    assert run_app(["run", *SMALL]) == 0
    out = capsys.readouterr().out
    assert "…" not in out
    assert "p99 ms  MB/GPU  wire GB/s  logical  bound by" in out
    assert " -0.00" not in out
