"""Deployment of trained networks: packaging, and prediction for new scans."""
