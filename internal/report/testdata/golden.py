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
    event_pb2.Event(
        wall_time=1354528800.5,
        step=300,
        summary=summary_pb2.Summary(
            value=[
                summary_pb2.Summary.Value(
                    tag="filters/conv1",
                    image=summary_pb2.Summary.Image(height=3, width=200, colorspace=3, encoded_image_string=b"a PNG"),
                )
            ]
        ),
    ),
    event_pb2.Event(
        wall_time=1354528800.5,
        step=300,
        summary=summary_pb2.Summary(
            value=[
                summary_pb2.Summary.Value(
                    tag="weights/conv1.bias",
                    histo=summary_pb2.HistogramProto(
                        min=-1, max=0.5, num=4, sum=0, sum_squares=1.5, bucket_limit=[-0.5, 0, 0.5], bucket=[1, 0, 3]
                    ),
                )
            ]
        ),
    ),
]
with pathlib.Path(__file__).with_name("golden.tfevents").open("wb") as f:
    writer = RecordWriter(f)
    for event in events:
        data = event.SerializeToString(deterministic=True)
        if event.summary.value and event.summary.value[0].HasField("simple_value"):  # field 1001, fixed32: our checksum of the line of metrics
            crc = masked_crc32c(b"a line") - 0xA282EAD8 & 0xFFFFFFFF
            data += b"\xcd\x3e" + (crc << 15 & 0xFFFFFFFF | crc >> 17).to_bytes(4, "little")
        writer.write(data)
