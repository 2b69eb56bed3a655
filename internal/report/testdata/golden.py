#!/usr/bin/env python3
"""Writes golden.tfevents by TensorBoard's own protocol buffers and record writer (pip install tensorboard)."""

import pathlib

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.summary.writer.record_writer import RecordWriter

events = [
    event_pb2.Event(
        wall_time=1354528800.5,
        file_version="brain.Event:2",
        source_metadata=event_pb2.SourceMetadata(writer="alexnet"),
    ),
    event_pb2.Event(wall_time=1354528800.5, step=7, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START)),
    event_pb2.Event(
        wall_time=1354528800.5,
        step=300,
        summary=summary_pb2.Summary(
            value=[
                summary_pb2.Summary.Value(tag="train/loss", simple_value=6.5),
                summary_pb2.Summary.Value(tag="train/lr", simple_value=0.01),
                summary_pb2.Summary.Value(tag="val/top1_error", simple_value=0.0),
                summary_pb2.Summary.Value(tag="exchange/bytes", simple_value=60030976),
            ]
        ),
    ),
]
with pathlib.Path(__file__).with_name("golden.tfevents").open("wb") as f:
    writer = RecordWriter(f)
    for event in events:
        data = event.SerializeToString(deterministic=True)
        if event.HasField("summary"):  # field 1001, fixed32: our checksum of the line of metrics
            crc = masked_crc32c(b"a line") - 0xA282EAD8 & 0xFFFFFFFF
            data += b"\xcd\x3e" + (crc << 15 & 0xFFFFFFFF | crc >> 17).to_bytes(4, "little")
        writer.write(data)
