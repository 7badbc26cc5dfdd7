"""The project's own files: declared dependencies, pages for contributors."""
