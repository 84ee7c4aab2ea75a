#!/usr/bin/env bash
# phonenumbers 9.0.43, the metadata of Argentina.
#
# Expected: `national_prefix_for_parsing` matches a national number only if it begins with a prefix
# to strip, so that "it does not match" and "nothing to strip" are the same.
# Seen: Argentina's pattern also matches nothing at all. It matches every number, and for one without
# a prefix the match is empty. Those of Brazil and Peru do as expected. Whoever asks whether the pattern
# matches takes every Argentine number for one with a prefix.
#
# Output seen:
#   AR 1123456789 matches 0 characters
#   AR 01123456789 matches 1 characters
#   BR 11961234567 does not match
#   PE 0912345678 matches 1 characters
#   PE 912345678 does not match
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet phonenumbers==9.0.43
seen=$("$folder/venv/bin/python" - <<'PY'
import re
from phonenumbers import PhoneMetadata

for country, number in [
    ("AR", "1123456789"),
    ("AR", "01123456789"),
    ("BR", "11961234567"),
    ("PE", "0912345678"),
    ("PE", "912345678"),
]:
    pattern = PhoneMetadata.metadata_for_region(country).national_prefix_for_parsing
    match = re.match(pattern, number)
    print(country, number, f"matches {match.end()} characters" if match else "does not match")
PY
)
echo "$seen"
expected='AR 1123456789 matches 0 characters
AR 01123456789 matches 1 characters
BR 11961234567 does not match
PE 0912345678 matches 1 characters
PE 912345678 does not match'
[ "$seen" = "$expected" ]
