#!/usr/bin/env bash
# Requests made from the worker's own OpenAPI document: every answer has to be one that the document declares, in its
# form. A 500 is declared where the original answers 500 to what it cannot read; a crash shows as a broken connection.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
schemathesis=$1
url=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The committed document is the one that is tested.
curl --silent --fail "$url/openapi.json" --output "$work/served.json"
python3 - openapi/connect.json "$work/served.json" <<'PYTHON'
import json, sys
committed, served = (json.load(open(path)) for path in sys.argv[1:])
sys.exit(None if committed == served else "openapi/connect.json is not what the worker serves")
PYTHON

# It leaves its findings where it runs.
document=$PWD/openapi/connect.json
cd "$work"
# The seed is fixed: a gate that fails must fail again.
"$schemathesis" run "$document" --url "$url" --seed 4 --max-time 60 --request-timeout 30 --workers 2 \
  --phases examples,coverage,fuzzing --no-shrink --warnings off --suppress-health-check all --max-examples 25 \
  --checks status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance
