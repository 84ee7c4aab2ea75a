#!/usr/bin/env bash
# opentelemetry-api and opentelemetry-sdk 1.45.2.
#
# Expected: the header field `traceparent` of a sampled span ends in the flags 01, as in the examples
# of the W3C's Trace Context.
# Seen: it ends in 03: the SDK's own identifiers are random, and since level 2 of that recommendation
# a second bit says so. A span whose parent came from elsewhere with 01 keeps 01, and one that is not
# sampled has 02. So a test or a proxy that takes 01 for "sampled" misses most traces: the
# last bit alone tells.
#
# Output seen:
#   sampled: 03
#   not sampled: 02
#   of a remote parent with 01: 01
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet opentelemetry-api==1.45.2 opentelemetry-sdk==1.45.2
seen=$("$folder/venv/bin/python" - <<'PY'
from opentelemetry.propagate import extract, inject
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased


def flags(sampler, carrier=None):
    tracer = TracerProvider(sampler=sampler).get_tracer("finding")
    sent = {}
    with tracer.start_as_current_span("span", context=extract(carrier or {})):
        inject(sent)
    return sent["traceparent"].rpartition("-")[2]


remote = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
print("sampled:", flags(ALWAYS_ON))
print("not sampled:", flags(ALWAYS_OFF))
print("of a remote parent with 01:", flags(ParentBased(ALWAYS_ON), remote))
PY
)
printf '%s\n' "$seen"
expected="sampled: 03
not sampled: 02
of a remote parent with 01: 01"
[[ "$seen" == "$expected" ]]
