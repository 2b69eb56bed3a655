"""Compiles a CUDA source file to PTX by NVRTC, without a GPU. usage: nvrtc.py FOLDER-OF-LIBNVRTC FILE.cu compute_75 OUT.ptx. A warning is an error."""

import ctypes
import glob
import os
import sys

folder, source, arch, out = sys.argv[1:]
nvrtc = ctypes.CDLL(glob.glob(os.path.join(folder, "libnvrtc.so.*"))[0])


def text(what, program):
    """What nvrtcGet<what>Size and nvrtcGet<what> give."""
    size = ctypes.c_size_t()
    getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size))
    buffer = ctypes.create_string_buffer(size.value)
    getattr(nvrtc, f"nvrtcGet{what}")(program, buffer)
    return buffer.value


program = ctypes.c_void_p()
with open(source, "rb") as f:
    nvrtc.nvrtcCreateProgram(ctypes.byref(program), f.read(), source.encode(), 0, None, None)
options = [f"--gpu-architecture={arch}", "--std=c++17", f"-I{os.path.dirname(source)}"]
failed = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * len(options))(*(o.encode() for o in options)))
log = text("ProgramLog", program).decode().strip()
if failed or log:
    sys.exit(f"{log}\nnvrtc: {source}: error {failed}" if failed else f"{log}\nnvrtc: {source}: warnings are errors")
with open(out, "wb") as f:
    f.write(text("PTX", program))
