"""JSON Schemas of the specification, by name: `poll-reply` is `spec/schemas/poll-reply.json`."""

from __future__ import annotations

import functools
import json
from typing import Any

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from conformance.specification.clauses import spec_file, spec_root


def problems(name: str, document: object) -> list[str]:
    """Errors of a document by the schema of that name; empty if it is valid. Raises SpecError."""
    errors = sorted(_validator(name).iter_errors(document), key=lambda error: error.json_path)
    return [f"{error.json_path}: {error.message}" for error in errors]


@functools.cache
def _validator(name: str) -> Draft202012Validator:
    schema = json.loads(spec_file(f"schemas/{name}.json").read_text("utf-8"))
    return Draft202012Validator(schema, registry=_registry())


@functools.cache
def _registry() -> Registry[Any]:
    """All schemas, by `$id` and by file name, so that references may use either."""
    resources: list[tuple[str, Resource[Any]]] = []
    for path in sorted((spec_root() / "schemas").glob("*.json")):
        content = json.loads(path.read_text("utf-8"))
        resource = Resource.from_contents(content, default_specification=DRAFT202012)
        resources.append((path.name, resource))
        if "$id" in content:
            resources.append((content["$id"], resource))
    return Registry().with_resources(resources)
