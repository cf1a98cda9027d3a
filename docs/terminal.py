"""A picture of what a command shows in a terminal of 80 columns, in dark and in light colours.

    python docs/terminal.py OUT.png [--after SECONDS] [--rows 24] [--columns 80] -- minigan train

Runs the command in a pseudo-terminal, keeps the screen with pyte, an emulator of a terminal, and draws it with Pillow
when the command ends or the time is up (it is then interrupted, as by Ctrl-C): OUT.png in dark colours, OUT-light.png
in light ones. Prints the screen as text, too.
"""

import argparse
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from fcntl import ioctl
from pathlib import Path

import pyte
from matplotlib import get_data_path
from PIL import Image, ImageDraw, ImageFont

CELL_W, CELL_H, SIZE = 9, 18, 15
NAMED = {
    "black": "000000", "red": "cd3131", "green": "0dbc79", "brown": "c9b100", "blue": "2472c8", "magenta": "bc3fbc",
    "cyan": "11a8cd", "white": "e5e5e5", "brightblack": "808080", "brightgreen": "23d18b", "brightred": "f14c4c",
}  # fmt: skip


def run(command, rows, columns, seconds):
    """The screen after the command has ended, or after so many seconds."""
    screen = pyte.Screen(columns, rows)
    stream = pyte.ByteStream(screen)
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    env = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    env = {k: v for k, v in env.items() if k not in ("COLUMNS", "LINES", "NO_COLOR")}
    process = subprocess.Popen(  # noqa: S603 (the command is the caller's own)
        command, stdin=slave, stdout=slave, stderr=slave, env=env, close_fds=True
    )
    os.close(slave)
    end, interrupted = time.monotonic() + seconds, False
    while True:
        ready, _, _ = select.select([master], [], [], 0.1)
        if ready:
            try:
                data = os.read(master, 65536)
            except OSError:  # the other side is closed
                break
            if not data:
                break
            stream.feed(data)
        if time.monotonic() > end and not interrupted:
            process.send_signal(signal.SIGINT)  # and go on reading what it says to that
            interrupted = True
    process.wait()
    return screen


def colour(name, default):
    return "#" + (default if name == "default" else NAMED.get(name, name))


def draw(screen, light):
    paper, ink = ("ffffff", "1e1e1e") if light else ("1e1e1e", "d4d4d4")
    fonts = Path(get_data_path()) / "fonts" / "ttf"
    plain = ImageFont.truetype(fonts / "DejaVuSansMono.ttf", SIZE)
    bold = ImageFont.truetype(fonts / "DejaVuSansMono-Bold.ttf", SIZE)
    image = Image.new("RGB", (screen.columns * CELL_W + 20, screen.lines * CELL_H + 20), "#" + paper)
    pen = ImageDraw.Draw(image)
    for row in range(screen.lines):
        for column in range(screen.columns):
            char = screen.buffer[row][column]
            x, y = 10 + column * CELL_W, 10 + row * CELL_H
            fg, bg = colour(char.fg, ink), colour(char.bg, paper)
            if bg != "#" + paper:
                pen.rectangle((x, y, x + CELL_W - 1, y + CELL_H - 1), fill=bg)
            if char.data == "▀":
                pen.rectangle((x, y, x + CELL_W - 1, y + CELL_H // 2 - 1), fill=fg)
            elif char.data.strip():
                pen.text((x, y), char.data, font=bold if char.bold else plain, fill=fg)
    return image


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--after", type=float, default=600, help="seconds")
    parser.add_argument("--rows", type=int, default=24)
    parser.add_argument("--columns", type=int, default=80)
    if "--" not in sys.argv:
        parser.error("which command? give it after --")
    split = sys.argv.index("--")
    arguments = parser.parse_args(sys.argv[1:split])
    screen = run(sys.argv[split + 1 :], arguments.rows, arguments.columns, arguments.after)
    print("\n".join(line.rstrip() for line in screen.display))
    draw(screen, light=False).save(arguments.out)
    draw(screen, light=True).save(arguments.out.with_stem(f"{arguments.out.stem}-light"))
