"""Settings, records, specs, seeds, paths, registry and errors. Imports no other layer."""
