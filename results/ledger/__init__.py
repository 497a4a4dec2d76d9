"""The only truth: records as Parquet files, how they are merged, and what is damaged in them."""
