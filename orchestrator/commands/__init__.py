"""The commands of `ablate`, by what they are for. Each checks its input before anything heavy is imported."""
