"""Studies whose folder is in an object store. The driver works in a copy of it on its own disk, and sends what is new."""
