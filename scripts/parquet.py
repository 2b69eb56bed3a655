#!/usr/bin/env python3
"""Writes small Parquet files as data sets of pictures come in to internal/parquet/testdata, and what is in them.

usage: parquet.py [--big FILE]    --big writes FILE instead, 120 MB of pictures as to_parquet has them, and says how
                                  fast pyarrow and our reader (go test -bench) read it in turn

want.json has, of each file, the classes' names, and each row's path, label, and picture as its length and CRC-32, as
pyarrow reads them; of files that are to be refused, nothing. Needs (pip install): pyarrow==26.0.1, datasets==5.2.0,
pillow==13.0.0.
"""
import io
import json
import os
import random
import subprocess
import sys
import time
import zlib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from datasets import ClassLabel, Dataset, Features, Image, Value
from PIL import Image as Pillow

OUT = Path(__file__).resolve().parent.parent / "internal" / "parquet" / "testdata"
NAMES = ["tench, Tinca tinca", "crane", "maillot"]
STRUCT = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
want = {}


def picture(i, size=(9, 7), kind="PNG"):
    """A picture of noise, another one for each i."""
    rng = random.Random(i)
    file = io.BytesIO()
    Pillow.frombytes("RGB", size, rng.randbytes(size[0] * size[1] * 3)).save(file, kind)
    return file.getvalue()


def rows(n, missing=False, same=0):
    """n pictures; with missing, some rows lack something; with same, so many pictures are all there are."""
    for i in range(n):
        image = {"bytes": picture(i % same if same else i), "path": f"n0144076{i % 3}_{i}_n0144076{i % 3}.JPEG"}
        label = i % 3
        if missing:
            image = {3: None, 4: image | {"bytes": None}, 5: image | {"path": None}, 7: None}.get(i % 11, image)
            label = None if i % 11 in (6, 7) else label
        yield image, label


def table(n, *, image="image", label="label", kind=pa.int64(), struct=STRUCT, nullable=True, more=(), **how):
    images, labels = zip(*rows(n, **how))
    fields = [pa.field(name, t) for name, t, _ in more]
    fields += [pa.field(image, struct, nullable), pa.field(label, kind, nullable)]
    columns = [pa.array(values, t) for _, t, values in more] + [pa.array(images, struct), pa.array(labels, kind)]
    return pa.table(columns, schema=pa.schema(fields))


def written(name, refused=False, image="image", label="label"):
    path = OUT / name
    if refused:
        want[name] = None
        return
    t = pq.read_table(path)
    info = json.loads((t.schema.metadata or {}).get(b"huggingface", b"{}"))
    found = []
    for i, l in zip(t[image].to_pylist(), t[label].to_pylist()):
        i = i or {"bytes": None, "path": None}
        b = i["bytes"]
        found.append([i["path"] or "", -1 if l is None else l, -1 if b is None else len(b), zlib.crc32(b or b"")])
    want[name] = {"names": info.get("info", {}).get("features", {}).get(label, {}).get("names"), "rows": found}


def write(name, t, refused=False, image="image", label="label", **options):
    pq.write_table(t, OUT / name, **options)
    written(name, refused, image, label)


def of_datasets():
    """Files as datasets writes them. push_to_hub puts the pictures' bytes into the table and calls to_parquet, with the
    rows of a group where the caller gave it."""
    features = Features({"image": Image(), "label": ClassLabel(names=NAMES)})
    images, labels = zip(*rows(13))
    ds = Dataset.from_dict({"image": images, "label": labels}, features)
    ds.to_parquet(OUT / "push_to_hub.parquet", batch_size=5)
    written("push_to_hub.parquet")
    ds.to_parquet(OUT / "to_parquet.parquet")
    written("to_parquet.parquet")
    unknown = Dataset.from_dict({"image": images, "label": [-1] * 13}, features)
    unknown.to_parquet(OUT / "test.parquet")
    written("test.parquet")
    cifar = Features({"img": Image(), "fine_label": ClassLabel(names=NAMES), "coarse_label": ClassLabel(names=["all"])})
    ds = Dataset.from_dict({"img": images, "fine_label": labels, "coarse_label": [0] * 13}, cifar)
    ds.to_parquet(OUT / "cifar100.parquet")
    written("cifar100.parquet", image="img", label="fine_label")
    # datasets of before 2025 left the options to pyarrow; others pack what they have
    old = Dataset.from_dict({"image": images, "label": labels}, features).with_format("arrow")[:]
    for codec in "snappy", "zstd":
        write(f"datasets-{codec}.parquet", old, compression=codec, row_group_size=7)


def of_pyarrow():
    write("dictionary.parquet", table(40))
    write("shared.parquet", table(60, same=4), row_group_size=25)
    write("one.parquet", table(1))
    write("empty.parquet", table(20).slice(0, 0))
    for codec in "none", "snappy", "gzip", "zstd":
        for version in "1.0", "2.0":
            write(f"v{version[0]}-{codec}.parquet", table(33, missing=True), compression=codec, row_group_size=20,
                  data_page_version=version, use_dictionary=["label"])
    write("pages.parquet", table(40, missing=True), compression="none", use_dictionary=False, data_page_size=512,
          write_batch_size=1, write_page_checksum=True)
    write("pages-v2.parquet", table(40, missing=True), compression="zstd", data_page_size=64, write_batch_size=3,
          data_page_version="2.0", write_page_checksum=True)
    write("fallback.parquet", table(40, missing=True), dictionary_pagesize_limit=1500, write_batch_size=1,
          data_page_size=700)
    filled = pa.struct([pa.field("bytes", pa.binary(), False), pa.field("path", pa.string(), False)])
    write("required.parquet", table(20, struct=filled, nullable=False), write_page_checksum=True)
    write("int32.parquet", table(20, kind=pa.int32(), missing=True))
    write("uint8.parquet", table(20, kind=pa.uint8(), missing=True), use_dictionary=False)
    write("missing.parquet", pa.table({"image": pa.nulls(9, STRUCT), "label": pa.nulls(9, pa.int64())}))
    boxes = pa.list_(pa.list_(pa.int64()))
    more = [("id", pa.string(), [str(i) for i in range(12)]), ("box", boxes, [[[1, 2], []]] * 12),
            ("mask", STRUCT, [{"bytes": b"mask", "path": "mask"}] * 12)]
    write("columns.parquet", table(12, more=more))
    swapped = pa.struct([("path", pa.string()), ("bytes", pa.large_binary()), ("size", pa.int64())])
    write("swapped.parquet", table(12, struct=swapped, image="photo"), image="photo")


def write_refused():
    for codec in "lz4", "brotli":
        write(f"{codec}.parquet", table(9), True, compression=codec)
    write("delta.parquet", table(9), True, use_dictionary=False, column_encoding={
        "image.bytes": "DELTA_LENGTH_BYTE_ARRAY", "image.path": "DELTA_BYTE_ARRAY", "label": "DELTA_BINARY_PACKED"})
    write("no-label.parquet", table(9, label="target"), True)
    images = pa.array([i for i, _ in rows(3)], STRUCT)
    write("words.parquet", pa.table({"image": images, "label": ["a", "b", "c"]}), True)
    write("no-image.parquet", pa.table({"text": ["a"], "label": [1]}), True)
    lists = pa.array([[i] for i, _ in rows(3)], pa.list_(STRUCT))
    write("lists.parquet", pa.table({"image": lists, "label": [0, 1, 2]}), True)


def big(path):
    """1,200 pictures of 100 KB."""
    features = Features({"image": Image(), "label": ClassLabel(names=NAMES)})
    rng = random.Random(1)
    images = [{"bytes": rng.randbytes(100_000), "path": f"{i}.JPEG"} for i in range(1200)]
    Dataset.from_dict({"image": images, "label": [i % 3 for i in range(1200)]}, features).to_parquet(path)
    bench = ["go", "test", "-run", "^$", "-bench", "Each", "./internal/parquet"]
    for _ in range(3):
        ours = subprocess.run(bench, cwd=OUT.parents[2], env=os.environ | {"ALEXNET_PARQUET": os.path.abspath(path)},
                              check=True, capture_output=True, text=True)
        print("ours:", *[line for line in ours.stdout.splitlines() if "MB/s" in line])
        rates = []
        for _ in range(15):
            start, n = time.perf_counter(), 0
            for batch in pq.ParquetFile(path).iter_batches(100):
                for b in batch["image"].field("bytes"):
                    n += len(b.as_buffer())
            rates.append(n / (time.perf_counter() - start) / 1e6)
        print(f"pyarrow: {sorted(rates)[7]:.0f} MB/s (median of 15), at best {max(rates):.0f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--big"]:
        big(sys.argv[2])
        sys.exit()
    OUT.mkdir(parents=True, exist_ok=True)
    of_datasets()
    of_pyarrow()
    write_refused()
    lines = [f"{json.dumps(name)}: {json.dumps(of)}" for name, of in sorted(want.items())]
    (OUT / "want.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
