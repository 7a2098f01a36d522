"""Where data comes from: hosts, mirrors, prepared files."""
