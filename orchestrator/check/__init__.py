"""What a study must fulfil beyond types and ranges, its schema, and a first study to start from."""
