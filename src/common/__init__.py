"""The ground every other package stands on: errors, command-line flags, files, progress, processes, arrays."""
