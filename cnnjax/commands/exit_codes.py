"""The codes with which commands end."""

USAGE_ERROR = 2
"""After a wrong flag or configuration, or a folder that cannot be used."""

RUN_ERROR = 3
"""After what could not continue: diverged, damaged checkpoints or images, a full disk."""

INPUT_ERROR = 4
"""After work that was done, except for some inputs that could not be read."""

PEER_LOST = 5
"""After another process of the run was gone; `cnnjax.training` leaves with it."""

STOPPED = 75
"""After SIGTERM or Ctrl-C (EX_TEMPFAIL): saved; the same command continues from there."""

INTERRUPTED = 130
"""After a Ctrl-C that left at once (128 + SIGINT); the last checkpoint is as it was."""

OUTPUT_CLOSED = 141
"""After output that was read no further, as by `head` (128 + SIGPIPE)."""

MEANINGS = {
    0: "done",
    USAGE_ERROR: "a wrong flag or configuration, or a folder that cannot be used",
    RUN_ERROR: "what could not continue: diverged, damaged checkpoints or images, a full disk",
    INPUT_ERROR: "done, except for some inputs that could not be read",
    PEER_LOST: "another process of the run was gone",
    STOPPED: "stopped by SIGTERM or Ctrl-C, and saved: the same command continues from there",
    INTERRUPTED: "left at once by Ctrl-C, before training or by a second one; what is saved stays",
    OUTPUT_CLOSED: "the output was read no further, as by head",
}
"""What each code means, for --help."""
