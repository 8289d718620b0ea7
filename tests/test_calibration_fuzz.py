"""Malformed traces: one line each, bounded in time and memory."""

import gzip
import json
import resource
import time
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from netsim.calibration.assign import assign, coverage
from netsim.calibration.calibrate import calibrate_trace, summary
from netsim.calibration.json_stream import read_stream
from netsim.calibration.kineto import read_trace
from netsim.calibration.report import markdown
from netsim.calibration.rules import load_rules
from netsim.calibration.write import toml
from netsim.cli.app import run_app
from netsim.errors import NetsimError
from netsim.specs.base import validate
from netsim.specs.profile import ProfileSpec
from trace_files import two_layers
from trace_job import Job
from trace_mutants import mutants, rearranged


def read_all(path: Path) -> None:
    coverage(assign(read_trace(path), load_rules()))


def calibrate_all(path: Path) -> None:
    """Everything that the command does with a trace of any job."""
    found = calibrate_trace(path)
    json.dumps(summary(found), allow_nan=False)
    markdown(found)
    validate(ProfileSpec, tomllib.loads(toml(found.profile)), "profile")


def survive(folder: Path, files: Iterable[bytes], read: Callable[[Path], None]) -> int:
    """Read mutants; how many were refused. Anything but a NetsimError, or ten seconds, fails."""
    refused = 0
    for number, data in enumerate(files):
        path = folder / "a.json"
        path.write_bytes(data)
        began = time.monotonic()
        try:
            read(path)
        except NetsimError as error:
            refused += 1
            said = str(error)
        else:
            said = ""
        assert "\n" not in said
        assert len(said) < 1000
        assert time.monotonic() - began < 10, number
    return refused


def test_mutants_of_a_trace_are_read_or_refused(tmp_path: Path) -> None:
    assert survive(tmp_path, mutants(two_layers().document(), 120, 1), read_all) > 20
    assert survive(tmp_path, mutants(Job(layers=2, steps=1).document(), 60, 2), calibrate_all) > 10
    assert survive(tmp_path, rearranged(Job(layers=2, steps=1).document(), 60, 3), calibrate_all) < 40


@pytest.mark.slow
def test_two_thousand_mutants(tmp_path: Path) -> None:
    """Of each reader; in less than 2 GB altogether."""
    assert survive(tmp_path, mutants(two_layers().document(), 2000, 4), read_all) > 400
    assert survive(tmp_path, mutants(Job(layers=2, steps=1).document(), 1000, 5), calibrate_all) > 200
    assert survive(tmp_path, rearranged(Job(layers=2, steps=1).document(), 1000, 6), calibrate_all) < 700
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < 2e6


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"traceEvents":[1]}', "event 0 = 1, must be an object"),
        ('{"traceEvents":[{"cat":["kernel"],"ph":"X"}]}', "cat = .*must be text"),
        ('{"traceEvents":[{"cat":"kernel","ph":"X","ts":0,"dur":1}]}', "name = None, must be text"),
        ('{"traceEvents":[{"cat":"kernel","ph":"X","name":"k","dur":1}]}', "ts = None, must be a time"),
        (
            '{"traceEvents":[{"cat":"kernel","ph":"X","name":"k","ts":0,"dur":1,"args":{"grid":[1,1]}}]}',
            r"event 0, kernel 'k': grid = \[1, 1\], must be three whole numbers",
        ),
        (
            '{"traceEvents":[{"cat":"kernel","ph":"X","name":"k","ts":0,"dur":1,"args":{"stream":[7]}}]}',
            r"stream = \[7\], must be a whole number",
        ),
        (
            '{"traceEvents":[{"cat":"kernel","ph":"X","name":"k","ts":0,"dur":1,"args":[]}]}',
            "must be an object",
        ),
        (
            '{"traceEvents":[{"cat":"kernel","ph":"X","name":"k","ts":0,"dur":1},'
            '{"cat":"user_annotation","ph":"X","ts":0,"dur":1}]}',
            "event 1, event '[?]': name = None, must be text",
        ),
        ('{"deviceProperties":3,"traceEvents":[]', "not a whole JSON document "),
        ('{"traceEvents":[]} x', "'x' after its end"),
        ("[" * 100000, "not a whole JSON document"),
        ("1" * 5000, "a number of thousands of digits"),
        ('{"traceEvents":{}}', "no traceEvents"),
        (
            '{"deviceProperties":[{"numSms":true}],"traceEvents":[{"cat":"kernel","ph":"X","name":"k","ts":0,"dur":1}]}',
            "numSms = True, must be",
        ),
        ("", "not a whole JSON document"),
    ],
)
def test_a_malformed_trace_is_one_line(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(NetsimError, match=words):
        read_all(tmp_path / "a.json")


def test_a_damaged_gzip_stream_is_one_line(tmp_path: Path) -> None:
    data = bytearray(gzip.compress(json.dumps(two_layers().document()).encode(), mtime=0))
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.json.gz").write_bytes(data)
    with pytest.raises(NetsimError, match=r"a\.json\.gz: "):
        read_trace(tmp_path / "a.json.gz")


def test_a_bomb_is_refused_at_the_limit(tmp_path: Path) -> None:
    """256 MiB of spaces in 260 KB: refused at 64 MiB by default of the call, and by the option."""
    bomb = tmp_path / "bomb.json.gz"
    with gzip.open(bomb, "wb", compresslevel=1) as file:
        for _ in range(64):
            file.write(b" " * (4 << 20))
    with pytest.raises(NetsimError, match="holds more than 64 MiB once decompressed; --max-size raises"):
        read_trace(bomb, 64 << 20)
    assert (
        run_app(["calibrate", "--trace", str(bomb), "--max-size", "1MiB", "-o", str(tmp_path / "p.toml")])
        == 2
    )


def test_names_that_no_file_may_hold_are_written_as_others(tmp_path: Path) -> None:
    """A DEL and half a surrogate pair in the names of the device and of kernels."""
    made = Job(layers=2, steps=1, device="NVIDIA H200\x7f\ud800")
    for event in made.events:
        if event["cat"] == "kernel" and "rms_norm" in event["name"]:
            event["name"] = "odd\ud800\x1b[31m"
    about = tmp_path / "about.toml"
    about.write_text(
        'name = "odd"\ndevice = "NVIDIA H200??"\nsms = 132\ngemm_sms = 132\nbf16_peak = "989 TFLOPS"\n'
        'fp8_peak = "1979 TFLOPS"\nhbm_rate = "4.8 TB/s"\n'
        'peak_clock = "1.83 GHz"\nclock = "hot"\ntransport_share = 0.0\ngap = "1 us"\n'
    )
    trace, output = made.write(tmp_path / "a.json"), tmp_path / "p.toml"
    assert run_app(["calibrate", "--trace", str(trace), "--about", str(about), "-o", str(output)]) == 0
    assert "NVIDIA H200??" in output.read_text("utf-8")
    assert "odd??[31m" in (tmp_path / "p_unassigned.csv").read_text("utf-8")


def test_one_value_may_not_be_endless(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"traceEvents":["' + "x" * (40 << 20))
    with pytest.raises(NetsimError, match="one value of more than 16 MiB"):
        read_trace(path)


def test_values_over_window_borders_come_back(tmp_path: Path) -> None:
    """A plain json.loads is the oracle; texts of 1 to 300 KB meet the borders of the windows everywhere."""
    events = [{"n": i, "text": "é" * (i % 300) * 1000, "number": 10**i % 7919 + 0.5} for i in range(60)]
    path = tmp_path / "a.json"
    path.write_text(
        json.dumps({"before": 1, "traceEvents": events, "after": [2.25]}, ensure_ascii=False), "utf-8"
    )
    seen: list[object] = []
    header = read_stream(path, "traceEvents", lambda number, event: seen.append(event))
    assert seen == events
    assert header == {"before": 1, "after": [2.25]}
