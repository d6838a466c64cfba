#!/usr/bin/env python3
"""openapi.yaml -> openapi.json. Run after every edit of the YAML (needs python3-yaml); both are committed,
and tests/api compares x-source-sha256 with the YAML, so that a forgotten run fails."""
import hashlib
import json
import pathlib

import yaml

here = pathlib.Path(__file__).resolve().parent
source = (here / "openapi.yaml").read_bytes()
document = yaml.load(source, Loader=yaml.CSafeLoader if hasattr(yaml, "CSafeLoader") else yaml.SafeLoader)
document["x-source-sha256"] = hashlib.sha256(source).hexdigest()
text = json.dumps(document, ensure_ascii=False, indent=1)
(here / "openapi.json").write_text(text + "\n", encoding="utf-8")
