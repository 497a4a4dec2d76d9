"""What figures show, as data; their drawing, and their captions."""
