#!/usr/bin/env python3
"""What OpenCV makes of small pictures: testdata for data.interpolation linear.

    pip install opencv-python-headless==4.14.0.94
    python3 scripts/resize.py internal/data/picture/testdata/opencv.json

A picture of h x w holds, at row y, column x, channel c, (x*x*(c+3) + y*y*5 + x*y*7 + 31*c) / 8 mod 256: smooth in
places and torn in others. Each is scaled by cv2.resize with INTER_LINEAR, which takes the two nearest pixels each way
and no more however much smaller the result is: both sides (squash), or the shorter one, of which the centre is kept
(crop).
"""
import json
import sys

import cv2
import numpy as np


def picture(h, w):
    y, x, c = np.mgrid[0:h, 0:w, 0:3]
    return (((x * x * (c + 3) + y * y * 5 + x * y * 7 + 31 * c) >> 3) & 255).astype(np.uint8)


CASES = [  # height, width, side of the square that they become, and how
    (40, 60, 16, "crop"), (40, 60, 16, "squash"), (60, 40, 16, "crop"), (33, 47, 16, "squash"), (47, 33, 11, "crop"),
    (32, 32, 16, "crop"), (9, 7, 16, "squash"), (7, 9, 16, "crop"), (16, 50, 16, "squash"), (1, 5, 8, "squash"),
    (100, 75, 12, "squash"), (100, 75, 12, "crop"),
]
out = {"opencv": cv2.__version__, "cases": []}
for h, w, side, fit in CASES:
    to_h, to_w = (side, side) if fit == "squash" else (h * side // min(h, w), w * side // min(h, w))
    got = cv2.resize(picture(h, w), (to_w, to_h), interpolation=cv2.INTER_LINEAR)
    y, x = (to_h - side) // 2, (to_w - side) // 2
    got = got[y : y + side, x : x + side]
    out["cases"].append({"height": h, "width": w, "side": side, "fit": fit, "pixels": got.tobytes().hex()})
with open(sys.argv[1], "w", encoding="ascii") as f:
    json.dump(out, f, indent=0)
    f.write("\n")
