"""Cuts a client off from its server amid a request, and prints what the server received.

Runs in a network namespace of its own; the server gets another. A witness, a plain socket of this
process, writes and closes right after the client does: its bytes arrive once the network is whole
again, as the kernel goes on sending what was written until it is acknowledged.
"""

import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

ENDING, WAY = sys.argv[1:]
HERE = Path(__file__).parent
ADDRESS = "02:00:00:00:00:02"
NEAR, FAR, PORT = "10.9.0.1", "10.9.0.2", "8080"
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}


def ip(*words):
    subprocess.run(["ip", *words], check=True)


def started(stack, *command):
    process = stack.enter_context(subprocess.Popen(command, **PIPES))
    stack.callback(process.kill)
    return process


def say(process, word):
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


def heard(process):
    return process.stdout.readline().strip()


def sent(sock, text):
    body = text.encode()
    sock.sendall(b"POST / HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def is_sending():
    """Tell whether the kernel has anything that it is still to send for anybody here."""
    _, *sockets = Path("/proc/net/tcp").read_text().splitlines()
    return any(int(line.split()[4].partition(":")[0], 16) for line in sockets)


with ExitStack() as stack:
    ip("link", "set", "lo", "up")
    server = started(stack, "unshare", "-n", sys.executable, HERE / "partition_server.py", PORT)
    assert heard(server) == "listening"
    there = ("nsenter", "-t", str(server.pid), "-n", "ip")
    ip("link", "add", "near", "type", "veth", "peer", "name", "far")
    ip("link", "set", "far", "netns", str(server.pid))
    ip("addr", "add", f"{NEAR}/24", "dev", "near")
    ip("link", "set", "near", "up")
    subprocess.run([*there, "addr", "add", f"{FAR}/24", "dev", "far"], check=True)
    # Or packets wait for the address of the other side to be found, whatever becomes of the socket.
    ip("neigh", "add", FAR, "lladdr", ADDRESS, "dev", "near", "nud", "permanent")
    subprocess.run([*there, "link", "set", "far", "address", ADDRESS, "up"], check=True)

    client = started(stack, sys.executable, HERE / "partition_client.py", WAY, FAR, PORT)
    witness = stack.enter_context(socket.create_connection((FAR, int(PORT))))
    sent(witness, "the witness before")
    assert heard(client) == "sent"
    received = {heard(server), heard(server)}
    assert received == {'"before"', '"the witness before"'}
    assert witness.recv(1024)  # or it is reset when it closes

    subprocess.run([*there, "link", "set", "far", "down"], check=True)
    say(client, "cut")
    assert heard(client) == "written"
    sent(witness, "the witness amid")
    if ENDING == "killed":
        client.kill()
        client.wait()
    else:
        assert heard(client) == "unknown"
    witness.close()
    subprocess.run([*there, "link", "set", "far", "up"], check=True)

    arrived = []
    while '"the witness amid"' not in arrived:
        arrived.append(heard(server))
    while is_sending():
        time.sleep(0.01)
    with socket.create_connection((FAR, int(PORT))) as last:
        sent(last, "the last")
        while '"the last"' not in arrived:
            arrived.append(heard(server))
    if ENDING == "given-up":
        say(client, "end")
        client.wait()
    print(*arrived, sep="\n")  # noqa: T201 - the test reads it
