"""Amid a partition of the network: what was given up, or left by the dead, never arrives."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scripts import LIMIT

PROGRAM = Path(__file__).with_name("partition_program.py")


def has_namespaces() -> bool:
    if not all(map(shutil.which, ["unshare", "nsenter", "ip"])):
        return False
    make = "ip link add near type veth peer name far && unshare -n true"
    made = subprocess.run(["unshare", "-n", "sh", "-c", make], capture_output=True, check=False)
    return made.returncode == 0


@pytest.mark.skipif(not has_namespaces(), reason="no network namespaces can be made here")
@pytest.mark.parametrize("way", ["fast", "public"])
@pytest.mark.parametrize("ending", ["given-up", "killed"])
def test_a_message_that_was_given_up_amid_a_partition_never_arrives(ending: str, way: str):
    """Nor that of a process that was killed: the kernel would send it once the network is whole."""
    done = subprocess.run(
        ["unshare", "-n", sys.executable, PROGRAM, ending, way],
        capture_output=True,
        check=False,
        text=True,
        timeout=LIMIT,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )

    assert (done.returncode, done.stdout.split("\n")) == (
        0,
        ['"the witness amid"', '"the last"', ""],
    ), done.stderr
