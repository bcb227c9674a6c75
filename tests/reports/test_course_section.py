import json
import pathlib

import pytest

from cnnjax import reports
from cnnjax.reports.course_section import course_section, events_in_words
from tests.reports.fakes import fake_network, metrics_line, write_run_folder
from tests.reports.test_page import _Elements

LAYOUT = {
    "parallel": "jit",
    "mesh": {"data": 4, "model": 2},
    "processes": 2,
    "devices": ["cpu 0"] * 8,
    "parameter_bytes": 4096,
    "parameter_bytes_per_device": 2560,
}


def event(name, step, **details):
    return {"time": "2026-01-02T03:04:05+0000", "event": name, "step": step, **details}


EVENTS = (
    event("started", 0, damaged=[]),
    event("compiled", 0, seconds=9.25),
    event("saved", 5, score=0.75),
    event("saved", 10, score=0.5),
    event("stopped", 12, signal="SIGTERM", left_out={"a/one.png": "cut off"}),
    event("resumed", 12, damaged=[]),
    event("compiled", 12, seconds=0.5),
    event("resumed", 10, damaged=[12]),
    event("saved", 20, score=0.75),
    event("diverged", 21, message="the loss of step 21 is nan"),
    event("resumed", 20, damaged=[]),
    event("finished", 20, left_out={"b/two<1>.png": "not an image"}),
    event("resumed", 20, damaged=[]),
)


def record(folder, events=(), train=None, config=None, run=None):
    lines = train or [metrics_line(step) for step in (5, 10, 20)]
    write_run_folder(folder, lines=lines, config=config, run=run)
    (folder / "events.jsonl").write_text("".join(json.dumps(e) + "\n" for e in events))
    return reports.read_run_record(folder)


def test_events_are_in_words_without_checkpoints_and_idle_starts():
    words = [(line["step"], line["what"]) for line in events_in_words(EVENTS)]
    assert words == [
        (0, "started"),
        (0, "compiled the step in 9.2 s"),
        (12, "stopped by SIGTERM and saved"),
        (12, "resumed"),
        (12, "compiled the step in 0.5 s"),
        (
            10,
            "resumed; the previous start logged no end (killed, or the machine failed); "
            "damaged checkpoints were set aside, of the steps 12",
        ),
        (21, "the loss of step 21 is nan"),
        (20, "resumed"),
        (20, "finished"),
    ]


def test_facts_name_the_devices_and_the_best_checkpoint(tmp_path):
    config = {"precision": "bfloat16", "ema_decay": 0.99}
    section = course_section(record(tmp_path, EVENTS, config=config, run={"layout": LAYOUT}))
    facts = dict(section["facts"])
    assert facts["Devices"].startswith("8 (4 data × 2 model, 2 processes), one program")
    assert facts["Parameters on a device"] == "2.5 KiB of 4 KiB, 62.5 % of them"
    assert facts["Precision"] == "bfloat16, parameters in float32"
    assert "decay 0.99" in facts["Moving averages"]
    # Of equal scores the first.
    assert facts["Best checkpoint"].startswith("step 5, with a score of 0.75 on the test")
    assert facts["Last checkpoint"] == "step 20"
    assert facts["Compiling the step"].startswith("0.5 s at the last of 2 starts")
    assert facts["Waiting for images"] == "never: all images are on the device"


def test_without_scores_no_checkpoint_is_best(tmp_path):
    facts = dict(course_section(record(tmp_path, [event("saved", 5, score=None)]))["facts"])
    assert "no images were held out for it" in facts["Best checkpoint"]


def test_waiting_for_images_is_drawn_and_averaged(tmp_path):
    lines = [metrics_line(5) | {"waiting_share": 0.25}, metrics_line(10) | {"waiting_share": 0.75}]
    section = course_section(record(tmp_path, train=lines))
    assert dict(section["facts"])["Waiting for images"].startswith("50.0 %")
    assert [axis for axis, _ in section["charts"][1]["views"]] == ["images/s", "waiting"]


@pytest.mark.parametrize("images", [2, 25])
def test_images_left_out_are_named_up_to_a_number(tmp_path, images):
    names = {f"{number:03d}.png": "cut off" for number in range(images)}
    section = course_section(record(tmp_path, [event("finished", 20, left_out=names)]))
    assert [name for name, _ in section["left_out"]] == sorted(names)[:20]
    assert section["more"] == max(images - 20, 0)


def test_the_page_shows_the_course_of_the_run(tmp_path):
    text = reports.render(record(tmp_path, EVENTS, run={"layout": LAYOUT}), fake_network())
    elements = _Elements(text).elements
    ids = [attributes["id"] for _, attributes in elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    section = text.split('id="course"')[1].split("</section>")[0]
    assert "stopped by SIGTERM" in section
    assert "b/<wbr>two&lt;1&gt;.png" in section or "two&lt;1&gt;" in section
    assert section.count("<svg") == 3


def test_a_run_without_events_and_layout_has_its_charts(tmp_path):
    section = course_section(record(tmp_path))
    assert section["events"] == []
    assert [chart["title"] for chart in section["charts"]] == ["Learning rate", "Speed"]


def plain_record(train=(), events=(), layout=None, **config):
    run = {"layout": layout} if layout else {}
    return reports.RunRecord(pathlib.Path(), config, run, train, (), "validation", events)


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        ({"mesh": {"data": 1}, "devices": ["gpu 0"]}, {"Devices": "one: gpu 0"}),
        ({"mesh": {"data": 1}}, {"Devices": "one"}),
        (
            {"mesh": {"data": 2}, "parallel": "replicas", "processes": 1},
            {"Devices": "2 (2 data), a replica on each device (--parallel=replicas)"},
        ),
        (
            LAYOUT | {"parameter_bytes_per_device": 4096},
            {
                "Devices": "8 (4 data × 2 model, 2 processes), one program over a mesh "
                "(--parallel=jit)",
                "Parameters on a device": "4 KiB of 4 KiB, all of them",
            },
        ),
        (None, {}),
    ],
)
def test_devices_are_named_as_far_as_they_are_known(layout, expected):
    assert dict(course_section(plain_record(layout=layout))["facts"]) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"precision": "float32"}, {"Precision": "float32"}),
        ({"precision": "float16"}, {"Precision": "float16, parameters in float32"}),
        ({"precision": None, "ema_decay": 0.0}, {}),
    ],
)
def test_settings_that_are_off_are_no_facts(config, expected):
    assert dict(course_section(plain_record(**config))["facts"]) == expected


def test_the_best_checkpoint_is_named_by_its_metric():
    events = [
        event("saved", 5, score=-0.5, metric="top5_error", value=0.5),
        event("saved", 10, score=-0.25, metric="top5_error", value=0.25),
        event("saved", 15, score=None),
    ]
    facts = dict(course_section(plain_record(events=events))["facts"])
    assert facts == {
        "Last checkpoint": "step 15",
        "Best checkpoint": "step 10, with top5 error 0.25 on the validation images; the last, of "
        "step 15, is shown here",
    }


def test_charts_have_the_ends_of_the_rate_and_the_median_speed():
    rates, speeds = (0.1, 0.4, 0.2), (10.0, 1000.0, 2000.0)
    train = [
        {"epoch": i, "learning_rate": r, "images_per_second": s}
        for i, (r, s) in enumerate(zip(rates, speeds, strict=True))
    ]
    rate, speed = course_section(plain_record(train))["charts"]
    assert rate["caption"] == "From 0.1 to 0.2; 0.4 at its peak."
    assert [view for view, _ in rate["views"]] == ["linear", "logarithmic"]
    assert speed["caption"] == "1,000 images a second at the median."


def test_a_run_of_which_nothing_is_known_has_no_course():
    section = course_section(plain_record())
    assert section == {"charts": [], "facts": [], "events": [], "left_out": [], "more": 0}


@pytest.mark.parametrize(
    ("events", "what"),
    [
        ([event("profiled", 3)], ["wrote a trace of the steps up to this one"]),
        ([event("other", 3)], ["other"]),
        (
            [event("started", 0), event("started", 0)],
            [
                "started",
                "started; the previous start logged no end (killed, or the machine failed)",
            ],
        ),
        ([event("finished", 5), event("resumed", 5), event("compiled", 5, seconds=1.0)], None),
    ],
)
def test_single_events_are_in_words(events, what):
    words = [line["what"] for line in events_in_words(events)]
    # A finished run that goes on is no idle start.
    assert words == (what or ["finished", "resumed", "compiled the step in 1.0 s"])
    assert events_in_words([]) == []


def test_times_are_without_their_zone_and_divergence_is_bad():
    (line,) = events_in_words([event("diverged", 7, message="the loss is nan")])
    assert line == {
        "time": "2026-01-02 03:04:05",
        "step": 7,
        "what": "the loss is nan",
        "bad": True,
    }


@pytest.mark.parametrize("resumed", [False, True])
def test_what_the_first_start_loaded_is_a_fact(tmp_path, resumed):
    start = {
        "weights": "runs/source",
        "source": "run",
        "loaded": ["c1/bias", "c1/kernel", "c3/bias", "c3/kernel", "f6/kernel"],
        "adapted": [],
        "fresh": ["classifier/kernel"],
        "skipped": [],
    }
    # A later start has no such entry, and the earlier ones follow it from the oldest on.
    run = {"earlier_starts": [{"start": start}, {}]} if resumed else {"start": start}
    facts = dict(course_section(record(tmp_path, run=run))["facts"])
    assert facts["Started from"] == (
        "runs/source (run): 5 loaded (c1/bias, c1/kernel, c3/bias, c3/kernel, and 1 more); "
        "1 fresh (classifier/kernel)"
    )


def test_a_run_of_its_own_initialization_has_no_such_fact(tmp_path):
    assert "Started from" not in dict(course_section(record(tmp_path))["facts"])
