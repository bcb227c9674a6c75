import json
from contextlib import closing

import numpy as np
from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

from cnnjax import training
from cnnjax.training.folder.metrics import MetricsWriter


def test_lines_come_back_in_order_of_step(tmp_path):
    with closing(MetricsWriter(tmp_path)) as writer:
        writer.write("test", 2, 1.0, {"loss": 0.5})
        writer.write("train", 1, 0.5, {"loss": 1.0})
    assert training.read_metrics(tmp_path) == [
        {"step": 1, "epoch": 0.5, "split": "train", "loss": 1.0},
        {"step": 2, "epoch": 1.0, "split": "test", "loss": 0.5},
    ]


def test_a_repeated_step_counts_once_and_a_cut_line_does_not_spoil_the_next(tmp_path):
    with closing(MetricsWriter(tmp_path)) as writer:
        writer.write("train", 1, 0.5, {"loss": 1.0})
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 2, "epo')
    with closing(MetricsWriter(tmp_path, resumed_step=1)) as writer:
        writer.write("train", 1, 0.5, {"loss": 3.0})
        writer.write("train", 2, 1.0, {"loss": 2.0})
    assert [line["loss"] for line in training.read_metrics(tmp_path)] == [3.0, 2.0]


def test_no_file_means_no_metrics(tmp_path):
    assert training.read_metrics(tmp_path) == []


def test_tensorboard_gets_the_same_scalars_and_the_images(tmp_path):
    with closing(MetricsWriter(tmp_path)) as writer:
        writer.write("train", 7, 0.5, {"loss": 1.25})
        writer.write_images("mistakes", 7, np.zeros((2, 4, 4, 1), np.uint8))
    (events,) = (tmp_path / "tensorboard").iterdir()
    content, values = events.read_bytes(), {}
    while content:  # records: 8 bytes of length, 4 of checksum, the event, 4 of checksum
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        for value in event.summary.value:
            values[value.tag] = (event.step, value)
        content = content[16 + length :]
    assert values["train/loss"][0] == 7
    assert values["train/loss"][1].simple_value == json.loads("1.25")
    assert values["mistakes/1"][1].image.height == 4
