#!/usr/bin/env python3
"""Writes small pictures of every form to internal/data/picture/testdata/pillow, and to want.json there what Pillow makes of each.

usage: pictures.py [--trials ../shared/trials]

TestPillow decodes them and compares. Needs Pillow (13.0 wrote what is committed; `pip install pillow`). want.json has the height, the width and the RGB
pixels in base64 (convert("RGB") of the first frame), with "turned" also those that ImageOps.exif_transpose makes. Pillow cuts samples of 16 bits of grey off
at 255, so theirs are computed here. Files that are to be refused have no pixels. Of a folder of pictures that are not committed (--trials) trials.json keeps a
CRC-32 of the pixels and each 97th pixel.
"""
import argparse
import base64
import io
import json
import random
import struct
import zlib
from pathlib import Path

from PIL import Image, ImageOps

OUT = Path(__file__).resolve().parent.parent / "internal/data/picture/testdata/pillow"
W, H = 19, 13
want = {}


def scene(mode="RGB"):
    """Slopes, a red corner, a blue bar and some noise: no orientation looks like another."""
    rng = random.Random(16)
    im = Image.new("RGB", (W, H))
    for y in range(H):
        for x in range(W):
            c = (12 * x, 18 * y, 7 * (x + y))
            if x < 6 and y < 4:
                c = (230, 20, 30)
            elif y > 9 and x < 9:
                c = (10, 30, 220)
            im.putpixel((x, y), tuple(min(255, v + rng.randrange(20)) for v in c))
    return im.convert(mode)


def palette(colors=16):
    return scene().quantize(colors)


def alpha():
    im = Image.new("L", (W, H))
    im.putdata([(x * 40 + y * 9) % 256 if (x + y) % 3 else 0 for y in range(H) for x in range(W)])
    return im


def rgba():
    im = scene()
    im.putalpha(alpha())
    return im


def bilevel():
    return scene("L").point(lambda v: 255 if v > 100 else 0).convert("1", dither=Image.Dither.NONE)


def keep(name, raw, pixels=None, refused=False):
    """Writes a file. pixels is what must come of it where Pillow does not say."""
    (OUT / name).write_bytes(raw)
    if refused:
        return
    turned = None
    if pixels is None:
        im = Image.open(io.BytesIO(raw))
        pixels = im.convert("RGB")
        if name.startswith("exif"):
            turned = ImageOps.exif_transpose(im).convert("RGB")
            if im.format == "TIFF":  # Pillow turns it by itself
                turned, pixels = pixels, scene()
    want[name] = described(pixels)
    if turned is not None:
        want[name]["turned"] = described(turned)


def described(im):
    return {"h": im.height, "w": im.width, "rgb": base64.b64encode(im.tobytes()).decode()}


def save(name, im, **options):
    b = io.BytesIO()
    form = options.pop("form", None) or {"jpg": "JPEG", "tiff": "TIFF"}.get(name.rsplit(".")[-1], name.rsplit(".")[-1].upper())
    refused = options.pop("refused", False)
    im.save(b, form, **options)
    keep(name, b.getvalue(), refused=refused)


# JPEG

# 48x32, YCCK with chroma of half the size, by picturetest: Pillow does not write it.
YCCK = (
    "/9j/7gAOQWRvYmUAZAAAAAAC/9sAQwAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQ/8AA"
    "FAgAIAAwBAEiAAIRAAMRAAQiAP/EAB8AAAAADAAAAAAAAAAAAAAAAAABAgMEBQYHCAkKC//EABQQAQAAAAAAAAAAAAAAAAAAAAD/2gAOBAEAAgADAAQAAD8A"
    "Y0WLFlCRSULFixIsWLHx8SLFixIsWLHx8SLFixIsWLHx8SLFixIsWLHx8SLFixIsWLHx8SLOeFv/2Q=="
)


def jpegs():
    keep("ycck-420.jpg", base64.b64decode(YCCK))
    for name, sampling in (("444", 0), ("422", 1), ("420", 2)):
        save(f"{name}.jpg", scene(), quality=85, subsampling=sampling)
        save(f"{name}-progressive.jpg", scene(), quality=85, subsampling=sampling, progressive=True)
    save("grey.jpg", scene("L"), quality=85)
    save("rgb-as-it-is.jpg", scene(), quality=85, keep_rgb=True)
    save("cmyk.jpg", scene("CMYK"), quality=85)
    save("cmyk-progressive.jpg", scene("CMYK"), quality=85, progressive=True)
    b = io.BytesIO()
    scene("CMYK").save(b, "JPEG", quality=85)
    raw = b.getvalue()
    at = raw.index(b"\xff\xee")
    keep("cmyk-no-adobe.jpg", raw[:at] + raw[at + 2 + struct.unpack(">H", raw[at + 2:at + 4])[0]:])
    keep("bytes-after-the-end.jpg", (OUT / "420.jpg").read_bytes() + b"\0" * 40)


# PNG

def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(bits, color, lines, *more, interlace=0):
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, bits, color, 0, 0, interlace))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(more) + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + x for x in lines))) + chunk(b"IEND", b"")


def grey16(x, y):
    return (x * 3449 + y * 97) & 0xFFFF


def high(im_of):
    """The high bytes of samples of 16 bits."""
    im = Image.new("RGB", (W, H))
    for y in range(H):
        for x in range(W):
            im.putpixel((x, y), (im_of(x, y) >> 8,) * 3)
    return im


def pngs():
    save("rgb.png", scene())
    save("rgba.png", rgba())
    save("grey.png", scene("L"))
    im = scene("L")
    im.putalpha(alpha())
    save("grey-alpha.png", im)
    save("bilevel.png", bilevel())
    save("palette.png", palette())
    save("palette-256.png", palette(200))
    save("palette-transparent.png", palette(), transparency=3)
    save("palette-alphas.png", palette(), transparency=bytes(range(0, 160, 10)))
    save("rgb-transparent.png", scene(), transparency=scene().getpixel((0, 0)))
    save("grey-transparent.png", scene("L"), transparency=scene("L").getpixel((0, 0)))
    keep("grey-16.png", png(16, 0, [b"".join(struct.pack(">H", grey16(x, y)) for x in range(W)) for y in range(H)]), high(grey16))
    rgb16 = [b"".join(struct.pack(">3H", grey16(x, y), grey16(y, x), grey16(x + y, 5)) for x in range(W)) for y in range(H)]
    keep("rgb-16.png", png(16, 2, rgb16))
    rgba16 = [b"".join(struct.pack(">4H", grey16(x, y), grey16(y, x), grey16(x + y, 5), grey16(y, 7)) for x in range(W)) for y in range(H)]
    keep("rgba-16.png", png(16, 6, rgba16))
    im, lines = scene(), []
    for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
        for y in range(y0, H, dy):
            line = b"".join(bytes(im.getpixel((x, y))) for x in range(x0, W, dx))
            if line:
                lines.append(line)
    keep("interlaced.png", png(8, 2, lines, interlace=1))


# GIF

def subblocks(data):
    return b"".join(bytes([len(data[i:i + 255])]) + data[i:i + 255] for i in range(0, len(data), 255)) + b"\0"


def gif_data(indices, bits):
    """Indices of pixels as a GIF has them: clear, so that codes never grow, then literals."""
    clear, out, acc, n = 1 << bits, bytearray(), 0, 0
    codes = []
    for i, p in enumerate(indices):
        if i % ((1 << bits) - 2) == 0:
            codes.append(clear)
        codes.append(p)
    for c in codes + [clear + 1]:
        acc |= c << n
        n += bits + 1
        while n >= 8:
            out.append(acc & 255)
            acc, n = acc >> 8, n - 8
    if n:
        out.append(acc)
    return bytes([bits]) + subblocks(bytes(out))


def gif(frames, colors, background=0):
    """frames: (x, y, image of mode P, transparent index or None, disposal, own palette or None, interlaced)."""
    raw = b"GIF89a" + struct.pack("<HHBBB", W, H, 0xF3 if colors else 0, background, 0) + (colors or b"")
    for x, y, im, transparent, disposal, own, interlaced in frames:
        flags = disposal << 2 | (transparent is not None)
        raw += b"\x21\xf9\x04" + struct.pack("<BHBB", flags, 10, transparent or 0, 0)
        raw += b"\x2c" + struct.pack("<HHHHB", x, y, im.width, im.height, (0x83 if own else 0) | (0x40 if interlaced else 0)) + (own or b"")
        rows = list(range(im.height))
        if interlaced:
            rows = [r for a, d in ((0, 8), (4, 8), (2, 4), (1, 2)) for r in range(a, im.height, d)]
        raw += gif_data([im.getpixel((c, r)) for r in rows for c in range(im.width)], 4)
    return raw + b"\x3b"


def gifs():
    im = palette()
    colors = bytes(im.getpalette()[:48]).ljust(48, b"\0")
    other = bytes(255 - c for c in colors)
    part = im.crop((3, 2, 14, 11))
    part.putpalette(im.getpalette())
    keep("plain.gif", gif([(0, 0, im, None, 0, None, False)], colors))
    keep("transparent.gif", gif([(0, 0, im, 0, 0, None, False)], colors))
    keep("interlaced.gif", gif([(0, 0, im, None, 0, None, True)], colors))
    keep("own-colours.gif", gif([(0, 0, im, 2, 0, other, False)], colors))
    keep("only-own-colours.gif", gif([(0, 0, im, 2, 0, other, False)], None))
    keep("part.gif", gif([(3, 2, part, None, 0, None, False)], colors, background=5))
    keep("part-transparent.gif", gif([(3, 2, part, 6, 0, None, False)], colors, background=5))
    keep("part-own-colours.gif", gif([(3, 2, part, 6, 0, other, True)], colors, background=5))
    keep("animated.gif", gif([(0, 0, im, 4, 2, None, False), (3, 2, part, 5, 3, other, False)], colors))
    keep("beyond.gif", gif([(9, 2, im, None, 0, None, False)], colors), refused=True)


# WebP

def webps():
    for quality in (40, 90):
        save(f"lossy-{quality}.webp", scene(), quality=quality)
    save("lossy-alpha.webp", rgba(), quality=80)
    save("lossy-even.webp", scene().crop((0, 0, 18, 12)), quality=80)
    save("lossy-narrow.webp", scene().crop((0, 0, 1, 13)), quality=80)
    save("black.webp", Image.new("RGB", (W, H)), quality=80)
    save("white.webp", Image.new("RGB", (W, H), (255, 255, 255)), quality=80)
    save("lossless.webp", scene(), lossless=True)
    save("lossless-alpha.webp", rgba(), lossless=True, exact=True)
    save("lossless-palette.webp", palette().convert("RGB"), lossless=True)
    save("animated.webp", scene(), save_all=True, append_images=[scene().rotate(180)], refused=True)


# BMP

def bmp(bits, lines, compression=0, colors=b"", head=40, height=H, masks=b""):
    data = b"".join(lines)
    info = struct.pack("<IiiHHIIiiII", head, W, height, 1, bits, compression, len(data), 2835, 2835, len(colors) // 4, 0)
    if head == 12:
        info = struct.pack("<IHHHH", 12, W, height, 1, bits)
    info += masks.ljust(head - 40, b"\0") if head > 40 else masks
    return b"BM" + struct.pack("<IHHI", 14 + len(info) + len(colors) + len(data), 0, 0, 14 + len(info) + len(colors)) + info + colors + data


def padded(line):
    return line + b"\0" * (-len(line) % 4)


def bmps():
    for im, name in ((bilevel(), "1"), (scene("L"), "8-grey"), (palette(200), "8"), (scene(), "24"), (rgba(), "32")):
        save(f"{name}.bmp", im)
    im = palette()
    colors = b"".join(bytes(im.getpalette()[3 * i:3 * i + 3][::-1]) + b"\0" for i in range(len(im.getpalette()) // 3)).ljust(64, b"\0")
    fours = [[im.getpixel((x, y)) for x in range(W)] + [0] for y in reversed(range(H))]
    keep("4.bmp", bmp(4, [padded(bytes(r[i] << 4 | r[i + 1] for i in range(0, W, 2))) for r in fours], colors=colors))
    im = scene()
    rows = [padded(b"".join(bytes(im.getpixel((x, y))[::-1]) for x in range(W))) for y in range(H)]
    keep("24-top-down.bmp", bmp(24, rows, height=-H))
    keep("24-os2.bmp", bmp(24, rows[::-1], head=12), refused=True)
    full = [b"".join(bytes(im.getpixel((x, y))[::-1]) + b"\xff" for x in range(W)) for y in reversed(range(H))]
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    keep("32-v4-masks.bmp", bmp(32, full, 3, head=108, masks=masks))
    shorts = [[r >> 3 << 10 | g >> 3 << 5 | b >> 3 for r, g, b in (im.getpixel((x, y)) for x in range(W))] for y in reversed(range(H))]
    rgb555 = [padded(struct.pack(f"<{W}H", *line)) for line in shorts]
    keep("16.bmp", bmp(16, rgb555), refused=True)
    pal = palette()
    rle = b"".join(b"".join(bytes([1, pal.getpixel((x, y))]) for x in range(W)) + b"\0\0" for y in reversed(range(H))) + b"\0\1"
    keep("rle8.bmp", bmp(8, [rle], 1, colors), refused=True)
    keep("rle4.bmp", bmp(4, [rle], 2, colors), refused=True)


# TIFF

def reverse(raw):
    return bytes(int(f"{b:08b}"[::-1], 2) for b in raw)


def tiff(entries, data, order="<", magic=42):
    """entries: {tag: (type, values)}, types 3 (16 bits) and 4 (32); StripOffsets is written here, of the one strip."""
    entries = {**entries, 273: (4, [0])}
    count = len(entries)
    extra, at = b"", 8 + 2 + 12 * count + 4
    body = b""
    start = at + sum(len(v) * (2 if t == 3 else 4) for t, v in entries.values() if len(v) * (2 if t == 3 else 4) > 4)
    for tag in sorted(entries):
        t, v = entries[tag]
        if tag == 273:
            v = [start]
        packed = struct.pack(order + str(len(v)) + ("H" if t == 3 else "I"), *v)
        if len(packed) > 4:
            body += struct.pack(order + "HHII", tag, t, len(v), at + len(extra))
            extra += packed
        else:
            body += struct.pack(order + "HHI", tag, t, len(v)) + packed.ljust(4, b"\0")
    return {"<": b"II", ">": b"MM"}[order] + struct.pack(order + "HIH", magic, 8, count) + body + b"\0\0\0\0" + extra + data


def plain(bits, photometric, data, compression=1, more=None, order="<"):
    entries = {256: (3, [W]), 257: (3, [H]), 258: (3, bits), 259: (3, [compression]), 262: (3, [photometric]),
               277: (3, [len(bits)]), 278: (3, [H]), 279: (4, [len(data)])}
    return tiff({**entries, **(more or {})}, data, order)


def tiffs():
    for name, form in (("none", None), ("lzw", "tiff_lzw"), ("deflate", "tiff_adobe_deflate"), ("packbits", "packbits")):
        save(f"rgb-{name}.tiff", scene(), compression=form)
        save(f"grey-{name}.tiff", scene("L"), compression=form)
    save("lzw-predictor.tiff", scene(), compression="tiff_lzw", tiffinfo={317: 2})
    save("deflate-predictor.tiff", scene("L"), compression="tiff_adobe_deflate", tiffinfo={317: 2})
    save("palette.tiff", palette(200))
    save("pages.tiff", scene(), save_all=True, append_images=[scene().rotate(180)])
    save("rgba.tiff", rgba())
    for name, form in (("g3", "group3"), ("g4", "group4"), ("raw", None), ("packbits", "packbits"), ("lzw", "tiff_lzw")):
        for photometric in (0, 1):
            save(f"bilevel-{name}-{photometric}.tiff", bilevel(), compression=form, tiffinfo={262: photometric})
    for name, form in (("g4", "group4"), ("raw", None), ("lzw", "tiff_lzw")):
        b = io.BytesIO()
        bilevel().save(b, "TIFF", compression=form)
        im = Image.open(io.BytesIO(b.getvalue()))
        (at,), (size,) = im.tag_v2[273], im.tag_v2[279]
        data = b.getvalue()[at:at + size]
        keep(f"bilevel-{name}-fill2.tiff", plain([1], im.tag_v2[262], reverse(data), im.tag_v2[259], {266: (3, [2])}))
    grey = scene("L").tobytes()
    keep("grey-inverted.tiff", plain([8], 0, bytes(255 - v for v in grey)), scene("L").convert("RGB"))
    keep("grey-fill2.tiff", plain([8], 1, reverse(grey), more={266: (3, [2])}), scene("L").convert("RGB"))
    for order, name in (("<", "little"), (">", "big")):
        keep(f"rgb-{name}-endian.tiff", plain([8, 8, 8], 2, scene().tobytes(), order=order))
        data = b"".join(struct.pack(order + "H", grey16(x, y)) for y in range(H) for x in range(W))
        keep(f"grey-16-{name}-endian.tiff", plain([16], 1, data, order=order), high(grey16))
    data = b"".join(struct.pack("<3H", grey16(x, y), grey16(y, x), grey16(x + y, 5)) for y in range(H) for x in range(W))
    keep("rgb-16.tiff", plain([16] * 3, 2, data))
    im = rgba()
    multiplied = b"".join(bytes([r * a // 255, g * a // 255, b * a // 255, a]) for r, g, b, a in (im.getpixel((x, y)) for y in range(H) for x in range(W)))
    keep("rgba-multiplied.tiff", plain([8] * 4, 2, multiplied, more={338: (3, [1])}))
    for bits in (2, 4):
        wide = (W * bits + 7) // 8
        lines = ["".join(f"{scene('L').getpixel((x, y)) >> (8 - bits):0{bits}b}" for x in range(W)) for y in range(H)]
        data = b"".join(int(line.ljust(wide * 8, "0"), 2).to_bytes(wide, "big") for line in lines)
        keep(f"grey-{bits}.tiff", plain([bits], 1, data), refused=True)
    tiles = {256: (3, [W]), 257: (3, [H]), 258: (3, [8]), 259: (3, [1]), 262: (3, [1]), 277: (3, [1]), 322: (3, [32]), 323: (3, [16])}
    tile = Image.new("L", (32, 16))
    tile.paste(scene("L"))
    raw = tiff({**tiles, 325: (4, [512])}, tile.tobytes())
    raw = raw.replace(struct.pack("<HHI", 273, 4, 1), struct.pack("<HHI", 324, 4, 1))
    at = 10
    body = sorted((raw[at + 12 * i:at + 12 * i + 12] for i in range(10)), key=lambda e: struct.unpack("<H", e[:2]))
    keep("tiled.tiff", raw[:at] + b"".join(body) + raw[at + 120:])
    bands = b"".join(c.tobytes() for c in scene().split())
    keep("planes.tiff", plain([8] * 3, 2, bands, more={284: (3, [2])}), refused=True)
    save("cmyk.tiff", scene("CMYK"), refused=True)
    save("jpeg.tiff", scene(), compression="jpeg", refused=True)
    save("ycbcr.tiff", scene("YCbCr"), refused=True)
    keep("lab.tiff", plain([8] * 3, 8, scene().tobytes()), refused=True)
    save("float.tiff", scene("F"), refused=True)
    save("grey-alpha.tiff", Image.merge("LA", (scene("L"), alpha())), refused=True)
    save("big.tiff", scene(), big_tiff=True, refused=True)


# Netpbm

def netpbm():
    save("rgb.ppm", scene(), form="PPM")
    save("grey.pgm", scene("L"), form="PPM")
    save("bilevel.pbm", bilevel(), form="PPM")
    im, l, b = scene(), scene("L"), bilevel()
    size = f"{W} # wide\n{H}\n"
    numbers = "\n".join(" ".join(str(v) for v in im.getpixel((x, y))) for y in range(H) for x in range(W))
    keep("rgb-plain.ppm", f"P3\n# by hand\n{size}255\n{numbers}".encode())
    keep("grey-plain.pgm", f"P2 {size}255\n".encode() + "\t".join(str(l.getpixel((x, y))) for y in range(H) for x in range(W)).encode() + b"\n")
    keep("bilevel-plain.pbm", f"P1\n{size}".encode() + "\n".join("".join("0" if b.getpixel((x, y)) else "1" for x in range(W)) for y in range(H)).encode())
    for maxval in (1, 10, 100, 1000, 65535):
        pack = "B" if maxval < 256 else ">H"
        data = b"".join(struct.pack(pack, grey16(x, y) % (maxval + 1)) for y in range(H) for x in range(W))
        pixels = Image.new("L", (W, H))
        pixels.putdata([round(grey16(x, y) % (maxval + 1) / maxval * 255) for y in range(H) for x in range(W)])
        keep(f"grey-{maxval}.pgm", f"P5\n{size}{maxval}\n".encode() + data, pixels.convert("RGB"))
        data = b"".join(struct.pack(pack, grey16(x + c, y) % (maxval + 1)) for y in range(H) for x in range(W) for c in range(3))
        keep(f"rgb-{maxval}.ppm", f"P6 {size}{maxval}\n".encode() + data)
    keep("pam.pam", f"P7\nWIDTH {W}\nHEIGHT {H}\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n".encode() + im.tobytes(), refused=True)
    keep("float.pfm", f"PF\n{W} {H}\n-1.0\n".encode() + b"\0" * (12 * W * H), refused=True)


# Orientation

def exifs():
    for i in range(1, 9):
        e = Image.Exif()
        e[274] = i
        save(f"exif-{i}.jpg", scene(), quality=85, subsampling=2, exif=e)
    e = Image.Exif()
    e[274] = 6
    save("exif-6.png", scene(), exif=e)
    save("exif-6.webp", scene(), lossless=True, exif=e)
    save("exif-6-lossy.webp", scene(), quality=85, exif=e)
    save("exif-6.tiff", scene(), tiffinfo={274: 6})
    b = io.BytesIO()
    scene("CMYK").save(b, "JPEG", quality=85, exif=e)
    keep("exif-6-cmyk.jpg", b.getvalue())
    b = io.BytesIO()  # big-endian
    block = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0"
    scene().save(b, "JPEG", quality=85, exif=block)
    keep("exif-8-big-endian.jpg", b.getvalue())
    block = block.replace(b"\x01\0\x08\0\0", b"\x01\0\x09\0\0")
    b = io.BytesIO()
    scene().save(b, "JPEG", quality=85, exif=block)
    keep("exif-9.jpg", b.getvalue())


def trials(folder):
    found = {}
    for path in sorted([*folder.glob("odd/*"), *folder.glob("c12-*"), *folder.glob("c25-*")]):
        try:
            im = Image.open(path)
            rgb = im.convert("RGB")
        except OSError:
            continue
        forms = [("", rgb)]
        if im.getexif().get(274, 1) > 1:
            forms.append(("turned ", ImageOps.exif_transpose(im).convert("RGB")))
        for turned, rgb in forms:
            raw = rgb.tobytes()
            each = b"".join(raw[i:i + 3] for i in range(0, len(raw), 3 * 97))
            found[turned + path.relative_to(folder).as_posix()] = {
                "h": rgb.height, "w": rgb.width, "crc": zlib.crc32(raw), "rgb": base64.b64encode(each).decode() if rgb.width < 1000 else ""}
    return found


def main():
    parse = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parse.add_argument("--trials", type=Path)
    args = parse.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        if old.name != "trials.json":
            old.unlink()
    for write in (jpegs, pngs, gifs, webps, bmps, tiffs, netpbm, exifs):
        write()
    (OUT / "want.json").write_text(json.dumps(want, indent=0, sort_keys=True) + "\n")
    if args.trials:
        (OUT / "trials.json").write_text(json.dumps(trials(args.trials), indent=0, sort_keys=True) + "\n")


main()
