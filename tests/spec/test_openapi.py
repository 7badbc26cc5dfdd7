"""`openapi.yaml`: valid, and the same as the table of operations."""

from typing import Any

from openapi_spec_validator import validate

from conformance.specification.clauses import EXTENSIONS
from tests.spec.documents import ROOT, operations, pointed_to, read_yaml, references

DOCUMENT = read_yaml("openapi.yaml")
READING = {"/topics", "/topics/{topic}", "/consumer-groups/{group}", "/capabilities"}


def test_it_is_valid() -> None:
    """It is OpenAPI 3.1, with everything that it refers to."""
    validate(DOCUMENT, base_uri=(ROOT / "openapi.yaml").as_uri())
    for ref in references(DOCUMENT):
        assert pointed_to(DOCUMENT, ref) if ref.startswith("#") else (ROOT / ref).is_file(), ref


def test_its_paths_are_those_of_the_table() -> None:
    """Every operation is a POST of its path; the rest are the extensions that are there over HTTP only."""
    posts = {path for path, item in DOCUMENT["paths"].items() if "post" in item}
    gets = {path for path, item in DOCUMENT["paths"].items() if "get" in item}
    assert posts == {operation.path for operation in operations()} | {"/clock/advance"}
    assert gets == READING


def test_its_statuses_are_those_of_the_table() -> None:
    """Successes exactly; refusals at least, since every body can be a bad one."""
    for operation in operations():
        statuses = {int(status) for status in _post(operation.path)["responses"]}
        assert {status for status in statuses if status < 400} == operation.successes, operation.path
        assert {status for status in statuses if status >= 400} == operation.refusals | {400}, operation.path


def test_its_extensions_are_known() -> None:
    """What is marked as an extension is one."""
    marked = {
        operation["x-extension"]
        for item in DOCUMENT["paths"].values()
        for operation in item.values()
        if isinstance(operation, dict) and "x-extension" in operation
    }
    assert marked <= set(EXTENSIONS)
    assert "http-publish" in marked


def _post(path: str) -> Any:
    return DOCUMENT["paths"][path]["post"]
