"""What the built-in task adds: folders of images, synthetic pools, text-to-image pipelines, evaluated networks."""
