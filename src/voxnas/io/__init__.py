"""Files: records (JSON), tables (TSV), NIfTI images."""
