"""Reads results from MLflow and files: tables, curves, the report."""
