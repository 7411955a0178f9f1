"""Where results are read from: MLflow or a Parquet file."""
