"""A trained network in use: prediction on new scans."""
