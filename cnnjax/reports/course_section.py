"""The page's section on the run itself: where it ran, how fast, and what happened to it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnjax.reports.charts import EVALUATED, TRAIN, Line, line_chart
from cnnjax.reports.curves_section import metric_points
from cnnjax.reports.formats import size
from cnnjax.reports.run_record import RunRecord

_NAMED_IMAGES = 20
_NAMED_ARRAYS = 4
_ENDINGS = ("stopped", "diverged", "finished")


def course_section(record: RunRecord) -> dict[str, Any]:
    """Returns charts of learning rate and speed, facts, events and the images left out.

    Args:
        record: the files of the run folder.

    Returns:
        `charts`, each with a title, its views as (axis, svg) and a caption; `facts`, pairs of a
        name and a sentence; `events`, each with a time, a step and what happened; `left_out`,
        images with the reason; and `more`, the number of those that are not listed.
    """
    left_out = _left_out(record.events)
    return {
        "charts": [chart for chart in (_rate_chart(record), _speed_chart(record)) if chart],
        "facts": [
            *_device_facts(record.run.get("layout") or {}),
            *_recipe_facts(record.config),
            *_start_facts(record.run),
            *_checkpoint_facts(record),
            *_time_facts(record),
        ],
        "events": events_in_words(record.events),
        "left_out": sorted(left_out.items())[:_NAMED_IMAGES],
        "more": max(len(left_out) - _NAMED_IMAGES, 0),
    }


def _start_facts(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Returns what the run's first start loaded from other weights."""
    starts = [*(run.get("earlier_starts") or []), run]
    start = starts[0].get("start")
    if not isinstance(start, Mapping):
        return []
    facts = []
    for kind in ("loaded", "adapted", "fresh", "skipped"):
        names = [str(name) for name in start.get(kind) or []]
        if names:
            more = f", and {len(names) - _NAMED_ARRAYS} more" if len(names) > _NAMED_ARRAYS else ""
            facts.append(f"{len(names)} {kind} ({', '.join(names[:_NAMED_ARRAYS])}{more})")
    return [("Started from", f"{start.get('weights')} ({start.get('source')}): {'; '.join(facts)}")]


def _rate_chart(record: RunRecord) -> dict[str, Any] | None:
    x, y = metric_points(record.train, "learning_rate")
    if not x:
        return None
    lines = [Line(TRAIN, x, y, marker="." if len(x) < 3 else "")]
    return {
        "title": "Learning rate",
        "views": [
            (
                axis,
                line_chart(
                    lines,
                    name="learning-rate",
                    across="epoch",
                    up="learning rate",
                    log=axis != "linear",
                ),
            )
            for axis in ("linear", "logarithmic")
        ],
        "caption": f"From {y[0]:.3g} to {y[-1]:.3g}; {max(y):.3g} at its peak.",
    }


def _speed_chart(record: RunRecord) -> dict[str, Any] | None:
    x, y = metric_points(record.train, "images_per_second")
    if not x:
        return None
    speed = [Line(TRAIN, x, y, marker="." if len(x) < 3 else "")]
    views = [("images/s", line_chart(speed, name="speed", across="epoch", up="images per second"))]
    epochs, shares = metric_points(record.train, "waiting_share")
    if shares:
        waiting = [Line(EVALUATED, epochs, [100 * share for share in shares], marker="")]
        views.append(
            (
                "waiting",
                line_chart(waiting, name="waiting", across="epoch", up="waiting for images, %"),
            )
        )
    return {
        "title": "Speed",
        "views": views,
        "caption": f"{float(np.median(y)):,.0f} images a second at the median.",
    }


def _device_facts(layout: Mapping[str, Any]) -> list[tuple[str, str]]:
    if not layout:
        return []
    mesh, devices = layout["mesh"], layout.get("devices", [])
    count = int(np.prod(list(mesh.values())))
    if count == 1:
        return [("Devices", f"one: {devices[0]}" if devices else "one")]
    axes = " × ".join(f"{length} {axis}" for axis, length in mesh.items())
    how = "one program over a mesh" if layout["parallel"] == "jit" else "a replica on each device"
    processes = f", {layout['processes']} processes" if layout["processes"] > 1 else ""
    facts = [("Devices", f"{count} ({axes}{processes}), {how} (--parallel={layout['parallel']})")]
    if "parameter_bytes" in layout:
        whole, held = layout["parameter_bytes"], layout["parameter_bytes_per_device"]
        share = "all of them" if held >= whole else f"{100 * held / whole:.1f} % of them"
        facts.append(("Parameters on a device", f"{size(held)} of {size(whole)}, {share}"))
    return facts


def _recipe_facts(config: Mapping[str, Any]) -> list[tuple[str, str]]:
    facts = []
    if config.get("precision"):
        note = "" if config["precision"] == "float32" else ", parameters in float32"
        facts.append(("Precision", f"{config['precision']}{note}"))
    if config.get("ema_decay"):
        facts.append(
            (
                "Moving averages",
                f"of parameters and batch statistics, decay {config['ema_decay']:g}; they are what "
                "is evaluated and shown here",
            )
        )
    return facts


def _checkpoint_facts(record: RunRecord) -> list[tuple[str, str]]:
    saved = [event for event in record.events if event["event"] == "saved"]
    if not saved:
        return []
    last = saved[-1]["step"]
    scored = [event for event in saved if event.get("score") is not None]
    if scored:
        # Of equal scores the earliest.
        best = max(scored, key=lambda event: (event["score"], -event["step"]))
        note = (
            f"step {best['step']:,}, {_chosen_by(best)} on the {record.split} "
            f"images; the last, of step {last:,}, is shown here"
        )
    else:
        note = "none was chosen: no images were held out for it, and test images are not used"
    return [("Last checkpoint", f"step {last:,}"), ("Best checkpoint", note)]


def _chosen_by(saved: Mapping[str, Any]) -> str:
    """Returns the score or metric by which a checkpoint was chosen, in words."""
    if "metric" not in saved:
        return f"with a score of {saved['score']:.4g}"
    return f"with {saved['metric'].replace('_', ' ')} {saved['value']:.4g}"


def _time_facts(record: RunRecord) -> list[tuple[str, str]]:
    facts = []
    seconds = [e["seconds"] for e in record.events if e["event"] == "compiled"]
    if seconds:
        starts = "" if len(seconds) == 1 else f" at the last of {len(seconds)} starts"
        facts.append(
            ("Compiling the step", f"{seconds[-1]:.1f} s{starts}, not counted in the speed")
        )
    shares = [line["waiting_share"] for line in record.train if "waiting_share" in line]
    waiting = (
        f"{100 * float(np.mean(shares)):.1f} % of the time between logged steps"
        if shares
        else "never: all images are on the device"
    )
    if record.train:
        facts.append(("Waiting for images", waiting))
    return facts


def _left_out(events: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Returns the images that any start of the run could not read, and why."""
    return {name: why for event in events for name, why in event.get("left_out", {}).items()}


def events_in_words(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Returns what happened to a run, without its checkpoints, in words.

    Args:
        events: as `cnnjax.training.read_events` gives them.

    Returns:
        Events, each with its `time`, its `step`, `what` happened, and whether that is `bad`.
    """
    events = [event for event in events if event["event"] != "saved"]
    words = []
    for place, event in enumerate(events):
        before = events[place - 1]["event"] if place else None
        after = events[place + 1]["event"] if place + 1 < len(events) else None
        if event["event"] == "resumed" and before == "finished" and after in (None, "resumed"):
            # A finished run that was started again does nothing.
            continue
        words.append(
            {
                "time": event["time"].replace("T", " ")[:19],
                "step": event["step"],
                "what": _in_words(event, before),
                "bad": event["event"] == "diverged",
            }
        )
    return words


def _in_words(event: Mapping[str, Any], before: str | None) -> str:
    """Returns one event in words; `before` is the kind of the previous one."""
    match event["event"]:
        case "started" | "resumed":
            words = event["event"]
            if before is not None and before not in _ENDINGS:
                words += "; the previous start logged no end (killed, or the machine failed)"
            if damaged := event.get("damaged"):
                steps = ", ".join(f"{step:,}" for step in damaged)
                words += f"; damaged checkpoints were set aside, of the steps {steps}"
            return words
        case "compiled":
            return f"compiled the step in {event['seconds']:.1f} s"
        case "stopped":
            return f"stopped by {event['signal']} and saved"
        case "diverged":
            return event["message"]
        case "profiled":
            return "wrote a trace of the steps up to this one"
        case other:
            return other
