"""Drawing, and nothing else: data in, a drawing out. The only package that imports matplotlib."""
