"""Plain data: settings, architectures, spaces, records, seeds and errors. Imports no other layer."""
