"""Black-box searches as chains of steps over plain files."""
