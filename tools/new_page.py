#!/usr/bin/env python3
"""Lays out the reference page of a token of schema.json, and of the types of its module.

    tools/new_page.py ptd:aws:Lifecycle

What has to be written is marked: the introduction, the examples, the policy. `make docs` and tests/test_docs.py say what is missing.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = json.loads((ROOT / "schema.json").read_text())


def snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def files(token: str) -> dict[str, str]:
    """The files of the page, by path below docs/reference."""
    _, module, name = token.split(":")
    function = SCHEMA["functions"].get(token)
    resource = SCHEMA["resources"].get(token)
    spec = function or resource or sys.exit(f"schema.json has no {token}")
    required = spec.get("inputs", {}).get("required", []) if function else spec.get("requiredInputs", [])
    place = "" if module == "index" else f"{module}."
    yaml = "".join(f"\n        {one}: WRITE" for one in required)
    typescript = ", ".join(f'{one}: "WRITE"' for one in required)
    python = ", ".join(f'{snake(one)}="WRITE"' for one in required)
    if function:
        texts = {
            "Pulumi.yaml": f"variables:\n  it:\n    fn::invoke:\n      function: {token}\n      arguments:{yaml.replace(chr(10) + '  ', chr(10) + '    ')}\n",
            "__main__.py": f"it = ptd.{place}{snake(name)}({python})\n",
            "index.ts": f"const it = ptd.{place}{name}Output({{ {typescript} }});\n",
        }
    else:
        comma = ", " if python else ""
        texts = {
            "Pulumi.yaml": f"resources:\n  it:\n    type: {token}\n    properties:{yaml.replace('        ', '      ')}\n",
            "__main__.py": f'it = ptd.{place}{name}("it"{comma}{python})\n',
            "index.ts": f'const it = new ptd.{place}{name}("it", {{ {typescript} }});\n',
        }
    output = next(iter((spec.get("outputs") or {}).get("properties", {}) if function else spec.get("properties", {})), "WRITE")
    page = "WRITE when to use it.\n"
    if resource and "Import id:" in resource.get("description", ""):
        page = f"---\nimport-id: WRITE\n---\n{page}"
    if resource and "eleting" not in resource.get("description", ""):
        page += "\n## Deleting\n\nWRITE.\n"
    page += "\n## Permissions\n\nWRITE, and policy.json in the folder of this name; or None.\n"
    made = {
        f"{module}/{name}.md": page,
        f"{module}/{name}/Pulumi.yaml": f"name: example\nruntime: yaml\n{texts['Pulumi.yaml']}outputs:\n  {output}: ${{it.{output}}}\n",
        f"{module}/{name}/__main__.py": "import pulumi\nimport pulumi_ptd as ptd\n\n"
        f'{texts["__main__.py"]}\npulumi.export("{output}", it.{snake(output)})\n',
        f"{module}/{name}/index.ts": 'import * as ptd from "@posit-dev/pulumi-ptd";\n\n'
        f"{texts['index.ts']}\nexport const {output} = it.{output};\n",
    }
    if any(one.split(":")[1] == module for one in SCHEMA["types"]):
        made[f"{module}/types.md"] = f"# Types of {module}\n"
    return made


def main() -> None:
    tokens = sys.argv[1:] or sys.exit(__doc__)
    for token in tokens:
        for path, text in files(token).items():
            file = ROOT / "docs/reference" / path
            if file.exists():
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            print(file.relative_to(ROOT))


if __name__ == "__main__":
    main()
