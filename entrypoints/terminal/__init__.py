"""What people see and type: output, messages, exit codes, progress, times, manuals."""
