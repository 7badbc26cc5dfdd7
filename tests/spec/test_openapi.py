"""`openapi.yaml`: valid, and in agreement with the table of operations."""

from typing import Any

from openapi_spec_validator import validate

from conformance.specification.clauses import EXTENSIONS
from tests.spec.documents import ROOT, operations, pointed_to, read_yaml, references

DOCUMENT = read_yaml("openapi.yaml")
READING = {"/topics", "/topics/{topic}", "/consumer-groups/{group}", "/capabilities"}


def test_it_is_valid() -> None:
    """The document is valid OpenAPI 3.1, and its references resolve."""
    validate(DOCUMENT, base_uri=(ROOT / "openapi.yaml").as_uri())
    for ref in references(DOCUMENT):
        assert pointed_to(DOCUMENT, ref) if ref.startswith("#") else (ROOT / ref).is_file(), ref


def test_its_paths_are_those_of_the_table() -> None:
    """Every operation is a POST to its path; the other paths are extensions that exist over HTTP only."""
    posts = {path for path, item in DOCUMENT["paths"].items() if "post" in item}
    gets = {path for path, item in DOCUMENT["paths"].items() if "get" in item}
    assert posts == {operation.path for operation in operations()} | {"/clock/advance"}
    assert gets == READING


def test_its_statuses_are_those_of_the_table() -> None:
    """Successful statuses equal those of the table; refusals have 400 in addition, for malformed bodies."""
    for operation in operations():
        statuses = {int(status) for status in _post(operation.path)["responses"]}
        assert {status for status in statuses if status < 400} == operation.successes, operation.path
        assert {status for status in statuses if status >= 400} == operation.refusals | {400}, operation.path


def test_its_extensions_are_known() -> None:
    """`x-extension` names only known extensions."""
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
