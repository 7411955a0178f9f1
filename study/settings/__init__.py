"""What a person asks for: options, presets and the checked configuration."""
