"""The tests; a package, so that they share tests.conftest by name."""
