"""The specification as data: clauses with their ids, and JSON Schemas."""
